// Reference of the API, made of its OpenAPI document.
import { getJson } from './api.js';
import { byId, element } from './elements.js';

let schemas = {};
const resolved = (schema) => (schema?.$ref ? schemas[schema.$ref.split('/').at(-1)] : schema) ?? {};

function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split('/').at(-1);
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(' or ');
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(' or ');
  if ('const' in schema) return JSON.stringify(schema.const);
  if (schema.type === 'array') return `list of ${typeOf(schema.items ?? {})}`;
  if (schema.type === 'object' && typeof schema.additionalProperties === 'object') return `object of ${typeOf(schema.additionalProperties)}`;
  if (schema.format === 'binary') return 'file';
  return schema.type ?? 'any';
}

function table(titles, rows) {
  const head = element('tr', {}, ...titles.map((title) => element('th', { scope: 'col' }, title)));
  const body = rows.map(([first, ...rest]) => (
    element('tr', {}, element('td', {}, element('code', {}, first)), ...rest.map((text) => element('td', {}, text)))));
  return element('div', { class: 'scroll', tabindex: 0 }, element('table', {}, element('thead', {}, head), element('tbody', {}, ...body)));
}

function fields(schema) {
  const { properties = {}, required = [] } = resolved(schema);
  return Object.entries(properties).map(([name, one]) => (
    [name, typeOf(one) + (required.includes(name) ? '' : ', optional'), one.description ?? '']));
}

// Tables of a response: of its own fields, then of those of the values in them.
function responseTables(schema, seen = new Set()) {
  const item = schema.type === 'array' ? schema.items : schema;
  const found = resolved(item);
  if (!found.properties || seen.has(found.title)) return [];
  seen.add(found.title);
  const rows = Object.entries(found.properties).map(([name, one]) => [name, typeOf(one), one.description ?? '']);
  const inner = Object.values(found.properties).flatMap((one) => responseTables(one, seen));
  return [element('h3', {}, `Response: ${found.title}`), table(['field', 'type', 'content'], rows), ...inner];
}

function example(path, method, schema) {
  const address = new URL(path.slice(1), location.href).href;
  if (method === 'get') return `curl ${address}`;
  const { properties = {}, required = [] } = resolved(schema);
  const values = { image: '@photo.jpg', labels: 'dog', words: 'dog', session: 'SESSION', stage: '1', group: '7' };
  const usual = Object.keys(properties).filter((name) => required.includes(name) || ['image', 'words'].includes(name));
  return `curl ${usual.map((name) => `-F ${name}=${values[name]}`).join(' ')} ${address}`;
}

function article(path, method, operation) {
  const parts = [element('h2', {}, element('span', {}, method.toUpperCase()), ` ${path}`), element('p', {}, operation.description ?? '')];
  const form = operation.requestBody?.content['multipart/form-data']?.schema;
  if (form) parts.push(element('h3', {}, 'Request'), table(['field', 'type', 'content'], fields(form)));
  parts.push(element('h3', {}, 'Example'), element('pre', { tabindex: 0 }, example(path, method, form)));
  const success = operation.responses['200']?.content ?? {};
  parts.push(...responseTables(success['application/json']?.schema ?? {}));
  const rows = Object.entries(operation.responses).map(([status, one]) => [status, one.description]);
  parts.push(element('h3', {}, 'Statuses'), table(['status', 'meaning'], rows));
  return element('article', {}, ...parts);
}

async function start() {
  const found = await getJson('openapi.json');
  schemas = found.components?.schemas ?? {};
  for (const [path, methods] of Object.entries(found.paths)) {
    for (const [method, operation] of Object.entries(methods)) byId('operations').append(article(path, method, operation));
  }
}

start().catch((error) => { byId('error').textContent = error.message; });
