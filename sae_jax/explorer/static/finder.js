// The box in the header: documents by keyword, features and families by label, "go to #123".

import { address, get } from "./api.js";
import { announce, h } from "./dom.js";
import { onKey } from "./keys.js";
import { count } from "./numbers.js";
import { chip, marked, nameOf } from "./parts.js";

const WAIT = 150; // milliseconds after a key
const LONGEST = 90; // characters of a document's line

export function drawFinder(root, { meta, navigate }) {
  const list = h("div", {
    id: "found",
    class: "found",
    role: "listbox",
    "aria-label": "Found",
  });
  const hint = h("p", { class: "hint" });
  const popup = h("div", { class: "popup", hidden: true }, list, hint);
  const input = h("input", {
    type: "search",
    role: "combobox",
    autocomplete: "off",
    spellcheck: "false",
    "aria-label": "Find documents, features and families",
    placeholder: "Find  /",
    "aria-expanded": "false",
    "aria-controls": "found",
    "aria-autocomplete": "list",
  });
  let chosen = -1;
  let timer;
  let asking = new AbortController();

  const options = () => [...list.querySelectorAll("[role=option]")];
  const choose = (place) => {
    const every = options();
    chosen = every.length ? Math.max(-1, Math.min(every.length - 1, place)) : -1;
    every.forEach((one, i) => one.setAttribute("aria-selected", String(i === chosen)));
    if (chosen < 0) input.removeAttribute("aria-activedescendant");
    else {
      input.setAttribute("aria-activedescendant", every[chosen].id);
      every[chosen].scrollIntoView({ block: "nearest" });
    }
  };
  const shown = (open) => {
    popup.hidden = !open;
    input.setAttribute("aria-expanded", String(open));
    if (!open) choose(-1);
  };
  const close = () => {
    clearTimeout(timer);
    asking.abort();
    shown(false);
  };
  const draw = (groups) => {
    list.replaceChildren(...groups.filter(Boolean));
    options().forEach((one, i) => (one.id = `found-${i}`));
    choose(-1);
  };

  const ask = async () => {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    const query = input.value.trim();
    if (!query) return close();
    hint.replaceChildren(h("kbd", {}, "Enter"), ` searches by meaning for “${query}”`);
    const names = get(address("/api/find", { q: query, of: "names" }), { signal });
    const documents = get(address("/api/find", { q: query, of: "documents" }), { signal });
    documents.catch(() => null); // said below, after the names
    try {
      const named = await names;
      draw([...namedGroups(named, meta), group("Documents", [], "looking …")]);
      shown(true);
      const found = await documents;
      const kept = chosen;
      draw([...namedGroups(named, meta), documentGroup(found, query, meta)]);
      choose(kept);
      announce(`${count(options().length)} found`);
    } catch (error) {
      if (error.name === "AbortError") return undefined;
      draw([group("Find", [], error.message)]);
      shown(true);
    }
    return undefined;
  };

  input.addEventListener("input", () => {
    choose(-1); // of what was found for other words
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT);
  });
  input.addEventListener("focus", () => input.value.trim() && popup.hidden && ask());
  input.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps && popup.hidden) ask();
    else if (event.key in steps) choose(chosen + steps[event.key]);
    else if (event.key === "Enter") {
      const href = options()[chosen]?.getAttribute("href");
      const query = input.value.trim();
      if (href || query) go(href ?? address("/search", { q: query }));
    } else if (event.key === "Escape") {
      if (popup.hidden) input.blur();
      else close();
    } else return;
    event.preventDefault();
  });
  const go = (href) => {
    close();
    input.blur();
    navigate(href);
  };
  popup.addEventListener("mousedown", (event) => event.preventDefault()); // the box keeps the focus
  popup.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    go(link.getAttribute("href"));
  });
  root.addEventListener("focusout", (event) => !root.contains(event.relatedTarget) && close());
  const focus = () => {
    input.focus();
    input.select();
  };
  onKey("/", "find a document, feature or family", focus);
  onKey("Ctrl+k", "the same", focus);
  root.replaceChildren(input, popup);
}

function namedGroups(found, meta) {
  const features = found.features.map((one) =>
    option(`/feature/${one.latent}`, nameOf(one), chip(one)),
  );
  const families = found.families.map((one) =>
    option(
      `/family/${one.number}`,
      nameOf(one.parent),
      h("span", { class: "chip" }, `${count(one.n_members)} members`),
    ),
  );
  const places = found.go.map((one) =>
    one.kind === "feature"
      ? option(
          `/feature/${one.latent}`,
          `Go to feature ${one.latent} `,
          h("span", { class: "soft" }, one.label),
        )
      : option(
          `/document/${one.row}`,
          `Go to document ${one.row} `,
          h("span", { class: "soft" }, cut(one.title || one.text || "")),
        ),
  );
  const nameless = meta.missing.labels && "no labels yet: see `sae-jax label`";
  const without = meta.missing.families && "none were made: see `sae-jax families`";
  return [
    places.length > 0 && group("Go to", places),
    group(
      title("Features", features, found.n_features),
      features,
      nameless ?? "none of this label",
    ),
    group(
      title("Families", families, found.n_families),
      families,
      without ?? "none of this label",
    ),
  ];
}

function documentGroup(found, query, meta) {
  const words = query.match(/[\p{L}\p{N}]+/gu) ?? [];
  const lines = found.documents.map((one) =>
    option(
      `/document/${one.row}`,
      one.title && h("strong", {}, cut(one.title)),
      " ",
      marked(around(one.text ?? "", words), words),
    ),
  );
  const why = meta.missing.texts
    ? "this corpus has no texts to find words in"
    : "none has these words";
  const first = found.ranked ? "" : " (the first, not the best)";
  return group(title("Documents", lines, found.n_documents) + first, lines, why);
}

const title = (name, lines, n) =>
  n > lines.length ? `${name}, ${lines.length} of ${count(n)}` : name;

const cut = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST)} …` : text);

/** A piece of the text that has one of these words in it. */
function around(text, words) {
  const lower = text.toLowerCase();
  const places = words.map((word) => lower.indexOf(word.toLowerCase())).filter((at) => at >= 0);
  const start = Math.min(...places) - LONGEST / 3;
  return start > LONGEST / 3 && places.length
    ? `… ${cut(text.slice(start).replace(/^\S*\s/, ""))}`
    : cut(text);
}

/** Where it holds nothing, why. */
function group(name, lines, why) {
  const head = h(
    "span",
    { class: "head", role: "presentation" },
    name,
    lines.length ? null : h("span", { class: "soft" }, ` · ${why}`),
  );
  return h("div", { class: "group", role: "group", "aria-label": name }, head, lines);
}

function option(href, ...children) {
  return h(
    "a",
    { role: "option", href, tabindex: "-1", "aria-selected": "false", dir: "auto" },
    children,
  );
}
