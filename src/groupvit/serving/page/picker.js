// Sends a chosen image as a data URL, which the server decodes like every upload.
const drop = element.querySelector('.drop');
const input = element.querySelector('input');
const message = element.querySelector('p');
const examples = element.querySelector('.examples');

function choose(value, button) {
  message.textContent = '';
  for (const other of examples.children) other.setAttribute('aria-pressed', other === button);
  props.value = value;
  trigger('input');
}

function read(file) {
  if (!file) return;
  if (!['image/jpeg', 'image/png', 'image/webp'].includes(file.type)) {
    message.textContent = `${file.name} is no JPEG, PNG or WebP image`;
  } else if (file.size > props.max_bytes) {
    message.textContent = `${file.name} is larger than ${Math.floor(props.max_bytes / 1e6)} MB`;
  } else {
    const reader = new FileReader();
    reader.onload = () => choose({ image: reader.result, labels: null });
    reader.onerror = () => { message.textContent = `${file.name} cannot be read`; };
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
  const file = [...event.clipboardData.files].find((file) => file.type.startsWith('image/'));
  if (file) read(file);
});
for (const example of props.examples) {
  const button = document.createElement('button');
  const image = document.createElement('img');
  [image.src, image.alt, button.title] = [example.image, example.caption, example.caption];
  button.type = 'button';
  button.append(image);
  button.addEventListener('click', () => choose(example, button));
  examples.append(button);
}
