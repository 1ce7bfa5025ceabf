// Background, its threshold, and the number of labels.
import { byId } from './elements.js';

const QUANTITIES = {
  score: 'A score from 0 to 1: pixels whose best label has a lower one are background.',
  similarity: 'A cosine: pixels whose best label has a lower one are background.',
  margin: 'A cosine, minus that of the learned background: pixels below it are background.',
};

export class Controls {
  #isUsual = true;
  #count = 0;

  constructor(range, onChange) {
    const [has, slider, number, top] = ['background', 'threshold', 'threshold-number', 'top'].map(byId);
    for (const one of [slider, number]) {
      [one.min, one.max, one.value] = [range.lowest, range.highest, range.usual];
      one.addEventListener('input', () => {
        if (one.value === '' || !one.checkValidity()) return;
        const other = one === slider ? number : slider;
        [other.value, this.#isUsual] = [one.value, false];
        onChange();
      });
    }
    const words = range.has_words ? ' Besides, words such as sky and wall compete as background.' : '';
    byId('threshold-help').textContent = QUANTITIES[range.certainty] + words;
    has.addEventListener('change', () => {
      slider.disabled = number.disabled = !has.checked;
      onChange();
    });
    top.addEventListener('input', () => { this.#show(); onChange(); });
    this.fit(0);
  }

  // Fit the number of labels to those in use; all stay all.
  fit(count) {
    const top = byId('top');
    const isAll = this.#count === 0 || Number(top.value) >= this.#count;
    this.#count = count;
    top.max = Math.max(1, count);
    if (isAll || Number(top.value) > count) top.value = count;
    top.disabled = count < 2;
    this.#show();
  }

  // Fields of a request.
  get values() {
    const fields = {};
    const top = Number(byId('top').value);
    if (byId('background').checked) fields.background = 'auto';
    if (byId('background').checked && !this.#isUsual) fields.background_threshold = Number(byId('threshold').value);
    if (top < this.#count) fields.top_labels = top;
    return fields;
  }

  #show() {
    const top = Number(byId('top').value);
    byId('top-number').textContent = top < this.#count ? `${top} of ${this.#count}` : 'all';
  }
}
