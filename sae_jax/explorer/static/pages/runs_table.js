// The runs of a sweep as a table, sorted by a column, with the curves that are chosen.

import { h } from "../dom.js";
import { count, duration, percent, score } from "../numbers.js";

const COLUMNS = [
  ["name", "run", "Its folder", (one) => one.name],
  ["state", "state", "How far it has come", (one) => one.state],
  ["n_latents", "latents", "Size of its dictionary", (one) => one.n_latents, (n) => count(n)],
  ["k", "k", "Latents kept per document", (one) => one.k, (n) => count(n)],
  ["seed", "seed", "Of its first weights", (one) => one.seed, (n) => String(n)],
  [
    "step",
    "steps",
    "Steps made; of all where it is not finished",
    (one) => one.step,
    (step, one) =>
      step < one.n_steps ? `${count(step)} / ${count(one.n_steps)}` : count(step),
  ],
  [
    "fvu",
    "fvu",
    "Share of the variance not explained, on held-out rows",
    (one) => one.fvu,
    (value) => score(value),
  ],
  [
    "fvu_train",
    "fvu train",
    "The same on training rows",
    (one) => one.fvu_train,
    (value) => score(value),
  ],
  [
    "dead_fraction",
    "dead",
    "Latents that are on in no training row",
    (one) => one.dead_fraction,
    (share) => percent(share, 2),
  ],
  ["l0", "L0", "Latents on per row, in the mean", (one) => one.l0, (value) => value.toFixed(1)],
  ["seconds", "time", "Of training", (one) => one.seconds, (value) => duration(value)],
  ["device", "device", "On which it was trained", (one) => one.device],
];
const TEXTS = ["name", "state", "device"];

export function tableOf(runs, { state, current, changed }) {
  const descending = state.sort.startsWith("-");
  const by = COLUMNS.find(([name]) => name === state.sort.replace("-", ""));
  const sorted = by ? [...runs].sort((a, b) => compare(by[3](a), by[3](b), descending)) : runs;
  const heads = COLUMNS.map(([name, words, what]) => {
    const here = by?.[0] === name;
    const sort = () => {
      state.sort = here && !descending ? `-${name}` : name;
      changed();
    };
    const button = h(
      "button",
      { type: "button", class: "sort", id: `sort-${name}`, title: what, onclick: sort },
      words,
      here ? (descending ? " ↓" : " ↑") : "",
    );
    return h(
      "th",
      {
        scope: "col",
        class: TEXTS.includes(name) ? null : "number",
        "aria-sort": here ? (descending ? "descending" : "ascending") : null,
      },
      button,
    );
  });
  const line = (one, i) => {
    const box = h("input", {
      type: "checkbox",
      id: `show-${i}`,
      "aria-label": `Curves of ${one.name}`,
      checked: state.shown.includes(one.name),
    });
    box.onchange = () => {
      state.shown = box.checked
        ? [...state.shown, one.name]
        : state.shown.filter((name) => name !== one.name);
      changed();
    };
    const cells = COLUMNS.slice(1).map(([name, , , value, say = (text) => text]) => {
      const own = value(one);
      const known = own !== null && own !== undefined;
      if (name === "state")
        return h(
          "td",
          {},
          h(
            "span",
            { class: `chip state-${own.replace(" ", "-")}`, title: one.why ?? "" },
            own,
          ),
        );
      return h(
        "td",
        { class: TEXTS.includes(name) ? "small" : "number" },
        known ? say(own, one) : "–",
      );
    });
    const here = one.name === current;
    const name = h(
      "th",
      { scope: "row" },
      h("label", {}, box, " ", h("span", { class: "mono" }, one.name)),
      here ? [" ", h("span", { class: "chip edited" }, "open here")] : null,
    );
    return h(
      "tr",
      { class: here ? "current" : null, "aria-current": here ? "true" : null },
      name,
      cells,
    );
  };
  return h("table", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, sorted.map(line)));
}

/** Unknown values last, whichever way. */
function compare(a, b, descending) {
  const unknown = [a, b].map((one) => one === null || one === undefined);
  if (unknown[0] || unknown[1]) return unknown[0] - unknown[1];
  const order = typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
  return descending ? -order : order;
}
