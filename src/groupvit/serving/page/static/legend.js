// List of the regions of a view, the largest first; a region can be pointed at, or selected.
import { byId, button, element, percent } from './elements.js';

export class Legend {
  #onHover;
  #onSelect;

  constructor(onHover, onSelect) {
    [this.#onHover, this.#onSelect] = [onHover, onSelect];
  }

  show(view) {
    const regions = [...(view?.regions.values() ?? [])];
    const found = regions.filter((region) => region.share > 0).sort((a, b) => b.share - a.share);
    const absent = regions.filter((region) => region.share === 0 && !region.isBackground).map((region) => region.name);
    byId('absent').textContent = absent.length ? `Not found: ${absent.join(', ')}` : '';
    byId('legend').replaceChildren(...found.map((region) => element('li', {}, this.#button(region))));
  }

  select(value) {
    for (const one of byId('legend').querySelectorAll('button')) {
      one.setAttribute('aria-pressed', Number(one.dataset.value) === value);
    }
  }

  #button(region) {
    const swatch = element('i');
    swatch.style.background = region.color;
    const made = button(swatch, () => this.#onSelect(region.value), { 'data-value': region.value, 'aria-pressed': false });
    made.append(element('span', {}, region.name), element('small', {}, percent(region.share)));
    for (const name of ['mouseenter', 'focus']) made.addEventListener(name, () => this.#onHover(region.value));
    for (const name of ['mouseleave', 'blur']) made.addEventListener(name, () => this.#onHover(null));
    return made;
  }
}
