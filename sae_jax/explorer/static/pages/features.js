// All features of the run: filtered, sorted, and opened from the keyboard.

import { get } from "../api.js";
import { announce, h } from "../dom.js";
import { onKey } from "../keys.js";
import { setAddress } from "../main.js";
import { count, fine, score } from "../numbers.js";
import { bar, chip, featureLink } from "../parts.js";
import { empty, filled, missing } from "../states.js";
import { windowed } from "../windowed.js";
import {
  apply,
  CLEAR,
  INTERESTING,
  isInteresting,
  queryOf,
  readQuery,
  SORTS,
} from "../feature/filter.js";

export const title = "Features";

const COLUMNS = [
  ["#", "latent", "The number of the feature."],
  ["Label", "label", "Its label, as a link to its page."],
  ["From, F1", "f1", "Where the label comes from, and its F1 on rows that did not name it."],
  ["Density", "density", "Share of all documents on which it is on; the bar is logarithmic."],
  ["Max", "highest", "Its highest value on this corpus."],
  ["Families", "family", "Numbers of the families that it is in, the largest family being 0."],
];

export async function show(root, context) {
  const body = h("div", {});
  root.append(h("h1", {}, "Features"), body);
  await filled(
    body,
    () => get("/api/features", context),
    (table) => drawn(table, context),
    { ...context, rows: 12 },
  );
}

function drawn(table, { url, meta, signal, navigate }) {
  const all = featuresOf(table);
  const { query, ignored } = readQuery(url);
  let shown = [];
  const total = h("span", { class: "soft small", role: "status" });
  const nothing = h("div", {});
  const form = controls({ table, query, changed, random, csv });
  const rows = windowed({
    columns: COLUMNS.filter(([, name]) => name !== "family" || !meta.missing.families),
    label: "Features",
    head: (column) => heading(column, query, (sort) => changed({ sort })),
    row: (place) => cells(shown[place], table, meta),
    signal,
  });
  rows.box.addEventListener("click", (event) => {
    const place = event.target.closest("tr[data-place]")?.dataset.place;
    if (place !== undefined) choose(Number(place));
  });

  /** `at` is kept in the address, so that coming back finds the row again. */
  function choose(place) {
    rows.choose(place);
    query.at = shown[rows.at()]?.latent ?? "";
    setAddress(`/features${queryOf(query, url)}`);
  }

  function changed(change, { at = "" } = {}) {
    Object.assign(query, change, { at });
    shown = apply(all, query);
    form.draw();
    rows.drawHead();
    rows.box.hidden = !shown.length;
    rows.setRows(shown.length, { chosen: shown.findIndex((one) => one.latent === at) });
    total.textContent = `${count(shown.length)} of ${count(table.n)} features`;
    const clear = h(
      "button",
      { type: "button", onclick: () => changed(CLEAR) },
      "Clear filters",
    );
    nothing.replaceChildren(
      ...(shown.length ? [] : [empty("No feature passes these filters.", clear)]),
    );
    setAddress(`/features${queryOf(query, url)}`);
  }

  function random() {
    const alive = shown.filter((one) => one.state !== "dead");
    if (alive.length)
      navigate(`/feature/${alive[Math.floor(Math.random() * alive.length)].latent}`);
  }

  function csv() {
    saveAs(`features of ${meta.run}.csv`, asCsv(shown));
    announce(`${count(shown.length)} features saved`);
  }

  const open = () => shown[rows.at()] && navigate(`/feature/${shown[rows.at()].latent}`);
  onKey("j", "next feature", () => choose(rows.at() + 1), { signal });
  onKey("k", "previous feature", () => choose(Math.max(0, rows.at() - 1)), { signal });
  onKey("Enter", "open the feature", open, { signal });
  onKey(".", "a random feature", random, { signal });
  // Heights are known when the page is in the document.
  requestAnimationFrame(() => !signal.aborted && changed({}, { at: query.at }));
  const lacks = [meta.missing.labels, meta.missing.families].filter(Boolean);
  const notes = ignored.map(
    (one) => `The address says ${one}, which is not known here and was left out.`,
  );
  return [
    ...[...lacks, ...notes].map(missing),
    form.element,
    h("div", { class: "toolbar" }, form.buttons, total),
    nothing,
    rows.box,
  ];
}

/** The columns of the answer as one object a feature, as other pages have it. */
function featuresOf({ n, sources, states, columns }) {
  return Array.from({ length: n }, (_, latent) => ({
    latent,
    label: columns.label[latent],
    words: (columns.label[latent] ?? "").toLowerCase(),
    source: sources[columns.source[latent]] ?? null,
    state: states[columns.state[latent]],
    density: columns.density[latent],
    highest: columns.highest[latent],
    f1: columns.f1[latent],
    family: columns.family[latent],
  }));
}

