// Brings an image in as a data URL, which the server decodes as it does every upload.
const drop = element.querySelector('.drop');
const input = element.querySelector('input');
const told = element.querySelector('p');
const examples = element.querySelector('.examples');

function give(value, button) {
  told.textContent = '';
  for (const one of examples.children) one.setAttribute('aria-pressed', one === button);
  props.value = value;
  trigger('input');
}

function read(file) {
  if (!file) return;
  if (!['image/jpeg', 'image/png', 'image/webp'].includes(file.type)) {
    told.textContent = `${file.name} is no JPEG, PNG or WebP image`;
  } else if (file.size > props.largest) {
    told.textContent = `${file.name} is larger than ${Math.floor(props.largest / 1e6)} MB`;
  } else {
    const reader = new FileReader();
    reader.onload = () => give({ image: reader.result, words: null });
    reader.onerror = () => { told.textContent = `${file.name} cannot be read`; };
    reader.readAsDataURL(file);
  }
}

input.addEventListener('change', () => { read(input.files[0]); input.value = ''; });
for (const name of ['dragover', 'dragleave', 'drop']) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle('over', name === 'dragover');
    if (name === 'drop') read(event.dataTransfer.files[0]);
  });
}
document.addEventListener('paste', (event) => {
  const file = [...event.clipboardData.files].find((one) => one.type.startsWith('image/'));
  if (file) read(file);
});
for (const example of props.examples) {
  const button = document.createElement('button');
  const image = document.createElement('img');
  [image.src, image.alt, button.title] = [example.image, example.caption, example.caption];
  button.type = 'button';
  button.append(image);
  button.addEventListener('click', () => give(example, button));
  examples.append(button);
}
