// Small pieces that several pages show.

import { h } from "./dom.js";
import { percent, score } from "./numbers.js";

/** The name of a feature as a link to its page. */
export function featureLink(feature) {
  return h(
    "a",
    { class: feature.label ? "name" : "name unnamed", href: `/feature/${feature.latent}` },
    nameOf(feature),
  );
}

export const nameOf = (feature) => feature.label ?? `feature ${feature.latent}`;

/** Where its label comes from and how well it holds, or what is wrong with the feature. */
export function chip(feature) {
  const said = [];
  if (feature.state === "dead") said.push(["dead", "It is on in no row of this corpus."]);
  if (feature.state === "dense")
    said.push(["dense", "It is on in more than a tenth of all rows."]);
  const sources = { keywords: "keywords", llm: "LLM", you: "edited" };
  if (feature.label) {
    const f1 =
      feature.f1 === null || feature.f1 === undefined ? "" : ` ${score(feature.f1, 2)}`;
    said.push([
      `${sources[feature.source]}${f1}`,
      "Where the label comes from, and its F1 on held-out rows.",
    ]);
  } else if (feature.state !== "dead")
    said.push(["unlabelled", "No label: see `sae-jax label`."]);
  return said.map(([text, title]) =>
    h("span", { class: `chip ${text.split(" ")[0]}`, title }, text),
  );
}

/** A bar of `share` of its width, with its number in words for those who do not see it. */
export function bar(share, text) {
  const width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return h(
    "span",
    { class: "bar", title: text },
    h("span", { class: "fill", style: { width } }),
    h("span", { class: "unseen" }, text),
  );
}

/** A document in a list: title or beginning of its text, linked to its page. */
export function documentLine(document, { marks = [] } = {}) {
  const text = document.text ?? "";
  const own = document.title ? [h("strong", {}, document.title), " "] : [];
  return h(
    "span",
    { class: "document" },
    h(
      "a",
      { href: `/document/${document.row}` },
      own.length ? own : null,
      text ? marked(text, marks) : `row ${document.row}`,
    ),
  );
}

/** The text with these words marked; whole words and their endings. */
export function marked(text, words) {
  if (!words.length) return [text];
  const found = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = new RegExp(
    `(?<![\\p{L}\\p{N}])((?:${found.join("|")})\\p{L}{0,3})(?![\\p{L}\\p{N}])`,
    "giu",
  );
  return text.split(pattern).map((part, i) => (i % 2 ? h("mark", {}, part) : part));
}

export const share = (value) => percent(value, 2);

/** Rows by value, the axis of counts logarithmic. */
export function histogram(counts, { highest, label }) {
  const most = Math.log1p(Math.max(...counts, 1));
  const bars = counts.map((n, i) => {
    const height = `${(100 * Math.log1p(n)) / most}%`;
    const from = score((highest * i) / counts.length, 3);
    return h("span", { class: "column", title: `${n} rows from ${from}`, style: { height } });
  });
  return h(
    "figure",
    { class: "histogram", role: "img", "aria-label": label },
    h("div", { class: "columns" }, bars),
    h("figcaption", {}, h("span", {}, "0"), h("span", {}, score(highest))),
  );
}
