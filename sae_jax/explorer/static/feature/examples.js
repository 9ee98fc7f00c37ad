// Rows of the corpus at all strengths of a feature, among them those where it is nearly on.

import { h } from "../dom.js";
import { count, score } from "../numbers.js";
import { bar, documentLine, featureLink } from "../parts.js";
import { empty } from "../states.js";

const TENTHS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
export const TABS = ["top", ...TENTHS, "random", "near"];
const NAMES = { top: "Top", random: "Random", near: "Near misses" };

export function drawExamples({ found, view, keep, expand }) {
  const { examples, n_on, feature } = found;
  if (feature.state === "dead") view.tab = "near";
  const rows = { top: examples.top, random: examples.random, near: examples.near };
  TENTHS.forEach((name, i) => (rows[name] = examples.deciles[i]));
  const shown = h("div", {
    id: "examples",
    role: "tabpanel",
    "aria-labelledby": "tab-top",
    tabindex: "0",
  });
  const tabs = TABS.map((name) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `tab-${name}`,
        "aria-controls": "examples",
        title: what(name, n_on),
        disabled: !rows[name].length,
        onclick: () => choose(name),
      },
      NAMES[name] ?? name,
    ),
  );

  function choose(name) {
    view.tab = name;
    for (const tab of tabs) {
      const own = tab.id === `tab-${name}`;
      tab.setAttribute("aria-selected", own);
      tab.tabIndex = own ? 0 : -1;
    }
    shown.setAttribute("aria-labelledby", `tab-${name}`);
    shown.replaceChildren(...drawRows(rows[name], { name, found, view }));
    keep();
  }

  function move(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const open = tabs.filter((tab) => !tab.disabled);
    if (!by || !open.length) return;
    event.preventDefault();
    const next =
      open[(open.indexOf(event.target.closest("button")) + by + open.length) % open.length];
    choose(next.id.slice("tab-".length));
    next.focus();
  }

  const [first, ...rest] = tabs;
  const bar = h(
    "div",
    { class: "tabs", role: "tablist", "aria-label": "Examples by strength", onkeydown: move },
    first,
    h("span", { class: "soft small", "aria-hidden": "true" }, "tenths, strongest first"),
    rest,
  );
  const long = h(
    "button",
    {
      type: "button",
      id: "full-texts",
      title: "The beginnings of long texts, or all of them (e)",
      "aria-pressed": String(view.text === "full"),
      onclick: expand,
    },
    "Full texts",
  );
  choose(view.tab);
  return h(
    "section",
    { class: "examples" },
    h("div", { class: "toolbar" }, h("h2", {}, "Examples"), bar, long),
    shown,
  );
}

function what(name, n_on) {
  if (name === "top") return "The documents with its highest values.";
  if (name === "random") return "Drawn from all documents in which it is on.";
  if (name === "near")
    return "It is off in these, though its pre-activation comes nearest to being kept.";
  const place =
    { 1: "strongest", 10: "weakest" }[name] ?? `${name}${{ 2: "nd", 3: "rd" }[name] ?? "th"}`;
  return `Drawn from the ${place} tenth of the ${count(n_on)} documents in which it is on.`;
}

function drawRows(rows, { name, found, view }) {
  const said = h("p", { class: "soft small" }, what(name, found.n_on));
  if (!rows.length) return [empty("There are no such documents.")];
  const near = name === "near";
  const lines = rows.map((row) => {
    const percent =
      row.percent === null ? "" : `${Math.round(row.percent)} % of its highest value`;
    const title = near ? `Off; its pre-activation${percent && `, ${percent}`}` : percent;
    return h(
      "li",
      { class: near ? "near" : null },
      h("span", { class: "number", title }, score(row.value)),
      row.percent === null ? h("span", {}) : bar(row.percent / 100, title),
      h(
        "div",
        { class: view.text },
        h("p", { dir: "auto" }, documentLine(row, { marks: found.terms })),
        others(row),
      ),
    );
  });
  return [said, h("ol", { class: "rows" }, lines)];
}

function others({ others: features, url }) {
  const links = features.map((one) =>
    h(
      "bdi",
      {
        title:
          one.percent === null ? null : `${Math.round(one.percent)} % of its highest value`,
      },
      featureLink(one),
    ),
  );
  const source = url
    ? h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, "source")
    : null;
  if (!links.length && !source) return null;
  return h(
    "p",
    { class: "others small soft" },
    links.length ? "also on: " : null,
    links.map((link, i) => [i ? " · " : "", link]),
    source && links.length ? " · " : "",
    source,
  );
}
