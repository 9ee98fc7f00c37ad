// The keys of the search page.

import { onKey } from "../keys.js";
import { copyLink, hereOn } from "../link.js";

/** To walk through the hits of a list and to open them. */
export function hitKeys({ list, navigate, signal }) {
  const on = (key, what, does) => onKey(key, what, does, { signal });
  const items = () => [...list.root.children];
  const chosen = () => items().find((item) => item.hit.row === list.chosen);
  const step = (by) => {
    const at = items().indexOf(chosen());
    const last = items().length - 1;
    items()[Math.max(0, Math.min(last, at < 0 ? 0 : at + by))]?.focus();
  };
  on("j", "next hit", () => step(1));
  on("k", "previous hit", () => step(-1));
  on("Enter", "open the hit", () => {
    if (!document.activeElement?.matches(".hit")) return false;
    return navigate(`/document/${list.chosen}`);
  });
  on("x", "why this hit", () => chosen() && list.toggle(chosen()));
  on("o", "open the hit's source", () => chosen()?.querySelector(".source")?.click());
}

/** `apply` shows what a movement has changed. */
export function steeringKeys({ moves, apply, meta, signal }) {
  const on = (key, what, does) => onKey(key, what, does, { signal });
  on("u", "undo", () => apply(moves.undo()));
  on("Ctrl+z", "undo", () => apply(moves.undo()));
  on("r", "reset all sliders", () => apply(moves.reset()));
  on("y", "copy the link", () => copyLink(null, hereOn(meta)));
}
