// Keys of the whole page and of the page that is shown; `?` lists them.

import { h } from "./dom.js";

const known = new Map(); // key → {does, what, signal}
let pending = "";
let timer;

/**
 * `key` as KeyboardEvent has it, or two of them as in "g s". Gone when `signal` ends. Where
 * `does` returns false the key keeps its own meaning.
 */
export function onKey(key, what, does, { signal } = {}) {
  known.set(key, { what, does });
  signal?.addEventListener("abort", () => known.get(key)?.does === does && known.delete(key));
}

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return; // it has its own keys
  if (event.metaKey || event.altKey || (event.ctrlKey && !["k", "z"].includes(event.key)))
    return;
  const typing = event.target.closest(
    "input:not([type=range]):not([type=checkbox]), textarea, select",
  );
  if (typing && !event.ctrlKey) return;
  if (event.key === "Enter" && event.target.closest("a, button, summary")) return; // it has its own
  const key = event.ctrlKey ? `Ctrl+${event.key}` : event.key;
  const found = known.get(`${pending} ${key}`) ?? known.get(key);
  pending = key;
  clearTimeout(timer);
  timer = setTimeout(() => (pending = ""), 1000);
  if (!found) return;
  pending = "";
  if (found.does(event) !== false) event.preventDefault();
});

export function showKeys() {
  const rows = [...known].map(([key, { what }]) =>
    h("tr", {}, h("th", { scope: "row" }, h("kbd", {}, key)), h("td", {}, what)),
  );
  const close = h("button", { type: "button", onclick: () => sheet.close() }, "Close");
  const sheet = h(
    "dialog",
    { class: "keys", "aria-label": "Keyboard shortcuts" },
    h("h2", {}, "Keys"),
    h("table", {}, rows),
    close,
  );
  sheet.addEventListener("close", () => sheet.remove());
  document.body.append(sheet);
  sheet.showModal();
}
