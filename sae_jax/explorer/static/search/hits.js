// The list of hits: place, movement, score, and the features that make it up.

import { h, svg } from "../dom.js";
import { count, score, signed } from "../numbers.js";
import { featureLink } from "../parts.js";

const REASONS = 3;

/** Where a hit stands beside its place without sliders: a text, a class and a sentence. */
function movement(hit, place, k) {
  if (!hit.neutral_rank || hit.neutral_rank > k) {
    return ["new", "new", "not among the first without sliders"];
  }
  const by = hit.neutral_rank - place;
  if (!by) return ["", "", ""];
  const before = `place ${hit.neutral_rank} without sliders`;
  return [`${by > 0 ? "▲" : "▼"}${Math.abs(by)}`, by > 0 ? "up" : "down", before];
}

/** Keeps an element for each row, so that a preview moves hits instead of making them anew. */
export class HitList {
  constructor({ names, more, less }) {
    this.names = names; // latent → feature
    this.on = { more, less };
    this.chosen = null; // the row that has the focus, or had it last
    this.items = new Map();
    this.open = new Set();
    this.root = h("ol", { class: "hits", "aria-label": "Documents found" });
  }

  draw(hits, { k }) {
    const most = Math.max(
      ...hits.flatMap((hit) =>
        hit.parts.slice(0, REASONS).map(([, natural, change]) => Math.abs(natural + change)),
      ),
      1e-9,
    );
    const items = hits.map((hit, i) => this.item(hit, { place: i + 1, k, most }));
    const same = items.length === this.root.children.length;
    if (!same || items.some((item, i) => item !== this.root.children[i])) {
      this.root.replaceChildren(...items);
    }
  }

  item(hit, { place, k, most }) {
    const item = this.items.get(hit.row) ?? this.made(hit);
    this.items.set(hit.row, item);
    const { parts } = item;
    item.hit = hit.distinct ? hit : { ...item.hit, ...hit };
    parts.place.textContent = place;
    const [moved, kind, why] = movement(hit, place, k);
    parts.moved.textContent = moved;
    parts.moved.className = `movement ${kind}`;
    parts.moved.title = why;
    parts.score.textContent = score(hit.score);
    hit.parts.slice(0, REASONS).forEach((part, i) => this.reason(item, i, { part, most }));
    for (const button of [parts.more, parts.less]) button.disabled = !item.hit.distinct;
    if (this.open.has(hit.row)) parts.why.replaceChildren(this.table(item.hit));
    return item;
  }

  made(hit) {
    const { document } = hit;
    const parts = {
      place: h("span", { class: "place number" }),
      moved: h("span", { class: "movement" }),
      score: h("span", {
        class: "score number",
        title:
          "The product with the question's vector over its length: the cosine without sliders.",
      }),
      reasons: h("div", { class: "reasons" }),
      why: h("div", { class: "why" }),
      more: this.button(
        "⊕",
        "More like this: raises what sets it apart from the other hits",
        () => this.on.more(item.hit),
      ),
      less: this.button(
        "⊖",
        "Less like this: lowers what sets it apart from the other hits",
        () => this.on.less(item.hit),
      ),
    };
    const why = this.button("why", "How its score is made up (x)", () => this.toggle(item));
    why.setAttribute("aria-expanded", "false");
    const text = document.text || `row ${document.row}`;
    const { title } = document;
    const link = h("a", { class: "open", href: `/document/${document.row}` }, title || text);
    const source = document.url
      ? h(
          "a",
          {
            class: "source small",
            href: document.url,
            target: "_blank",
            rel: "noreferrer noopener",
          },
          "source ↗",
        )
      : null;
    const item = h(
      "li",
      { class: "hit", "data-row": document.row, tabindex: "-1" },
      h("div", { class: "rank" }, parts.place, parts.moved),
      h(
        "div",
        { class: "body" },
        h("div", { class: "text" }, link, title ? h("p", { class: "snippet" }, text) : null),
        parts.reasons,
        parts.why,
      ),
      h(
        "div",
        { class: "side" },
        parts.score,
        h("div", { class: "buttons" }, parts.more, parts.less, why),
        source,
      ),
    );
    item.addEventListener("focusin", () => (this.chosen = hit.row));
    return Object.assign(item, { parts, whyButton: why, hit, reasons: [] });
  }

  button(text, title, onclick) {
    return h(
      "button",
      { type: "button", class: "small", title, "aria-label": title.split(":")[0], onclick },
      text,
    );
  }

