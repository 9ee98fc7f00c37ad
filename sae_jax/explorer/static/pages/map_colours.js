// Which colour each point of the map has, and the legend that says so.

import { h } from "../dom.js";
import { count, percent, score } from "../numbers.js";

const N_STEPS = 8; // of a scale
const N_CATEGORIES = 8; // named ones; the rest is "other"

/** What a map of features or of documents can be coloured by: name → words. */
export const CHOICES = {
  features: { density: "density", f1: "F1 of the label", family: "family", state: "state" },
  documents: { feature: "strongest feature", family: "its family", value: "its value" },
};

/** {of: place in `names` of each point, names: legend, most common first, steps: whether they are a scale}. */
export function colouring(data, by) {
  if (by === "density")
    return scaled(
      data.density.map((value) => (value > 0 ? Math.log10(value) : null)),
      (value) => percent(10 ** value, 2),
      "never on",
    );
  if (by === "f1") return scaled(data.f1, (value) => score(value, 2), "no label");
  if (by === "value") return scaled(data.value, (value) => score(value, 2), "none on");
  const families = new Map(
    data.families.map((one) => [one.number, one.label ?? `family ${one.number}`]),
  );
  const names = {
    state: (value) => value,
    family: (value) => families.get(value) ?? "in no family",
    feature: (value) =>
      value === null ? "none" : (data.features?.[value] ?? `feature ${value}`),
  };
  return grouped(data[by], names[by], by === "family" ? "in no family" : null);
}

function scaled(values, say, missing) {
  const there = values
    .filter((value) => value !== null && Number.isFinite(value))
    .sort((a, b) => a - b);
  // The outer hundredths would use up most of the scale.
  const low = there[Math.floor(there.length * 0.01)] ?? 0;
  const high = there[Math.ceil(there.length * 0.99) - 1] ?? 1;
  const width = high - low || 1;
  const step = (value) =>
    Math.max(0, Math.min(N_STEPS - 1, Math.floor((N_STEPS * (value - low)) / width)));
  const of = values.map((value) =>
    value === null || !Number.isFinite(value) ? -1 : step(value),
  );
  return {
    scale: true,
    of,
    low: say(low),
    high: say(high),
    missing: of.includes(-1) ? missing : null,
    n: N_STEPS,
  };
}

function grouped(values, say, rest) {
  const counts = new Map();
  for (const value of values) counts.set(say(value), (counts.get(say(value)) ?? 0) + 1);
  const named = [...counts].filter(([name]) => name !== rest).sort((a, b) => b[1] - a[1]);
  const shown = named.slice(0, N_CATEGORIES);
  const places = new Map(shown.map(([name], i) => [name, i]));
  const of = values.map((value) => places.get(say(value)) ?? -1);
  const n = of.filter((place) => place < 0).length;
  const others = named.length - shown.length;
  const missing = n
    ? [others ? `${count(others)} others` : null, counts.has(rest) ? rest : null]
        .filter(Boolean)
        .join(", or ")
    : null;
  return { scale: false, of, names: shown, missing, nMissing: n, n: shown.length };
}

/** The colours themselves, from the style sheet of this theme: one for each place, the last for the rest. */
export function palette(colours, element) {
  const style = getComputedStyle(element);
  const read = (name) => style.getPropertyValue(name).trim();
  const rest = read("--rest");
  if (!colours.scale)
    return [...Array.from({ length: colours.n }, (_, i) => read(`--category-${i}`)), rest];
  const stops = [0, 1, 2].map((i) => rgb(read(`--ramp-${i}`)));
  const between = Array.from({ length: N_STEPS }, (_, i) => {
    const at = (2 * i) / (N_STEPS - 1);
    const from = Math.min(1, Math.floor(at));
    const mixed = stops[from].map((one, channel) =>
      Math.round(one + (stops[from + 1][channel] - one) * (at - from)),
    );
    return `rgb(${mixed.join(" ")})`;
  });
  return [...between, rest];
}

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

export function legend(colours, shades) {
  const swatch = (i) => h("span", { class: "swatch", style: { background: shades.at(i) } });
  const rest =
    colours.missing &&
    h(
      "li",
      {},
      swatch(-1),
      h("span", { class: "words" }, colours.missing),
      colours.nMissing ? h("span", { class: "number soft" }, count(colours.nMissing)) : null,
    );
  if (colours.scale) {
    const steps = h(
      "span",
      { class: "ramp", "aria-hidden": "true" },
      shades.slice(0, -1).map((_, i) => swatch(i)),
    );
    return h(
      "ul",
      { class: "legend" },
      h(
        "li",
        {},
        h("span", { class: "number" }, colours.low),
        steps,
        h("span", { class: "number" }, colours.high),
      ),
      rest,
    );
  }
  const lines = colours.names.map(([name, n], i) =>
    h(
      "li",
      {},
      swatch(i),
      h("span", { class: "words" }, name),
      h("span", { class: "number soft" }, count(n)),
    ),
  );
  return h("ul", { class: "legend" }, lines, rest);
}
