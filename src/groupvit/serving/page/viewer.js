// Draws an image under the colors of a layer; what is pointed at or chosen stands out.
const OPACITY = 0.55, DIMMED = 0.25;
const canvas = element.querySelector('canvas');
const pen = canvas.getContext('2d');
const [empty, stage, tip, lead, legend, names] = ['.empty', '.stage', '.tip', '.lead', '.legend', '.names'].map(
  (one) => element.querySelector(one));
let image = null, layer = null, indices = null, chosen = null, drawing = 0;

function pixels(image) {
  const sheet = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const context = sheet.getContext('2d', { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, sheet.width, sheet.height).data;
}

async function loaded(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

const rgb = (css) => [1, 3, 5].map((at) => parseInt(css.slice(at, at + 2), 16));
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

async function refresh() {
  const turn = ++drawing;
  if (!props.image) return;
  const image = await loaded(props.image);
  const next = props.layers[props.value] ?? null;
  const map = next ? pixels(await loaded(next.map)) : null;
  if (turn !== drawing) return;  // something newer is on its way
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  [image, layer, chosen] = [pixels(image), next, null];
  indices = map && Uint16Array.from({ length: map.length / 4 }, (_, at) => map[4 * at] + 256 * map[4 * at + 1]);
  [empty.hidden, stage.hidden] = [true, false];
  paint();
  describe();
  element.dataset.shown = props.value;
}

function paint(only = chosen) {
  const image = pen.createImageData(canvas.width, canvas.height);
  const [out, width] = [image.data, canvas.width];
  const tints = layer ? layer.entries.map((entry) => rgb(entry.color)) : [];
  for (let at = 0; at < width * canvas.height; at += 1) {
    const place = 4 * at;
    const entry = indices ? indices[at] : -1;
    const isBorder = indices && ((at + 1) % width && indices[at + 1] !== entry
      || at + width < indices.length && indices[at + width] !== entry);
    let [opacity, tint, light] = [OPACITY, tints[entry], 1];
    if (!layer) opacity = 0;
    else if (only !== null) [opacity, light] = entry === only ? [0.15, 1] : [0, DIMMED];
    else if (layer.background && entry === 0) [opacity, light] = [0, 0.55];
    for (let band = 0; band < 3; band += 1) {
      const color = opacity ? tint[band] : 0;
      out[place + band] = isBorder ? 255
        : light * ((1 - opacity) * image[place + band] + opacity * color);
    }
    out[place + 3] = 255;
  }
  pen.putImageData(image, 0, 0);
  names.classList.toggle('faded', only !== null);
  for (const button of legend.querySelectorAll('button')) {
    button.setAttribute('aria-pressed', Number(button.dataset.entry) === chosen);
  }
}

function describe() {
  const entries = layer ? layer.entries.map((entry, index) => ({ ...entry, index })) : [];
  const found = entries.filter((entry) => entry.share > 0).sort((a, b) => b.share - a.share);
  const absent = entries.slice(layer?.background ? 1 : 0)
    .filter((entry) => entry.share === 0).map((entry) => entry.name);
  const parts = found.map((entry) => `${entry.name} ${percent(entry.share)}`).join(', ');
  canvas.setAttribute('aria-label', layer ? `The image in colors: ${parts}` : 'The image');
  lead.textContent = absent.length ? `not found: ${absent.join(', ')}` : '';
  legend.replaceChildren(...found.map(item));
  names.replaceChildren(...(layer ? layer.places : []).map(written));
}

function item(entry) {
  const [line, button, swatch, share] = ['li', 'button', 'i', 'small'].map(
    (kind) => document.createElement(kind));
  swatch.style.background = entry.color;
  share.textContent = percent(entry.share);
  button.type = 'button';
  button.dataset.entry = entry.index;
  button.append(swatch, entry.name, share);
  for (const name of ['mouseenter', 'focus']) button.addEventListener(name, () => paint(entry.index));
  for (const name of ['mouseleave', 'blur']) button.addEventListener(name, () => paint());
  button.addEventListener('click', () => {
    chosen = chosen === entry.index ? null : entry.index;
    paint();
  });
  line.append(button);
  return line;
}

function written(place) {
  const [label, entry] = [document.createElement('span'), layer.entries[place.entry]];
  const half = `${0.3 * entry.name.length + 0.7}em`;  // lest the image's edge cuts it
  label.textContent = entry.name;
  Object.assign(label.style, { top: `${100 * place.y}%`,
    left: `clamp(${half}, ${100 * place.x}%, calc(100% - ${half}))`, background: entry.color, color: entry.ink });
  return label;
}

let pointed = null;
canvas.addEventListener('pointermove', (event) => {
  if (!layer) return;
  const box = canvas.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  const column = Math.min(canvas.width - 1, Math.max(0, Math.floor(x / box.width * canvas.width)));
  const row = Math.min(canvas.height - 1, Math.max(0, Math.floor(y / box.height * canvas.height)));
  const entry = indices[row * canvas.width + column];
  tip.textContent = `${layer.entries[entry].name}, ${percent(layer.entries[entry].share)}`;
  Object.assign(tip.style, { left: `${x}px`, top: `${y}px` });
  tip.hidden = false;
  if (entry !== pointed) paint(pointed = entry);
});
canvas.addEventListener('pointerleave', () => { [tip.hidden, pointed] = [true, null]; if (image) paint(); });

watch(['image', 'layers', 'value'], refresh);