function heading([text, name, said], query, sortBy) {
  const [down, by] = query.sort.startsWith("-")
    ? [true, query.sort.slice(1)]
    : [false, query.sort];
  const here = by === name;
  const next = here ? `${down ? "" : "-"}${name}` : `${SORTS[name].first}${name}`;
  const button = h(
    "button",
    { type: "button", title: said, onclick: () => sortBy(next) },
    text,
    here ? (down ? " ▼" : " ▲") : "",
  );
  return h(
    "th",
    {
      scope: "col",
      class: name,
      "aria-sort": here ? (down ? "descending" : "ascending") : null,
    },
    button,
  );
}

function cells(feature, table, meta) {
  const { density, latent } = feature;
  const n = Math.round(density * table.n_rows);
  const said = `on in ${fine(density)} of the documents, about ${count(n)}`;
  const families = feature.family
    .slice(0, 3)
    .map((one) => [h("a", { href: `/family/${one}` }, `${one}`), " "]);
  return [
    h("td", { class: "latent number" }, latent),
    h("td", { class: "label", title: feature.label }, h("bdi", {}, featureLink(feature))),
    h("td", { class: "f1" }, chip(feature)),
    h(
      "td",
      { class: "density number" },
      h("span", { title: said }, fine(density)),
      " ",
      bar(Math.log1p(n) / Math.log1p(table.n_rows), said),
    ),
    h("td", { class: "highest number" }, score(feature.highest)),
    meta.missing.families
      ? null
      : h("td", { class: "family number" }, families, feature.family.length > 3 ? "…" : ""),
  ];
}

function controls({ table, query, changed, random, csv }) {
  const inputs = {};
  const put = (name, element) => {
    inputs[name] = element;
    element.addEventListener("input", () => changed({ [name]: element.value }));
    return element;
  };
  const number = (name, properties) =>
    put(name, h("input", { type: "number", step: "any", min: 0, ...properties }));
  const choice = (name, options) =>
    put(
      name,
      h(
        "select",
        {},
        options.map(([value, text]) => h("option", { value }, text)),
      ),
    );
  const interesting = h(
    "button",
    {
      type: "button",
      title: "Alive, F1 of .8 or more, on in .01 % to 1 % of the documents.",
      onclick: () => changed(isInteresting(query) ? CLEAR : { ...CLEAR, ...INTERESTING }),
    },
    "Interesting",
  );
  const known = table.columns.family.some((one) => one.length);
  const element = h(
    "form",
    { class: "toolbar filters", onsubmit: (event) => event.preventDefault() },
    h(
      "label",
      { class: "wide" },
      "Label ",
      put("q", h("input", { type: "search", placeholder: "words, or #417" })),
    ),
    h(
      "label",
      {},
      "State ",
      choice("state", [
        ["", "all"],
        ["alive", "alive"],
        ["dense", "dense"],
        ["dead", "dead"],
      ]),
    ),
    h(
      "label",
      {},
      "From ",
      choice("source", [
        ["", "any"],
        ["keywords", "keywords"],
        ["llm", "LLM"],
        ["you", "edited"],
        ["none", "unlabelled"],
      ]),
    ),
    h("label", {}, "F1 ≥ ", number("f1", { max: 1 })),
    h("label", {}, "Density ≥ ", number("from", { max: 100 }), " %"),
    h("label", {}, "Density ≤ ", number("to", { max: 100 }), " %"),
    known ? h("label", {}, "Family ", number("family", { step: 1 })) : null,
  );
  const buttons = [
    interesting,
    h(
      "button",
      { type: "button", title: "A random one of these (.)", onclick: random },
      "Random",
    ),
    h("button", { type: "button", onclick: () => changed(CLEAR) }, "Clear"),
    h(
      "button",
      {
        type: "button",
        title: "What is listed here, as a file of comma-separated values",
        onclick: csv,
      },
      "CSV",
    ),
  ];
  function draw() {
    for (const [name, input] of Object.entries(inputs)) {
      // What is being typed stays as it is: "0." is no number yet.
      if (input !== document.activeElement) input.value = query[name];
    }
    interesting.setAttribute("aria-pressed", isInteresting(query));
  }
  return { element, buttons, draw };
}

export function asCsv(features) {
  const names = ["latent", "label", "source", "state", "density", "highest", "f1", "family"];
  const quoted = (value) =>
    /[",\n\r]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  const line = (one) =>
    names.map((name) => quoted([one[name] ?? ""].flat().join(" "))).join(",");
  return [names.join(","), ...features.map(line), ""].join("\n");
}

function saveAs(name, text) {
  const link = h("a", {
    href: URL.createObjectURL(new Blob([text], { type: "text/csv" })),
    download: name,
  });
  link.click();
  URL.revokeObjectURL(link.href);
}
