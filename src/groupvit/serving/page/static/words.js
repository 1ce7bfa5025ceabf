// Labels as chips, with suggestions; words that the model does not know are marked.
import { byId, button, capitalized, element } from './elements.js';

// Texts between commas that are not in quotation marks.
const split = (text) => (text.match(/(?:"(?:[^"]|"")*"|[^,])+/g) ?? []).map((one) => one.trim()).filter(Boolean);
const unquoted = (word) => (/^".*"$/s.test(word) ? word.slice(1, -1).replaceAll('""', '"') : word);
const wordsOf = (label) => label.split('|').map((word) => unquoted(word.trim()).trim().replace(/\s+/g, ' '));

export class Words {
  #labels = [];
  #unknown = {};
  #expanded = {};
  #onChange;
  #suggestions;
  #known = new Set();

  constructor(suggestions, onChange) {
    [this.#suggestions, this.#onChange] = [suggestions, onChange];
    this.#known = new Set(suggestions);
    const input = byId('label');
    input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') {
        event.preventDefault();
        this.#take(input);
      } else if (event.key === 'Backspace' && input.value === '' && this.#labels.length) {
        this.remove(this.#labels.at(-1));
      }
    });
    input.addEventListener('input', (event) => {
      const isChosen = !(event instanceof InputEvent) || event.inputType === 'insertReplacementText';
      if (isChosen && this.#known.has(input.value)) this.#take(input);
    });
    byId('add').addEventListener('click', () => { this.#take(input); input.focus(); });
    this.#draw();
  }

  get labels() {
    return [...this.#labels];
  }

  // The first suggestions that are not in use.
  suggested(count) {
    return this.#suggestions.filter((one) => !this.#labels.includes(one)).slice(0, count);
  }

  set(labels) {
    this.#labels = [...labels];
    this.#changed();
  }

  add(label) {
    if (this.#labels.some((other) => other.toLowerCase() === label.toLowerCase())) {
      this.fail(`${label} is in use already`);
      return;
    }
    this.set([...this.#labels, label]);
  }

  remove(label) {
    this.set(this.#labels.filter((other) => other !== label));
    byId('label').focus();
  }

  replace(word, by) {
    const changed = this.#labels.map((label) => (
      wordsOf(label).includes(word) ? wordsOf(label).map((one) => (one === word ? by : one)).join('|') : label));
    this.set(changed.filter((label, at) => changed.indexOf(label) === at));
    byId('label').focus();
  }

  // Marks words by a response of the server.
  mark({ unknown, labels, warnings }) {
    this.#unknown = unknown;
    this.#expanded = Object.fromEntries(labels.filter((one) => one.words.length).map((one) => [one.name, one.words]));
    this.#draw();
    const lines = Object.entries(unknown).map(([word, near]) => this.#line(word, near));
    if (lines.length) lines.push(element('p', { class: 'help' }, capitalized(warnings.at(-1))));
    byId('unknown').replaceChildren(...lines);
  }

  fail(text) {
    byId('labels-error').textContent = text;
  }

  #take(input) {
    const given = split(input.value);
    input.value = '';
    for (const label of given) this.add(label);
  }

  #changed() {
    this.fail('');
    const words = new Set(this.#labels.flatMap(wordsOf));
    const left = Object.keys(this.#unknown).filter((word) => words.has(word));
    if (left.length < Object.keys(this.#unknown).length) byId('unknown').replaceChildren();
    this.#unknown = Object.fromEntries(left.map((word) => [word, this.#unknown[word]]));
    this.#draw();
    this.#onChange();
  }

  #draw() {
    byId('chips').replaceChildren(...this.#labels.map((label) => this.#chip(label)));
    const free = this.#suggestions.filter((one) => !this.#labels.includes(one));
    byId('suggestions').replaceChildren(...free.map((one) => element('option', { value: one })));
  }

  #chip(label) {
    const isUnknown = wordsOf(label).some((word) => word in this.#unknown);
    const item = element('li', { class: isUnknown ? 'chip unknown' : 'chip' }, label);
    const note = isUnknown ? 'unknown' : this.#expansion(wordsOf(label)[0]);
    if (note) item.append(element('small', {}, note));
    item.append(button('×', () => this.remove(label), { 'aria-label': `Remove ${label}` }));
    return item;
  }

  // Words that the lexicon gave a label, if it did.
  #expansion(name) {
    const all = this.#expanded[name] ?? [];
    const others = all.filter((word) => word !== name);
    const listed = others.slice(0, 2).join(', ') + (others.length > 2 ? ' …' : '');
    return listed && `${all.includes(name) ? 'with' : 'as'} ${listed}`;
  }

  #line(word, near) {
    const text = near.length ? ' is unknown to this model. Nearest words that it knows: ' : ' is unknown to this model.';
    const choices = near.map((one) => button(one, () => this.replace(word, one), {
      class: 'choice', 'aria-label': `Replace ${word} by ${one}` }));
    return element('p', {}, element('b', {}, word), text, ...choices);
  }
}
