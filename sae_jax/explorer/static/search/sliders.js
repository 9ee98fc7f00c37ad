// The features of the question, each with a slider in percent of its own highest value.

import { h } from "../dom.js";
import { percent, score } from "../numbers.js";
import { chip, featureLink } from "../parts.js";
import { LEAST, MOST, clamp, tidy } from "./asked.js";

const STEP = 5; // of an arrow key
const BIG_STEP = 25; // with Shift
const SHOWN = 12;

/**
 * One slider. `on` has input(name, percent), done(name), grab(name), release(name): the last
 * gives the feature back to the question.
 */
export function slider({ name, natural, now, label, link, about }, on) {
  const range = h("input", {
    type: "range",
    min: LEAST,
    max: MOST,
    step: "any",
    value: now,
    "aria-label": `${label}, percent of its highest value`,
    "data-slider": name,
  });
  const box = h("input", {
    type: "number",
    min: LEAST,
    max: MOST,
    step: STEP,
    value: Math.round(now),
    "aria-label": `${label}, exact percent`,
    class: "exact",
  });
  const back = h(
    "button",
    {
      type: "button",
      class: "back",
      title: "Back to its value in the question (0)",
      "aria-label": `${label}: back to its value in the question`,
      onclick: () => on.release(name),
    },
    "↺",
  );
  const item = h(
    "li",
    { class: "slider", "data-name": name },
    h(
      "div",
      { class: "line" },
      h("span", { class: "label" }, link),
      h("span", { class: "set" }, box, h("span", { "aria-hidden": "true" }, "%"), back),
    ),
    h("div", { class: "track" }, range),
    h("div", { class: "small soft about" }, about),
  );
  item.tell = (said) => item.querySelector(".about").replaceChildren(said);
  const paint = (value, { set }) => {
    const place = (one) => `${(100 * (one - LEAST)) / (MOST - LEAST)}%`;
    range.style.setProperty("--from", place(Math.min(value, natural)));
    range.style.setProperty("--to", place(Math.max(value, natural)));
    range.style.setProperty("--notch", place(natural));
    range.style.setProperty("--fill", value < natural ? "var(--down)" : "var(--up)");
    range.setAttribute(
      "aria-valuetext",
      `${Math.round(value)} percent of maximum, natural ${Math.round(natural)} percent`,
    );
    item.classList.toggle("moved", set);
    back.disabled = !set;
  };
  item.move = (value, { set }) => {
    if (document.activeElement !== box) box.value = tidy(Math.round(value));
    range.value = value;
    paint(value, { set });
  };
  const moved = (value) => {
    item.move(clamp(value), { set: true });
    on.input(name, clamp(value));
  };
  range.addEventListener("pointerdown", () => on.grab(name));
  range.addEventListener("focus", () => on.grab(name));
  range.addEventListener("input", () => moved(Math.round(Number(range.value))));
  range.addEventListener("change", () => on.done(name));
  range.addEventListener("dblclick", () => on.release(name));
  range.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? BIG_STEP : STEP;
    const by = { ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step }[
      event.key
    ];
    if (event.key === "0") on.release(name);
    else if (event.key === "Delete") moved(0);
    else if (by) moved(Math.round(Number(range.value)) + by);
    else return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key !== "0") on.done(name);
  });
  box.addEventListener("focus", () => on.grab(name));
  box.addEventListener("change", () => {
    if (box.value === "") return on.release(name);
    box.value = clamp(Number(box.value)); // what is asked for is what is shown
    moved(Number(box.value));
    return on.done(name);
  });
  paint(now, { set: Math.abs(now - natural) > 0.05 });
  return item;
}

/** The panel of an answer; `state` is {sliders, all}. */
export function panel(answer, asked, { all, showAll, on }) {
  const set = (name, own) => ({
    natural: own.natural ?? 0,
    now: asked.sliders.get(name) ?? own.natural ?? 0,
  });
  const features = answer.features.map((own) => ({ name: String(own.latent), own }));
  const ours = features.filter(({ name }) => asked.sliders.has(name));
  const others = features.filter(({ name }) => !asked.sliders.has(name));
  const shown = [
    ...ours,
    ...(all ? others : others.slice(0, Math.max(SHOWN - ours.length, 4))),
  ];
  const families = answer.families.map((own) => ({ name: `f${own.number}`, own }));
  const items = shown.map(({ name, own }) =>
    slider(
      {
        name,
        ...set(name, own),
        label: own.label ?? `feature ${own.latent}`,
        link: [featureLink(own), chip(own)],
        about: aboutFeature(own),
      },
      on,
    ),
  );
  const own = families.filter(({ name }) => asked.sliders.has(name));
  const familyItems = [...own, ...families.filter((one) => !own.includes(one))].map(
    ({ name, own }) =>
      slider(
        {
          name,
          ...set(name, own),
          label: `family ${own.label ?? own.number}`,
          link: familyLink(own),
          about: aboutFamily(own),
        },
        on,
      ),
  );
  const more = features.length - shown.length;
  return [
    items.length
      ? h("ul", { class: "sliders", "aria-label": "Features of this question" }, items)
      : h("p", { class: "soft" }, "No feature is on for this question."),
    h(
      "p",
      { class: "small soft" },
      `${shown.length} of ${answer.n_features} shown, by their share in these scores. `,
      more > 0 ? h("button", { type: "button", onclick: showAll }, "show all") : null,
    ),
    familyItems.length
      ? [
          h("h3", {}, "Families"),
          h("ul", { class: "sliders", "aria-label": "Families of this question" }, familyItems),
        ]
      : [],
  ].flat();
}

/** Says the new numbers of sliders that stay where they are. */
export function tell(root, answer) {
  for (const own of answer.features) {
    root.querySelector(`[data-name="${own.latent}"]`)?.tell(aboutFeature(own));
  }
}

function familyLink(own) {
  return h(
    "a",
    { class: "name", href: `/family/${own.number}` },
    `▸ ${own.label ?? `family ${own.number}`} (${own.n_members})`,
  );
}

function aboutFeature(own) {
  return h(
    "span",
    {
      title:
        "Natural: its value in the question, in percent of its highest on the corpus. Then the " +
        "share of documents on which it is on. Effect: its mean part in the scores of these hits.",
    },
    `natural ${Math.round(own.natural)} % · ${percent(own.density)} of documents`,
    ` · effect ${score(own.effect)}`,
  );
}

function aboutFamily(own) {
  return h(
    "span",
    {
      title:
        "The sum of its members' values, in percent of the highest such sum in one document.",
    },
    `natural ${Math.round(own.natural)} %`,
  );
}
