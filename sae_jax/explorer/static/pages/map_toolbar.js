// Above the map: what its points are, how they are coloured, which are found, and the zoom.

import { address } from "../api.js";
import { announce, h } from "../dom.js";
import { CHOICES } from "./map_colours.js";

export function toolbar({ state, view, paint, keep, navigate, found }) {
  const option = ([value, words], chosen) =>
    h("option", { value, selected: value === chosen }, words);
  const of = h(
    "select",
    { onchange: () => navigate(address("/map", { of: of.value })) },
    Object.keys(CHOICES).map((one) => option([one, one], state.of)),
  );
  const colour = h(
    "select",
    {},
    Object.entries(CHOICES[state.of]).map((one) => option(one, state.colour)),
  );
  colour.onchange = () => {
    state.colour = colour.value;
    document.querySelector(".map .side h2").textContent =
      `Colour: ${CHOICES[state.of][state.colour]}`;
    paint();
    keep();
  };
  const find = h("input", {
    type: "search",
    value: state.find,
    placeholder: state.of === "features" ? "label" : "title or beginning",
  });
  find.oninput = () => {
    state.find = find.value;
    paint();
    keep();
  };
  const button = (text, label, does) =>
    h("button", { type: "button", "aria-label": label, title: label, onclick: does }, text);
  const box = h(
    "button",
    {
      type: "button",
      "aria-pressed": "false",
      title: "Drag a box instead of the map; the same as holding Shift",
    },
    "Select a box",
  );
  box.onclick = () => {
    view.selecting = !view.selecting;
    box.setAttribute("aria-pressed", String(view.selecting));
    view.canvas.classList.toggle("selecting", view.selecting);
    announce(view.selecting ? "dragging selects" : "dragging moves");
  };
  return h(
    "div",
    { class: "toolbar" },
    h("label", {}, "Show ", of),
    h("label", {}, "Colour ", colour),
    h("label", {}, "Find ", find),
    found,
    h(
      "span",
      { class: "zoom" },
      button("−", "Zoom out (−)", () => view.zoomBy(1 / 1.5)),
      button("+", "Zoom in (+)", () => view.zoomBy(1.5)),
      button("All", "See all (0)", () => view.fit()),
      box,
    ),
  );
}
