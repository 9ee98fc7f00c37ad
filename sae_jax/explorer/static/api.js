// Asks the server. What fails is an error that says what, why, and what to do.

const RETRY_AFTER = 3000; // milliseconds, where the server does not answer
const LOOK_AFTER = 15000; // for changes of the run

export class ApiError extends Error {
  /** status 0: the server did not answer. */
  constructor(message, { status, path, requestId }) {
    super(message);
    Object.assign(this, { status, path, requestId });
  }

  get details() {
    return `${this.path}\nstatus ${this.status}, request ${this.requestId || "none"}\n${this.message}`;
  }
}

/** "lost", "back" and "stale" are told to whoever listens. */
export const events = new EventTarget();
let lost = false;

export function get(path, { signal } = {}) {
  return ask(path, { signal });
}

export function post(path, body, { signal } = {}) {
  const headers = { "content-type": "application/json" };
  return ask(path, { signal, method: "POST", headers, body: JSON.stringify(body) });
}

async function ask(path, options) {
  const response = await answer(path, options);
  return response.json();
}

/** The bytes of an answer, as an ArrayBuffer. */
export async function getBytes(path, { signal } = {}) {
  const response = await answer(path, { signal });
  return response.arrayBuffer();
}

async function answer(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (!lost) {
      lost = true;
      events.dispatchEvent(new Event("lost"));
      setTimeout(retry, RETRY_AFTER);
    }
    throw new ApiError(`the server at ${location.host} does not answer.`, { status: 0, path });
  }
  if (!response.ok) {
    const found = await response.json().catch(() => ({ error: response.statusText }));
    throw new ApiError(found.error, {
      status: response.status,
      path,
      requestId: found.request_id,
    });
  }
  return response;
}

async function retry() {
  try {
    await fetch("/healthz");
  } catch {
    setTimeout(retry, RETRY_AFTER);
    return;
  }
  lost = false;
  events.dispatchEvent(new Event("back"));
}

/** Whether the run on disk is still the one that is open; asked while the page is seen. */
export async function look() {
  if (!document.hidden && !lost) {
    const health = await get("/healthz").catch(() => null);
    if (health?.stale) events.dispatchEvent(new Event("stale"));
  }
  setTimeout(look, LOOK_AFTER);
}

/** A path with these parameters; empty ones are left out. */
export function address(path, parameters) {
  const given = Object.entries(parameters).filter(
    ([, value]) => value !== "" && value !== null && value !== undefined,
  );
  const query = new URLSearchParams(given).toString();
  return query ? `${path}?${query}` : path;
}
