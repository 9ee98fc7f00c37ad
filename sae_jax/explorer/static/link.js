// Copies links and other texts, and says whether it was possible.

import { announce, h } from "./dom.js";
import { onKey } from "./keys.js";

const SAID_FOR = 1500; // milliseconds
const NOT = "Not copied: the browser allows it on 127.0.0.1 and https only.";
const own = new WeakMap(); // button → its own text, and when that comes back

/** `button`, if any, says for a moment whether it is done. */
export async function copyText(button, text, { name = "Text", otherwise = "" } = {}) {
  const done = await navigator.clipboard?.writeText(text).then(
    () => true,
    () => false,
  );
  const said = done ? `${name} copied` : `${NOT} ${otherwise}`.trim();
  announce(said);
  if (!button) return;
  const before = own.get(button) ?? { text: button.textContent, title: button.title };
  clearTimeout(before.timer);
  button.textContent = done ? "Copied" : "Not copied";
  button.title = said;
  const back = () => Object.assign(button, { textContent: before.text, title: before.title });
  own.set(button, { ...before, timer: setTimeout(back, SAID_FOR) });
}

/** Copies an address of the explorer; without `href` that of what is shown. */
export function copyLink(button, href = location.href) {
  const link = new URL(href, location.href).href;
  return copyText(button, link, { name: "Link", otherwise: "The address bar has the link." });
}

/** The address of what is shown, with the run that it was made on. */
export function hereOn(meta) {
  const url = new URL(location.href);
  url.searchParams.set("run", meta.fingerprint);
  return url.href;
}

/** A button, and the key y, that copy the address of what is shown. */
export function copyButton(meta, { signal }) {
  const button = h("button", { type: "button" }, "Copy link");
  const copy = () => copyLink(button, hereOn(meta));
  button.onclick = copy;
  onKey("y", "copy the link to this page", copy, { signal });
  return button;
}
