// Draws an image with an overlay; the region under the pointer, or the selected one, is highlighted.
const OPACITY = 0.55, DIMMED = 0.25;
const canvas = element.querySelector('canvas');
const context = canvas.getContext('2d');
const [empty, stage, tip, warnings, lead, legend, names] = [
  '.empty', '.stage', '.tip', '.warnings', '.lead', '.legend', '.names',
].map((selector) => element.querySelector(selector));
let pixels = null, overlay = null, indices = null, selected = null, refreshes = 0;

async function load(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

function pixelsOf(image) {
  const offscreen = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const reading = offscreen.getContext('2d', { willReadFrequently: true });
  reading.drawImage(image, 0, 0);
  return reading.getImageData(0, 0, offscreen.width, offscreen.height).data;
}

const rgb = (css) => [1, 3, 5].map((start) => parseInt(css.slice(start, start + 2), 16));
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

async function refresh() {
  const number = ++refreshes;
  if (!props.image) return;
  const image = await load(props.image);
  const next = props.overlays[props.value] ?? null;
  const map = next ? pixelsOf(await load(next.map)) : null;
  if (number !== refreshes) return;  // a newer refresh has begun
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  [pixels, overlay, selected] = [pixelsOf(image), next, null];
  indices = map && Uint16Array.from({ length: map.length / 4 }, (_, at) => map[4 * at] + 256 * map[4 * at + 1]);
  [empty.hidden, stage.hidden] = [true, false];
  paint();
  describe();
  element.dataset.shown = props.value;
}

function paint(highlighted = selected) {
  const drawn = context.createImageData(canvas.width, canvas.height);
  const width = canvas.width;
  const colors = overlay ? overlay.regions.map((region) => rgb(region.color)) : [];
  for (let at = 0; at < width * canvas.height; at += 1) {
    const index = indices ? indices[at] : -1;
    const isBorder = indices && ((at + 1) % width && indices[at + 1] !== index
      || at + width < indices.length && indices[at + width] !== index);
    let [opacity, light] = [OPACITY, 1];
    if (!overlay) opacity = 0;
    else if (highlighted !== null) [opacity, light] = index === highlighted ? [0.15, 1] : [0, DIMMED];
    else if (overlay.has_background && index === 0) [opacity, light] = [0, 0.55];
    for (let band = 0; band < 3; band += 1) {
      const color = opacity ? colors[index][band] : 0;
      drawn.data[4 * at + band] = isBorder ? 255
        : light * ((1 - opacity) * pixels[4 * at + band] + opacity * color);
    }
    drawn.data[4 * at + 3] = 255;
  }
  context.putImageData(drawn, 0, 0);
  names.classList.toggle('faded', highlighted !== null);
  for (const button of legend.querySelectorAll('button')) {
    button.setAttribute('aria-pressed', Number(button.dataset.region) === selected);
  }
}

function describe() {
  const regions = overlay ? overlay.regions.map((region, index) => ({ ...region, index })) : [];
  const found = regions.filter((region) => region.share > 0).sort((a, b) => b.share - a.share);
  const absent = regions.slice(overlay?.has_background ? 1 : 0)
    .filter((region) => region.share === 0).map((region) => region.name);
  const shares = found.map((region) => `${region.name} ${percent(region.share)}`).join(', ');
  canvas.setAttribute('aria-label', overlay ? `The image in colors: ${shares}` : 'The image');
  warnings.textContent = props.warnings.join('. ');
  lead.textContent = absent.length ? `not found: ${absent.join(', ')}` : '';
  legend.replaceChildren(...found.map(legendItem));
  names.replaceChildren(...(overlay ? overlay.names : []).map(nameLabel));
}

function legendItem(region) {
  const [item, button, swatch, share] = ['li', 'button', 'i', 'small'].map(
    (kind) => document.createElement(kind));
  swatch.style.background = region.color;
  share.textContent = percent(region.share);
  button.type = 'button';
  button.dataset.region = region.index;
  button.append(swatch, region.name, share);
  for (const name of ['mouseenter', 'focus']) button.addEventListener(name, () => paint(region.index));
  for (const name of ['mouseleave', 'blur']) button.addEventListener(name, () => paint());
  button.addEventListener('click', () => {
    selected = selected === region.index ? null : region.index;
    paint();
  });
  item.append(button);
  return item;
}

function nameLabel(position) {
  const [label, region] = [document.createElement('span'), overlay.regions[position.region]];
  const half = `${0.3 * region.name.length + 0.7}em`;  // so that the edge of the image does not cut it
  label.textContent = region.name;
  Object.assign(label.style, { top: `${100 * position.y}%`,
    left: `clamp(${half}, ${100 * position.x}%, calc(100% - ${half}))`,
    background: region.color, color: region.text_color });
  return label;
}

let hovered = null;
canvas.addEventListener('pointermove', (event) => {
  if (!overlay) return;
  const box = canvas.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  const column = Math.min(canvas.width - 1, Math.max(0, Math.floor(x / box.width * canvas.width)));
  const row = Math.min(canvas.height - 1, Math.max(0, Math.floor(y / box.height * canvas.height)));
  const index = indices[row * canvas.width + column];
  tip.textContent = `${overlay.regions[index].name}, ${percent(overlay.regions[index].share)}`;
  Object.assign(tip.style, { left: `${x}px`, top: `${y}px` });
  tip.hidden = false;
  if (index !== hovered) paint(hovered = index);
});
canvas.addEventListener('pointerleave', () => { [tip.hidden, hovered] = [true, null]; if (pixels) paint(); });

watch(['image', 'overlays', 'value'], refresh);
