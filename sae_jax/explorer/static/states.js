// What every page shows while it waits, where there is nothing, and where something failed.

import { h } from "./dom.js";
import { copyText } from "./link.js";

const BAR_AFTER = 150; // milliseconds; faster answers need no sign
const SECONDS_AFTER = 2000;
let waiting = 0;
const last = new WeakMap(); // root → a token of its last question

/** Runs `work`; a thin bar and then seconds say that it takes a while. */
export async function waited(work) {
  const bar = document.getElementById("progress");
  const began = performance.now();
  waiting += 1;
  const sign = setTimeout(() => (bar.hidden = false), BAR_AFTER);
  const clock = setInterval(() => {
    const passed = performance.now() - began;
    if (passed > SECONDS_AFTER) bar.textContent = `${Math.round(passed / 1000)} s`;
  }, 500);
  try {
    return await work();
  } finally {
    clearTimeout(sign);
    clearInterval(clock);
    waiting -= 1;
    if (!waiting) {
      bar.hidden = true;
      bar.textContent = "";
    }
  }
}

/**
 * Fills `root` by `draw(await ask())`; what was there stays until then, errors get a button.
 * An answer that comes after a later one was asked for is dropped.
 */
export async function filled(root, ask, draw, { signal, rows = 6 } = {}) {
  if (!root.childElementCount) root.replaceChildren(skeleton(rows));
  const mine = {};
  last.set(root, mine);
  const dropped = () => signal?.aborted || last.get(root) !== mine;
  try {
    const found = await waited(ask);
    if (dropped()) return undefined;
    root.replaceChildren(...[draw(found)].flat());
    return found;
  } catch (error) {
    if (error.name === "AbortError" || dropped()) return undefined;
    root.replaceChildren(failed(error, () => filled(root, ask, draw, { signal, rows })));
    return undefined;
  }
}

export function skeleton(rows) {
  const lines = Array.from({ length: rows }, () => h("div", { class: "skeleton" }));
  return h("div", { "aria-busy": "true", "aria-label": "Loading" }, lines);
}

/** One sentence, and what to do about it. */
export function empty(sentence, ...actions) {
  return h("div", { class: "empty" }, h("p", {}, sentence), actions);
}

/** Something of the run is not there, and how to make it. */
export function missing(why) {
  return h("p", { class: "note", role: "note" }, why);
}

export function failed(error, again) {
  if (!error.status && error.status !== 0) console.error(error); // a defect of this page
  const details = error.details ?? String(error.stack);
  const copy = h("button", { type: "button" }, "Copy details");
  copy.onclick = () => copyText(copy, details, { name: "Details" });
  const retry = h("button", { type: "button", class: "again", onclick: again }, "Retry");
  return h(
    "div",
    { class: "failed", role: "alert", "data-lost": !error.status },
    h("p", {}, error.message),
    error.status === 404 ? null : retry,
    copy,
  );
}
