// The page: an image is grouped once; labels and sliders label its groups again.
import { getJson, Session } from './api.js';
import { Controls } from './controls.js';
import { byId, button, element, save } from './elements.js';
import { latest } from './latest.js';
import { Legend } from './legend.js';
import { picker } from './picker.js';
import { readImage, readMap } from './pixels.js';
import { Viewer } from './viewer.js';
import { groupView, labelView } from './views.js';
import { Words } from './words.js';

const DOWNLOADS = [
  ['overlay', 'Overlay (PNG)', 'groupvit.overlay.png'],
  ['labels', 'Labels (index PNG)', 'groupvit.png'],
  ['coco', 'Masks (COCO JSON)', 'groupvit.json'],
  ['groups', 'Groups (PNG)', 'groupvit.groups.png'],
];

let [session, stages, labeled, view, selected, soft, opened] = [null, [], null, null, null, null, 0];
let chosenView = 'labels';
let words, controls, picking;

const viewer = new Viewer(hover);
const legend = new Legend(hover, select);
const progress = (text) => {
  byId('progress').textContent = text;
  byId('figure').setAttribute('aria-busy', text !== '');
};

function fail(error, again) {
  byId('result-error').replaceChildren(error.message, ' ', ...(again ? [button('Try again', again, { class: 'choice' })] : []));
}

async function open(blob, labels) {
  const number = ++opened;
  byId('result-error').replaceChildren();
  progress('Grouping the image …');
  try {
    const found = await Session.open(blob);
    const maps = await Promise.all(found.stages.map((stage) => readMap(stage.map)));
    const { width, height } = maps[0];
    const pixels = await readImage(blob, width, height);
    if (number !== opened) return;  // a newer image was chosen
    [session, labeled, stages] = [found, null, found.stages.map((stage, index) => ({ ...stage, map: maps[index] }))];
    picking.clear();
    viewer.open(pixels, width, height);
    if (labels) words.set(labels);
    else relabel();
    byId('figure').scrollIntoView({ block: 'nearest' });
  } catch (error) {
    if (number !== opened) return;
    progress('');
    if (error.isMistake) picking.fail(error.message);
    else if (error.status === undefined) picking.fail('This browser cannot show the image.');
    else fail(error, () => open(blob, labels));
  }
}

const relabel = latest(async () => {
  controls.fit(words.labels.length);
  if (!session) return;
  byId('result-error').replaceChildren();
  const current = session;
  try {
    if (words.labels.length) {
      progress('Labeling the groups …');
      const found = await session.label({ labels: words.labels, ...controls.values });
      const map = await readMap(found.map);
      if (current !== session) return;
      labeled = { ...found, map };
      words.mark(found);
    } else {
      labeled = null;
      words.mark({ unknown: {}, labels: [], warnings: [] });
    }
    show();
  } catch (error) {
    if (error.isMistake) words.fail(error.message);
    else fail(error, relabel);
  } finally {
    progress('');
  }
});

function show() {
  [selected, soft] = [null, null];
  view = null;
  if (chosenView === 'labels' && labeled) view = labelView(labeled, labeled.map);
  const index = stages.findIndex((stage) => `stage ${stage.stage}` === chosenView);
  if (index >= 0) view = groupView(stages, index, labeled?.group_labels[index] ?? null);
  viewer.show(view);
  legend.show(view);
  invite();
  detail();
  for (const one of byId('downloads').children) one.disabled = !labeled;
  byId('figure').dataset.shown = labeled ? chosenView : `${chosenView}, no labels`;
}

function invite() {
  const text = 'Add labels to see where they are in the image, such as ';
  const choices = words.suggested(6).map((one) => button(one, () => words.add(one), { class: 'choice', 'aria-label': `Add ${one}` }));
  byId('invitation').replaceChildren(...(session && !words.labels.length ? [element('p', {}, text, ...choices)] : []));
}

function hover(value) {
  if (view) viewer.paint(value ?? selected, value === null ? soft : null);
}

function select(value) {
  selected = selected === value ? null : value;
  soft = null;
  legend.select(selected);
  detail();
  hover(selected);
}

function detail() {
  const region = selected === null ? null : view?.regions.get(selected);
  const parts = region ? [`${view.sentence(region)}. `] : [];
  if (region && view.stage) parts.push(button('Soft map', showSoft, { class: 'choice', 'aria-pressed': soft !== null }));
  byId('details').replaceChildren(...parts);
}

async function showSoft(event) {
  const [group, shown] = [selected, view];
  if (soft) {
    soft = null;
  } else {
    try {
      const file = await session.assignment(view.stage, group);
      const found = await readImage(file, view.map.width, view.map.height);
      if (selected !== group || view !== shown) return;
      soft = found;
    } catch (error) {
      fail(error);
    }
  }
  event.target.setAttribute('aria-pressed', soft !== null);
  viewer.paint(selected, soft);
}

function drawViews(count) {
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  const choices = [['labels', 'Labels'], ...numbers.map((stage) => [`stage ${stage}`, `Groups, stage ${stage}`]), ['image', 'Image']];
  for (const [value, text] of choices) {
    const input = element('input', { type: 'radio', name: 'view', value });
    input.checked = value === chosenView;
    input.addEventListener('change', () => { chosenView = value; if (session) show(); });
    byId('views').append(element('label', {}, input, text));
  }
}

function drawDownloads() {
  for (const [kind, text, name] of DOWNLOADS) {
    const made = button(text, async () => {
      byId('result-error').replaceChildren();
      try {
        save(await session.file({ labels: words.labels, ...controls.values }, kind), name);
      } catch (error) {
        fail(error);
      }
    });
    made.disabled = true;
    byId('downloads').append(made);
  }
}

async function start() {
  const settings = await getJson('settings.json');
  byId('introduction').replaceChildren(element('b', {}, settings.model), ` · ${settings.introduction}`);
  if (settings.documentation) {
    Object.assign(byId('documentation'), { href: settings.documentation, hidden: false });
  }
  drawViews(settings.num_stages);
  drawDownloads();
  words = new Words(settings.suggestions, relabel);
  controls = new Controls(settings.threshold, relabel);
  picking = picker(settings, open, (error) => fail(error));
}

start().catch((error) => fail(error, () => location.reload()));
