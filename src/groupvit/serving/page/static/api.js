// Calls of the server's own API; every failure is an ApiError with a sentence.
import { capitalized } from './elements.js';

export class ApiError extends Error {
  constructor(status, message) {
    super(capitalized(message));
    this.status = status;
  }

  // The request itself is at fault, so that sending it again does not help.
  get isMistake() {
    return [400, 413, 415, 422].includes(this.status);
  }
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new ApiError(0, 'The server does not answer. Check that it runs, and try again.');
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  throw new ApiError(response.status, answer.detail ?? `The server answered with status ${response.status}.`);
}

function post(path, values, headers = {}) {
  const body = JSON.stringify(values);
  return call(path, { method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body });
}

export const getJson = async (path) => (await call(path)).json();
export const getBlob = async (path) => (await call(path)).blob();

// An image and its groups on the server. A session that has ended there begins anew, unnoticed.
export class Session {
  static async open(blob) {
    const session = new Session();
    session.blob = blob;
    await session.begin();
    return session;
  }

  async begin() {
    const body = new FormData();
    body.append('image', this.blob, 'image');
    const found = await (await call('v1/group', { method: 'POST', body })).json();
    [this.id, this.stages] = [found.session, found.stages];
  }

  async post(path, values, headers) {
    try {
      return await post(path, { session: this.id, ...values }, headers);
    } catch (error) {
      if (error.status !== 404) throw error;
      await this.begin();
      return post(path, { session: this.id, ...values }, headers);
    }
  }

  async label(settings) {
    return (await this.post('v1/label', settings)).json();
  }

  async assignment(stage, group) {
    return (await this.post('v1/assignment', { stage, group })).blob();
  }

  async file(settings, view) {
    const headers = { Accept: view === 'coco' ? 'application/json' : 'image/png' };
    const answer = await this.post('v1/segment_session', view === 'coco' ? settings : { ...settings, view }, headers);
    if (view !== 'coco') return answer.blob();
    return new Blob([JSON.stringify((await answer.json()).coco)], { type: 'application/json' });
  }
}
