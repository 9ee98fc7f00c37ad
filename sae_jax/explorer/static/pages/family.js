// One family: its tree, the documents where it is strongest, and who is on with whom.

import { address, get } from "../api.js";
import { h } from "../dom.js";
import { drawTree } from "../family-tree.js";
import { onKey } from "../keys.js";
import { copyButton } from "../link.js";
import { setAddress, setTitle } from "../main.js";
import { matrixFigure, pairsOf } from "../matrix.js";
import { count, score } from "../numbers.js";
import { bar, chip, documentLine, featureLink, nameOf } from "../parts.js";
import { filled, missing } from "../states.js";

export const title = "Family";

const PAIRS = 5;

export async function show(root, { url, argument, meta, signal, navigate }) {
  if (meta.missing.families) {
    root.append(h("h1", {}, "Families"), missing(meta.missing.families));
    return;
  }
  const ask = () => get(`/api/family/${encodeURIComponent(argument)}`, { signal });
  await filled(root, ask, (found) => draw(found, { url, meta, signal, navigate }), {
    signal,
    rows: 12,
  });
}

function draw(found, { url, meta, signal, navigate }) {
  setTitle(`${nameOf(found.parent)}, family`);
  return [
    head(found, { meta, signal, navigate }),
    h(
      "div",
      { class: "columns-2" },
      h(
        "section",
        { "aria-labelledby": "members" },
        h("h2", { id: "members" }, `Members (${count(found.n_members)})`),
        drawTree(found, filterIn(url)),
      ),
      h(
        "section",
        { class: "beside", "aria-labelledby": "strongest" },
        h("h2", { id: "strongest" }, "Strongest documents"),
        strongest(found),
      ),
      matrices(found, { signal }),
    ),
    h("p", { class: "soft small" }, found.note),
  ];
}

/** What the members are filtered by is kept in the address. */
function filterIn(url) {
  const keep = (words) =>
    setAddress(address(url.pathname, { q: words, run: url.searchParams.get("run") }));
  return { words: url.searchParams.get("q") ?? "", keep };
}

function head(found, { meta, signal, navigate }) {
  const { number } = found;
  const step = (to, text, key) => {
    if (to < 0 || to >= found.n_families) return null;
    onKey(key, text, () => navigate(`/family/${to}`), { signal });
    return h(
      "a",
      { class: "step", href: `/family/${to}`, title: `${text} (${key})` },
      key === "[" ? `‹ ${to}` : `${to} ›`,
    );
  };
  const button = copyButton(meta, { signal });
  return h(
    "div",
    { class: "head" },
    h(
      "p",
      { class: "soft small steps" },
      step(number - 1, "previous family", "["),
      `family ${number}`,
      step(number + 1, "next family", "]"),
    ),
    h("h1", { dir: "auto", title: nameOf(found.parent) }, nameOf(found.parent)),
    h(
      "p",
      { class: "soft" },
      `${count(found.n_members)} members · `,
      h(
        "span",
        {
          title:
            "The highest sum of its members’ values in one document; 100 % of the family’s slider.",
        },
        `highest sum ${score(found.highest, 2)}`,
      ),
      " · ",
      h(
        "a",
        { href: `/feature/${found.parent.latent}` },
        `parent: feature ${found.parent.latent}`,
      ),
      chip(found.parent),
    ),
    h(
      "p",
      { class: "actions" },
      h(
        "a",
        { class: "button primary", href: `/search?family=${number}` },
        "Search from this family",
      ),
      h(
        "a",
        {
          class: "button",
          href: `/search?w=f${number}:80`,
          title:
            "For the question that you ask next: a slider for all members, at 80 % of the highest sum",
        },
        "Use as a slider",
      ),
      button,
    ),
  );
}

function strongest({ rows, n_members: n }) {
  if (!rows.length)
    return h("p", { class: "soft" }, "None of its members is on in this corpus.");
  const line = (row) =>
    h(
      "li",
      { dir: "auto" },
      documentLine(row),
      h(
        "div",
        { class: "small soft with", dir: "ltr" },
        bar(row.percent / 100, `${score(row.percent, 0)} % of the family’s highest sum`),
        h(
          "span",
          {
            class: "number",
            title: "Sum of its members’ values here, and how many of them are on",
          },
          `${score(row.value, 2)} · ${row.n_on} of ${count(n)} on`,
        ),
        row.features.map((one) =>
          h("bdi", { class: "part", title: nameOf(one) }, featureLink(one)),
        ),
      ),
    );
  return h("ol", { class: "documents" }, rows.map(line));
}

function matrices(found, { signal }) {
  const root = h("div");
  const ask = () => get(`/api/family/${found.number}/matrix`, { signal });
  const fill = () =>
    filled(root, ask, (made) => drawMatrices(made, { signal }), { signal, rows: 4 });
  if (found.matrix_unasked) fill();
  else
    root.append(
      h(
        "p",
        { class: "soft" },
        `${count(found.n_members)} members are many to count together; it takes a second or two. `,
      ),
      h(
        "button",
        { type: "button", onclick: () => (root.replaceChildren(), fill()) },
        "Count them",
      ),
    );
  return h(
    "section",
    { class: "matrices", "aria-labelledby": "together" },
    h("h2", { id: "together" }, "Who is on with whom"),
    root,
  );
}

function drawMatrices(made, { signal }) {
  const { latents, n_members: n } = made;
  const chosen =
    latents.length < n
      ? `The parent and its ${latents.length - 1} most frequent of ${count(n - 1)} children. `
      : "";
  const ratio =
    made.ratio === null
      ? "R is not known: no two of its children are ever on together."
      : `R ${score(made.ratio, 1)}: the parent overlaps with its children ${score(made.ratio, 1)} times as much as they do with each other.`;
  const pair = ({ i, j, value }) =>
    h(
      "li",
      {},
      h("bdi", {}, featureLink(latents[i])),
      h("span", { class: "soft" }, " with "),
      h("bdi", {}, featureLink(latents[j])),
      " ",
      h("span", { class: "number" }, score(value, 2)),
    );
  const children = pairsOf(made.overlap)
    .filter(({ j, value }) => j > 0 && value > 0)
    .slice(0, PAIRS);
  return [
    h(
      "p",
      {},
      chosen,
      h(
        "span",
        { title: "Mean overlap parent–child over mean overlap child–child, of all members." },
        ratio,
      ),
    ),
    h(
      "div",
      { class: "squares" },
      matrixFigure(made.overlap, latents, {
        title: "On together",
        what: "Documents on which both are on, over those of the rarer",
        signal,
      }),
      matrixFigure(made.cosine, latents, {
        title: "Alike",
        what: "Cosine of their directions, in the same order",
        named: false,
        signal,
      }),
    ),
    h("h3", {}, "Children most often on together"),
    h("ol", { class: "pairs" }, children.map(pair)),
  ];
}
