// One document: its text, the features that make it up, and what is near it.

import { get } from "../api.js";
import { h } from "../dom.js";
import { onKey } from "../keys.js";
import { copyButton } from "../link.js";
import { setTitle } from "../main.js";
import { count, percent, score } from "../numbers.js";
import { bar, chip, documentLine, featureLink } from "../parts.js";
import { filled, missing } from "../states.js";

export const title = "Document";

const SHOWN_TITLE = 60; // characters, in the window's title

export async function show(root, { argument, meta, signal, navigate }) {
  const ask = () => get(`/api/document/${encodeURIComponent(argument)}`, { signal });
  await filled(root, ask, (found) => draw(found, { meta, signal, navigate }), {
    signal,
    rows: 10,
  });
}

function draw(found, { meta, signal, navigate }) {
  const { document: one } = found;
  setTitle((one.title || `document ${one.row}`).slice(0, SHOWN_TITLE));
  return h(
    "article",
    {},
    head(found, { meta, signal, navigate }),
    h(
      "div",
      { class: "columns-2 document-columns" },
      h("section", { "aria-label": "Text" }, text(one, meta), fields(one)),
      h(
        "section",
        { class: "beside", "aria-labelledby": "features" },
        h("h2", { id: "features" }, `Features (${found.features.length} of ${found.k} on)`),
        explained(found),
        features(found.features),
      ),
      h(
        "div",
        {},
        near(
          "Nearest by embedding",
          found.near.dense,
          "Cosine of the embeddings with every other document.",
        ),
        near(
          "Nearest by features",
          found.near.code,
          "Cosine of the sparse codes: which features are on, and how strongly. Documents without a common feature have 0.",
        ),
      ),
    ),
  );
}

function head({ document: one, n_rows: n }, { meta, signal, navigate }) {
  const step = (to, text, key) => {
    if (to < 0 || to >= n) return null;
    onKey(key, text, () => navigate(`/document/${to}`), { signal });
    return h(
      "a",
      { href: `/document/${to}`, title: `${text} (${key})` },
      key === "[" ? `‹ ${count(to)}` : `${count(to)} ›`,
    );
  };
  const button = copyButton(meta, { signal });
  return h(
    "div",
    { class: "head" },
    h(
      "p",
      { class: "soft small steps" },
      step(one.row - 1, "previous document", "["),
      `document ${count(one.row)} of ${count(n)}`,
      step(one.row + 1, "next document", "]"),
    ),
    h(
      "h1",
      { dir: "auto", title: one.title || null },
      one.title || `Document ${count(one.row)}`,
    ),
    h(
      "p",
      { class: "actions" },
      h("a", { class: "button primary", href: `/search?row=${one.row}` }, "Search from here"),
      isWeb(one.url) &&
        h(
          "a",
          { class: "button", href: one.url, target: "_blank", rel: "noopener noreferrer" },
          "Open source",
        ),
      button,
    ),
  );
}

const isWeb = (url) => /^https?:\/\//i.test(url ?? "");

function text(one, meta) {
  if (meta.missing.texts) return missing(meta.missing.texts);
  if (!one.text) return h("p", { class: "soft" }, "This document has no text.");
  return h("p", { class: "whole", dir: "auto" }, one.text);
}

/** All that its record says beside the text; nothing of it is a link. */
function fields(one) {
  const known = Object.entries(one.fields ?? {}).filter(([name]) => name !== "row");
  const lines = [
    ["row", String(one.row)],
    ["id", one.id],
    ...known.map(([name, value]) => [name, words(value)]),
  ];
  const line = ([name, value]) =>
    h("tr", {}, h("th", { scope: "row" }, name), h("td", { dir: "auto" }, value));
  return h("table", { class: "fields" }, h("tbody", {}, lines.map(line)));
}

function words(value) {
  if (Array.isArray(value) && value.every((one) => typeof one !== "object"))
    return value.join(", ") || "–";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function explained({ reconstruction: made }) {
  if (!made.n_on)
    return h(
      "p",
      {},
      "No feature is on for this document: its reconstruction is b_dec alone, which is the same for all.",
    );
  const ones =
    made.n_on === 1 ? "This one feature explains" : `These ${made.n_on} features explain`;
  const known = made.explained !== null && made.cosine !== null;
  if (!known)
    return h("p", {}, "Its embedding is all zeros, of which nothing can be explained.");
  return [
    h(
      "p",
      {},
      `${ones} `,
      h("strong", { title: "1 − ‖x − x̂‖² / ‖x − b_dec‖²" }, percent(made.explained, 0)),
      " of this document, beyond what all documents have in common.",
    ),
    h(
      "dl",
      { class: "facts" },
      fact(
        "cosine",
        score(made.cosine, 3),
        "Cosine of the embedding x and its reconstruction x̂.",
      ),
      fact("norm unexplained", percent(made.missing_norm, 0), "‖x − x̂‖ / ‖x‖"),
      fact(
        "b_dec alone",
        score(made.bias_cosine, 3),
        `Cosine of the embedding and b_dec, of length ${score(made.bias_norm, 2)}: the part of every reconstruction that no feature makes.`,
      ),
    ),
  ];
}

const fact = (name, value, what) =>
  h(
    "div",
    { class: "fact", title: what },
    h("dt", { class: "soft small" }, name),
    h("dd", { class: "mono" }, value),
  );

function features(found) {
  const line = (one) =>
    h(
      "li",
      {},
      h("bdi", {}, featureLink(one)),
      h("span", { class: "chips" }, chip(one)),
      bar(one.percent / 100, `${score(one.percent, 0)} % of the highest value of this feature`),
      h(
        "span",
        { class: "number", title: "Share of the feature’s highest value in this corpus" },
        `${score(one.percent, 0)} %`,
      ),
      h(
        "span",
        { class: "number soft", title: "Its value in this document’s code" },
        score(one.value, 3),
      ),
    );
  return h("ol", { class: "code" }, found.map(line));
}

function near(name, found, how) {
  const line = (one) =>
    h(
      "li",
      { dir: "auto" },
      h("span", { class: "number", dir: "ltr" }, score(one.score, 3)),
      documentLine(one),
    );
  const none = h("p", { class: "soft" }, "There is none.");
  return h(
    "section",
    { class: "near" },
    h("h2", {}, name),
    h("p", { class: "soft small" }, how),
    found.length ? h("ol", { class: "ranked" }, found.map(line)) : none,
  );
}
