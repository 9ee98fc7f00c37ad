// The question: its form, what to begin with, search by words, and a feature to add.

import { address, get } from "../api.js";
import { h } from "../dom.js";
import { count } from "../numbers.js";
import { nameOf } from "../parts.js";
import { filled, missing } from "../states.js";
import { addressOf } from "./asked.js";

const MOST_NAMED = 6; // sliders

export function drawForm(asked, { ask, meta, signal }) {
  const text = h("input", {
    type: "search",
    id: "question",
    "aria-label": "What to search for",
    placeholder: `Search ${count(meta.n_rows)} documents`,
    value: asked.kind === "q" ? asked.value : "",
    autocomplete: "off",
  });
  const by = h(
    "select",
    { "aria-label": "How to search" },
    h("option", { value: "", selected: !asked.words }, "by meaning"),
    h(
      "option",
      { value: "words", selected: asked.words, disabled: Boolean(meta.missing.texts) },
      "by words",
    ),
  );
  const form = h(
    "form",
    { class: "question", role: "search" },
    text,
    by,
    h("button", { class: "primary" }, "Search"),
  );
  const note = h("div");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const value = text.value.trim();
    const k = asked.words ? "10" : asked.k; // by words there may be more
    if (value) ask(addressOf({ ...asked, kind: "q", value, k, words: by.value === "words" }));
  });
  get("/api/encoder", { signal })
    .then(({ missing: why }) => {
      if (why)
        note.replaceChildren(
          missing(
            `No question can be searched for by meaning: ${why} Search by words, features and ` +
              "documents work.",
          ),
        );
    })
    .catch(() => null); // the search itself will say it
  const from = { row: "document", feature: "feature", family: "family" }[asked.kind];
  const origin = from
    ? h(
        "p",
        { class: "small" },
        `Searched from ${from} `,
        h("a", { href: `/${from}/${asked.value}` }, asked.value),
        ". ",
        h("a", { href: "/search" }, "New search"),
      )
    : null;
  return h("div", {}, form, note, origin);
}

/** Sliders that are set, though nothing is asked yet; `remove` takes them all back. */
function drawWaiting(asked, { remove, signal }) {
  const names = [...asked.sliders].slice(0, MOST_NAMED).map(([name, percent]) => {
    const [path, own] = name.startsWith("f") ? ["family", name.slice(1)] : ["feature", name];
    const link = h("a", { href: `/${path}/${own}` }, `${path} ${own}`);
    get(`/api/${path}/${own}`, { signal })
      .then((found) => (link.textContent = nameOf(found.feature ?? found.parent)))
      .catch(() => null); // its number stays
    return [link, ` at ${Math.round(percent)} %, `];
  });
  const n = asked.sliders.size;
  return h(
    "p",
    { class: "note", role: "note" },
    n === 1 ? "1 slider waits for your question: " : `${n} sliders wait for your question: `,
    names,
    h("button", { type: "button", onclick: remove }, "Remove"),
  );
}

/** Where to begin: documents of the corpus, and features whose labels hold. */
export async function drawStart(root, asked, { meta, signal, navigate }) {
  const place = h("section", { class: "start" });
  const to = (kind, value) => addressOf({ ...asked, kind, value: String(value) });
  const remove = () => navigate("/search");
  if (asked.sliders.size) root.append(drawWaiting(asked, { remove, signal }));
  root.append(place);
  document.getElementById("question").focus({ preventScroll: true });
  await filled(
    place,
    () => get("/api/start", { signal }),
    ({ documents, features }) =>
      [
        meta.missing.labels ? missing(meta.missing.labels) : null,
        h(
          "div",
          { class: "cards" },
          h(
            "section",
            { class: "card" },
            h("h2", {}, "Start from a document"),
            h(
              "ul",
              { class: "plain" },
              documents.map((one) =>
                h(
                  "li",
                  {},
                  h(
                    "a",
                    { href: to("row", one.row) },
                    one.title || one.text || `row ${one.row}`,
                  ),
                ),
              ),
            ),
          ),
          h(
            "section",
            { class: "card" },
            h("h2", {}, "Start from a feature"),
            h(
              "ul",
              { class: "plain" },
              features.map((one) =>
                h("li", {}, h("a", { href: to("feature", one.latent) }, nameOf(one))),
              ),
              h("li", {}, h("a", { href: "/features" }, "all features")),
            ),
          ),
        ),
        h(
          "p",
          { class: "soft" },
          "Search, then drag a feature: the list reorders while you drag. Without sliders it " +
            "is plain search by cosine.",
        ),
      ].filter(Boolean),
    { signal },
  );
}
