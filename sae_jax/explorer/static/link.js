// Copies the address of what is shown, with the run that it was made on.

import { announce } from "./dom.js";

/** `button`, if any, says for a moment that it is done. */
export async function copyLink({ meta, button }) {
  const url = new URL(location.href);
  url.searchParams.set("run", meta.fingerprint);
  let said = "Link copied";
  try {
    await navigator.clipboard.writeText(url.href);
  } catch {
    said =
      "Not copied: the browser allows it on 127.0.0.1 and https only. The address bar has the link.";
  }
  announce(said);
  if (!button) return;
  const before = button.textContent;
  button.textContent = said === "Link copied" ? "Copied" : "Not copied";
  button.title = said;
  setTimeout(() => (button.textContent = before), 1500);
}
