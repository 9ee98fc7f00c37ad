// The question: its form, what to begin with, search by words, and a feature to add.

import { address, get } from "../api.js";
import { h } from "../dom.js";
import { count } from "../numbers.js";
import { documentLine, featureLink, nameOf } from "../parts.js";
import { empty, filled, missing } from "../states.js";
import { addressOf } from "./asked.js";

export function drawForm(asked, { ask, meta, signal }) {
  const text = h("input", { type: "search", id: "question", "aria-label": "What to search for", placeholder: `Search ${count(meta.n_rows)} documents`, value: asked.kind === "q" ? asked.value : "", autocomplete: "off" });
  const by = h("select", { "aria-label": "How to search" },
    h("option", { value: "", selected: !asked.words }, "by meaning"), h("option", { value: "words", selected: asked.words, disabled: Boolean(meta.missing.texts) }, "by words"));
  const form = h("form", { class: "question", role: "search" }, text, by, h("button", { class: "primary" }, "Search"));
  const note = h("div");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const value = text.value.trim();
    if (value) ask(addressOf({ ...asked, kind: "q", value, words: by.value === "words" }));
  });
  get("/api/encoder", { signal }).then(({ missing: why }) => {
    if (why) note.replaceChildren(missing(`No question can be searched for by meaning: ${why} Search by words, features and documents work.`));
  }).catch(() => null); // the search itself will say it
  const from = { row: "document", feature: "feature", family: "family" }[asked.kind];
  const origin = from ? h("p", { class: "small" }, `Searched from ${from} `, h("a", { href: `/${from}/${asked.value}` }, asked.value), ". ", h("a", { href: "/search" }, "New search")) : null;
  return h("div", {}, form, note, origin);
}

/** Where to begin: documents of the corpus, and features whose labels hold. */
export async function drawStart(root, { meta, signal }) {
  const place = h("section", { class: "start" });
  root.append(place);
  document.getElementById("question").focus({ preventScroll: true });
  await filled(place, () => get("/api/start", { signal }), ({ documents, features }) => [
    meta.missing.labels ? missing(meta.missing.labels) : null,
    h("div", { class: "cards" },
      h("section", { class: "card" }, h("h2", {}, "Start from a document"),
        h("ul", { class: "plain" }, documents.map((one) => h("li", {}, h("a", { href: `/search?row=${one.row}` }, one.title || one.text || `row ${one.row}`))))),
      h("section", { class: "card" }, h("h2", {}, "Start from a feature"),
        h("ul", { class: "plain" }, features.map((one) => h("li", {}, h("a", { href: `/search?feature=${one.latent}` }, nameOf(one)))), h("li", {}, h("a", { href: "/features" }, "all features"))))),
    h("p", { class: "soft" }, "Search, then drag a feature: the list reorders while you drag. Without sliders it is plain search by cosine."),
  ].filter(Boolean), { signal });
}

/** Documents that hold all of the words: nothing to steer. */
export async function drawWords(root, asked, { signal }) {
  const place = h("section", { class: "results" });
  root.append(place);
  const path = address("/api/keywords", { q: asked.value, k: asked.k });
  await filled(place, () => get(path, { signal }), ({ n, documents, ranked }) => {
    if (!n) return empty(`No document holds all of these words.`);
    const words = asked.value.split(/\s+/).filter(Boolean);
    return [
      h("p", { class: "small soft" }, `${documents.length} of ${count(n)} documents that hold these words${ranked ? ", the best first" : ", in the order of the corpus: too many to rank"}.`),
      h("ol", { class: "hits" }, documents.map((one, i) => h("li", { class: "hit" }, h("div", { class: "rank" }, h("span", { class: "place number" }, i + 1)), h("div", { class: "body" }, documentLine(one, { marks: words })), h("div", { class: "side" }, h("a", { class: "small", href: `/search?row=${one.row}` }, "more like this"))))),
    ];
  }, { signal });
}

/** A box that finds a feature by its label, and gives it a slider. */
export function drawAdd({ add, signal }) {
  const found = h("ul", { class: "found plain" });
  const input = h("input", { type: "search", placeholder: "+ add a feature by its label or number", "aria-label": "Add a feature by its label or number" });
  let later;
  let asking = new AbortController();
  input.addEventListener("input", () => {
    clearTimeout(later);
    asking.abort();
    asking = new AbortController();
    const text = input.value.trim();
    if (!text) return found.replaceChildren();
    later = setTimeout(async () => {
      const answer = await get(address("/api/find", { q: text }), { signal: asking.signal }).catch(() => null);
      if (answer && !signal.aborted) draw(answer.features);
    }, EAGER);
    return undefined;
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") clear();
    if (event.key === "Enter") found.querySelector("button")?.click();
  });
  const clear = () => {
    input.value = "";
    found.replaceChildren();
  };
  const draw = (features) => found.replaceChildren(...(features.length ? features.map((one) => h("li", {}, h("button", { type: "button", onclick: () => { clear(); add(one); } }, "+"), " ", featureLink(one))) : [h("li", { class: "soft" }, "no such feature")]));
  return h("div", { class: "add" }, input, found);
}

const EAGER = 150; // milliseconds after the last letter
