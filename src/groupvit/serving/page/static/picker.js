// Choice of an image: a file, one that is dropped or pasted, or an example.
import { getBlob } from './api.js';
import { byId, button, element } from './elements.js';

const TYPES = ['image/jpeg', 'image/png', 'image/webp'];

// Calls open(blob, labels); labels are null but for examples. fail(error) gets the errors of examples.
export function picker(settings, open, fail) {
  const [drop, input, message, examples] = ['drop', 'file', 'image-error', 'examples'].map(byId);

  function press(pressed) {
    message.textContent = '';
    for (const other of examples.children) other.setAttribute('aria-pressed', other === pressed);
  }

  function read(file) {
    if (!file) return;
    press(null);
    if (!TYPES.includes(file.type)) {
      message.textContent = `${file.name} is no JPEG, PNG or WebP image`;
    } else if (file.size > settings.max_upload_bytes - 1000) {
      message.textContent = `${file.name} is larger than ${Math.floor(settings.max_upload_bytes / 1e6)} MB`;
    } else {
      open(file, null);
    }
  }

  input.addEventListener('change', () => { read(input.files[0]); input.value = ''; });
  for (const name of ['dragover', 'dragleave', 'drop']) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle('over', name === 'dragover');
      if (name === 'drop') read(event.dataTransfer.files[0]);
    });
  }
  document.addEventListener('paste', (event) => {
    read([...event.clipboardData.files].find((file) => file.type.startsWith('image/')));
  });

  for (const example of settings.examples) {
    const image = element('img', { src: example.thumbnail, alt: example.caption, width: 176, height: 176 });
    const made = button(image, async () => {
      press(made);
      try {
        open(await getBlob(example.name), example.labels);
      } catch (error) {
        fail(error);
      }
    }, { title: example.caption, 'aria-pressed': false });
    examples.append(made);
  }
  return { fail: (text) => { message.textContent = text; }, clear: () => { message.textContent = ''; } };
}
