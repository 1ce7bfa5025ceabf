// Draws an image with a view over it; one region can be highlighted, or a soft map be shown.
import { byId, element } from './elements.js';

const [OPACITY, DIMMED] = [0.55, 0.25];
const rgb = (css) => [1, 3, 5].map((start) => parseInt(css.slice(start, start + 2), 16));

export class Viewer {
  #image = null;
  #view = null;
  #hovered = null;
  #highlighted = null;
  #canvas = byId('canvas');
  #context = this.#canvas.getContext('2d');

  constructor(onHover) {
    this.#canvas.addEventListener('pointermove', (event) => {
      const value = this.#valueAt(event);
      if (value !== this.#hovered) onHover(this.#hovered = value);
    });
    this.#canvas.addEventListener('pointerdown', (event) => {
      const value = this.#valueAt(event);
      if (value !== this.#hovered) onHover(this.#hovered = value);
    });
    this.#canvas.addEventListener('pointerleave', () => {
      byId('tip').hidden = true;
      onHover(this.#hovered = null);
    });
  }

  // RGBA of the image, in the size of the maps.
  open(pixels, width, height) {
    [this.#image, this.#view] = [pixels, null];
    [this.#canvas.width, this.#canvas.height] = [width, height];
    [byId('empty').hidden, byId('stage').hidden] = [true, false];
    this.paint();
  }

  // Show a view; null: the image alone.
  show(view) {
    this.#view = view;
    byId('tip').hidden = true;
    byId('names').replaceChildren(...(view?.names ?? []).map((place) => this.#name(place)));
    const regions = [...(view?.regions.values() ?? [])].filter((region) => region.share > 0);
    const text = regions.sort((a, b) => b.share - a.share).map((region) => view.sentence(region)).join('; ');
    this.#canvas.setAttribute('aria-label', view ? `The image in colors: ${text}` : 'The image');
    this.paint();
  }

  // Paint with a highlighted region, by its value; or with a soft map, as RGBA.
  paint(highlighted = null, soft = null) {
    if (!this.#image) return;
    this.#highlighted = highlighted;
    const { width, height } = this.#canvas;
    const drawn = this.#context.createImageData(width, height);
    if (soft) this.#paintSoft(drawn.data, soft);
    else if (this.#view) this.#paintView(drawn.data, width, highlighted);
    else drawn.data.set(this.#image);
    this.#context.putImageData(drawn, 0, 0);
    byId('names').classList.toggle('faded', highlighted !== null || soft !== null);
  }

  #paintSoft(data, soft) {
    for (let at = 0; at < data.length; at += 4) {
      const share = 0.12 + 0.88 * soft[at] / 255;
      for (let band = 0; band < 3; band += 1) data[at + band] = share * this.#image[at + band];
      data[at + 3] = 255;
    }
  }

  #paintView(data, width, highlighted) {
    const { map: { values }, inner } = this.#view;
    const styles = this.#styles(highlighted);
    for (let at = 0; at < values.length; at += 1) {
      const value = values[at];
      const { color, opacity, light } = styles[value];
      const [right, below] = [(at + 1) % width ? at + 1 : at, at + width < values.length ? at + width : at];
      const isBorder = values[right] !== value || values[below] !== value
        || (value === highlighted && inner && (inner.values[right] !== inner.values[at] || inner.values[below] !== inner.values[at]));
      for (let band = 0; band < 3; band += 1) {
        data[4 * at + band] = isBorder ? 255 : light * ((1 - opacity) * this.#image[4 * at + band] + opacity * color[band]);
      }
      data[4 * at + 3] = 255;
    }
  }

  // Color, opacity of the color, and light of every value.
  #styles(highlighted) {
    const { regions, related } = this.#view;
    const near = new Set(regions.has(highlighted) ? related(regions.get(highlighted)) : []);
    const styles = [];
    for (const [value, region] of regions) {
      let [opacity, light] = region.isBackground ? [0, 0.55] : [OPACITY, 1];
      if (highlighted !== null) {
        [opacity, light] = value === highlighted ? [0.15, 1] : near.has(value) ? [OPACITY, 0.9] : [0, DIMMED];
      }
      styles[value] = { color: rgb(region.color), opacity, light };
    }
    return styles;
  }

  // Value under the pointer, which a tip describes; null without a view.
  #valueAt(event) {
    if (!this.#view) return null;
    const box = this.#canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const { width, height } = this.#canvas;
    const column = Math.min(width - 1, Math.max(0, Math.floor(x / box.width * width)));
    const row = Math.min(height - 1, Math.max(0, Math.floor(y / box.height * height)));
    const value = this.#view.map.values[row * width + column];
    const tip = byId('tip');
    tip.textContent = this.#view.sentence(this.#view.regions.get(value));
    tip.hidden = false;
    const half = Math.min(tip.offsetWidth, box.width) / 2;
    Object.assign(tip.style, { left: `${Math.min(Math.max(x, half), box.width - half)}px`, top: `${Math.max(y, 28)}px` });
    return value;
  }

  #name(place) {
    const region = this.#view.regions.get(place.value);
    const text = place.text ?? region.name;
    const half = `${0.3 * text.length + 0.7}em`;  // so that the edge of the image does not cut it
    const made = element('span', {}, text);
    Object.assign(made.style, { top: `${100 * place.y}%`, background: region.color, color: region.text_color,
      left: `clamp(${half}, ${100 * place.x}%, calc(100% - ${half}))` });
    return made;
  }
}
