// Learning curves of chosen runs; what is written since is asked for by the byte.

import { address, get } from "../api.js";
import { h } from "../dom.js";
import { count, percent, score } from "../numbers.js";
import { colour, plot } from "../plots.js";
import { failed } from "../states.js";

const PLOTS = [
  { name: "fvu", title: "fvu", splits: ["held_out", "train"], say: (value) => score(value) },
  { name: "loss", title: "loss", splits: ["train"], say: (value) => score(value) },
  {
    name: "dead_fraction",
    title: "dead latents",
    splits: ["train"],
    say: (value) => percent(value, 2),
  },
  { name: "l0", title: "L0", splits: ["held_out", "train"], say: (value) => value.toFixed(1) },
];
const WORDS = { held_out: "held out", train: "train" };

export function drawCurves({ signal }) {
  const known = new Map(); // name of a run → {after, file, curves}
  const key = h("p", { class: "key small", "aria-hidden": "true" });
  const trouble = h("div", {});
  const figures = PLOTS.map((of) => ({ of, ...plot({ signal, height: 260 }) }));
  const data = h("p", { class: "small" });
  const root = h(
    "div",
    {},
    key,
    trouble,
    h(
      "div",
      { class: "plots" },
      figures.map((one) => one.figure),
    ),
    data,
  );

  async function show(runs) {
    try {
      await Promise.all(runs.map((one) => more(one.name, known, signal)));
    } catch (error) {
      if (error.name !== "AbortError" && !signal.aborted)
        trouble.replaceChildren(failed(error, () => show(runs)));
      return;
    }
    if (signal.aborted) return;
    trouble.replaceChildren();
    const names = runs.map((one) => one.name);
    drawKey(key, names);
    const files = names.map((name) =>
      h("a", { href: numbersOf(name), target: "_blank", rel: "noopener" }, name),
    );
    const damaged = names.reduce((sum, name) => sum + known.get(name).damaged, 0);
    data.replaceChildren(
      "Numbers: ",
      ...files.flatMap((link, i) => (i ? [", ", link] : [link])),
      damaged ? ` · ${count(damaged)} damaged lines left out` : "",
    );
    const shown = figures.map(({ of, draw }) =>
      draw(
        () => tracesOf(names, { known, of }),
        layoutOf(names, { known, of }),
        sentenceOf(names, { known, of }),
      ),
    );
    await Promise.all(shown).catch((error) =>
      trouble.replaceChildren(failed(error, () => show(runs))),
    );
  }
  return { root, show };
}

const numbersOf = (name) => `/api/run/${encodeURIComponent(name)}/metrics`;

/** What has been written since; all where the file is another. */
async function more(name, known, signal) {
  const before = known.get(name) ?? { after: 0, file: "", curves: {}, damaged: 0 };
  const found = await get(
    address(numbersOf(name), { after: before.after || "", file: before.file }),
    { signal },
  );
  const curves = found.restarted ? {} : before.curves;
  for (const [split, columns] of Object.entries(found.curves)) {
    const own = (curves[split] ??= { step: [] });
    const n = own.step.length;
    for (const [column, values] of Object.entries(columns))
      (own[column] ??= Array(n).fill(null)).push(...values);
    for (const column of Object.values(own))
      while (column.length < own.step.length) column.push(null);
  }
  const damaged = (found.restarted ? 0 : before.damaged) + found.n_damaged;
  known.set(name, { after: found.after, file: found.file, curves, damaged });
}

function tracesOf(names, { known, of }) {
  return names.flatMap((name, i) =>
    of.splits.flatMap((split) => {
      const columns = known.get(name).curves[split];
      if (!columns?.[of.name]) return [];
      const dash = split === "train" && of.splits.length > 1 ? "dot" : "solid";
      return {
        // Copies: plotly takes an array that it has seen for one that has not changed.
        x: [...columns.step],
        y: [...columns[of.name]],
        mode: columns.step.length > 60 ? "lines" : "lines+markers",
        line: { color: colour(i), width: 1.8, dash },
        marker: { size: 4, color: colour(i) },
        // Plotly reads a little HTML in texts, and a name is a folder's.
        name: `${name}, ${WORDS[split]}`.replace(/[<>&]/g, " "),
        hovertemplate: `step %{x:,}<br>%{y:.4g}<extra>%{fullData.name}</extra>`,
        connectgaps: true,
      };
    }),
  );
}

function layoutOf(names, { known, of }) {
  const forms = { dead_fraction: ".3~%", l0: ".1~f" };
  const from0 =
    of.name in forms
      ? { rangemode: "tozero", tickformat: forms[of.name] }
      : { tickformat: ".3~g" };
  const zero =
    of.name === "dead_fraction" &&
    names.every((name) => !known.get(name).curves.train?.dead_fraction?.some(Boolean));
  return {
    xaxis: { title: "step", tickformat: "," },
    yaxis: { title: of.title, nticks: 6, ...from0, ...(zero ? { range: [0, 0.01] } : {}) },
  };
}

function sentenceOf(names, { known, of }) {
  const said = names.flatMap((name) => {
    const split = of.splits.find((one) => known.get(name).curves[one]?.[of.name]);
    const columns = split && known.get(name).curves[split];
    const places = columns
      ? columns[of.name].flatMap((value, i) => (value === null ? [] : [i]))
      : [];
    if (!places.length) return [];
    const at = (i) => `${of.say(columns[of.name][i])} at step ${count(columns.step[i])}`;
    const whose = names.length > 1 ? `${name}: ` : "";
    return `${whose}${of.title} (${WORDS[split]}) ${at(places[0])}, ${at(places.at(-1))}.`;
  });
  if (said.length > 3) return `${of.title} of ${said.length} runs over the steps.`;
  return said.join(" ") || `No ${of.title} has been written yet.`;
}

function drawKey(root, names) {
  const both = [h("span", {}, "line: held out"), h("span", {}, "dotted: train")];
  const line = (i) => h("span", { class: `dash category-${i % 8}` });
  root.replaceChildren(...names.map((name, i) => h("span", {}, line(i), " ", name)), ...both);
}