  toggle(item) {
    const { row } = item.hit;
    if (this.open.delete(row)) item.parts.why.replaceChildren();
    else {
      this.open.add(row);
      item.parts.why.replaceChildren(this.table(item.hit));
    }
    item.whyButton.setAttribute("aria-expanded", String(this.open.has(row)));
  }

  /** The i-th reason of a hit, changed in place: a drag draws it many times a second. */
  reason(item, i, { part: [latent, natural, change], most }) {
    const total = natural + change;
    const own = (item.reasons[i] ??= this.madeReason(item));
    own.root.className = total < 0 ? "reason against" : "reason";
    own.root.title = `${signed(total)} of the score`;
    own.fill.style.width = `${Math.round((100 * Math.abs(total)) / most)}%`;
    const name = this.feature(latent);
    if (own.latent === latent && own.label === name.label) return;
    Object.assign(own, { latent, label: name.label });
    own.name.replaceChildren(featureLink(name));
  }

  madeReason(item) {
    const fill = h("span", { class: "fill" });
    const name = h("span", { class: "of" });
    const root = h("span", { class: "reason" }, h("span", { class: "bar" }, fill), name);
    item.parts.reasons.append(root);
    return { root, fill, name };
  }

  feature(latent) {
    return this.names.get(latent) ?? { latent, label: null };
  }

  table(hit) {
    const parts = hit.parts.filter(
      ([, natural, change]) =>
        Math.abs(natural + change) >= 0.0005 || Math.abs(change) >= 0.0005,
    );
    const left = (hit.n_parts ?? hit.parts.length) - parts.length;
    const small =
      hit.score -
      hit.rest -
      parts.reduce((sum, [, natural, change]) => sum + natural + change, 0);
    const rows = parts.map(([latent, natural, change]) =>
      h(
        "tr",
        {},
        h("td", {}, featureLink(this.feature(latent))),
        h("td", { class: "number" }, signed(natural)),
        h("td", { class: "number" }, change ? signed(change) : ""),
        h("td", { class: "number" }, signed(natural + change)),
      ),
    );
    const rest = h(
      "tr",
      {},
      h("td", { class: "soft" }, "the rest of the question, which no feature says"),
      h("td", { class: "number" }, signed(hit.rest)),
      h("td"),
      h("td", { class: "number" }, signed(hit.rest)),
    );
    const others = left
      ? h(
          "tr",
          {},
          h("td", { class: "soft" }, `${count(left)} more features`),
          h("td"),
          h("td"),
          h("td", { class: "number" }, signed(small)),
        )
      : null;
    return h(
      "table",
      { class: "parts" },
      h("caption", { class: "small soft" }, `score ${score(hit.score)} is the sum of`),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, "feature"),
          h("th", { scope: "col", class: "number" }, "in the question"),
          h("th", { scope: "col", class: "number" }, "by its slider"),
          h("th", { scope: "col", class: "number" }, "together"),
        ),
      ),
      h("tbody", {}, rows, others, rest),
    );
  }
}

/** The list without sliders, and lines from its documents to the same ones beside it. */
export function compared(neutral, list) {
  const items = neutral.map(({ score: own, document }, i) =>
    h(
      "li",
      { "data-row": document.row },
      h("span", { class: "place number" }, i + 1),
      h(
        "a",
        { href: `/document/${document.row}` },
        document.title || document.text || `row ${document.row}`,
      ),
      h("span", { class: "number" }, score(own)),
    ),
  );
  const lines = svg("svg", { class: "lines", "aria-hidden": "true" });
  const before = h("ol", { class: "neutral", "aria-label": "Without sliders" }, items);
  const root = h(
    "div",
    { class: "compared" },
    h("section", {}, h("h2", {}, "Without sliders"), before),
    lines,
    h("section", {}, h("h2", {}, "With sliders"), list.root),
  );
  const join = () => {
    const frame = lines.getBoundingClientRect();
    const middle = (element) => {
      const box = element.getBoundingClientRect();
      return Math.round(box.top + Math.min(box.height, 40) / 2 - frame.top);
    };
    lines.replaceChildren(
      ...items.flatMap((item) => {
        const other = list.root.querySelector(`[data-row="${item.dataset.row}"]`);
        return other
          ? [
              svg("path", {
                d: curve(middle(item), middle(other), frame.width),
              }),
            ]
          : [];
      }),
    );
  };
  new ResizeObserver(join).observe(list.root); // a reason is opened, the window narrowed
  return { root, join };
}

/** From one height to another over this width, as SVG writes a path. */
function curve(from, to, width) {
  const half = width / 2;
  return `M0 ${from} C ${half} ${from}, ${half} ${to}, ${width} ${to}`;
}
