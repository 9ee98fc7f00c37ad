// What is selected on the map: features by how often they are on there, and documents.

import { address, get } from "../api.js";
import { h } from "../dom.js";
import { count, percent } from "../numbers.js";
import { chip, documentLine, featureLink } from "../parts.js";
import { filled } from "../states.js";

const N_TO_SEARCH = 3;
const PERCENT_TO_SEARCH = 50;

export const short = (value) => String(Number(value.toPrecision(5)));
export const range = ([low, high]) => `${short(low)}:${short(high)}`;

export function showInside(root, { state, data, signal, clear, all }) {
  const button = (text, does) => h("button", { type: "button", onclick: does }, text);
  const heading = h("h2", {}, "Selection");
  if (!state.box) {
    root.replaceChildren(
      heading,
      h(
        "p",
        { class: "soft" },
        state.of === "documents"
          ? "Select documents to see which features tell them from the others."
          : "Select features to list them.",
      ),
      button("Select all in sight", all),
    );
    return;
  }
  const list = h("div", {});
  root.replaceChildren(
    heading,
    list,
    button("Select all in sight", all),
    " ",
    button("Clear the selection", clear),
  );
  const path = address("/api/map/selection", {
    of: state.of,
    x: range(state.box.x),
    y: range(state.box.y),
  });
  filled(
    list,
    () => get(path, { signal }),
    (found) => selectionOf(found, data),
    { signal, rows: 4 },
  );
}

function selectionOf(found, data) {
  const told = h(
    "p",
    {},
    `${count(found.n_inside)} of the ${count(found.n_shown)} ${found.of} shown are inside.`,
  );
  if (!found.n_inside) return [told];
  const lifted = found.of === "documents";
  const features = found.features.map((one) => one.feature);
  const alive = features.filter((one) => one.state !== "dead").slice(0, N_TO_SEARCH);
  const sliders = alive.map((one) => `${one.latent}:${PERCENT_TO_SEARCH}`).join(",");
  const rows = found.features.map((one) =>
    h(
      "tr",
      {},
      h("td", {}, featureLink(one.feature), chip(one.feature)),
      lifted
        ? h(
            "td",
            {
              class: "number",
              title: `on in ${count(one.n_inside)} documents inside, ${count(one.n_shown)} of all shown`,
            },
            `${one.lift.toFixed(1)} ×`,
          )
        : h("td", { class: "number" }, percent(one.feature.density, 2)),
    ),
  );
  const head = h(
    "thead",
    {},
    h(
      "tr",
      {},
      h(
        "th",
        { scope: "col" },
        lifted ? "More often on than elsewhere" : "Features, most often on first",
      ),
      h(
        "th",
        {
          scope: "col",
          class: "number",
          title: lifted
            ? "Share of the documents inside on which it is on, over its share of all shown"
            : "Share of documents on which it is on",
        },
        lifted ? "lift" : "density",
      ),
    ),
  );
  return [
    told,
    rows.length
      ? h("div", { class: "found" }, h("table", {}, head, h("tbody", {}, rows)))
      : h(
          "p",
          { class: "soft" },
          "No feature is on in three or more of them, and more often than elsewhere.",
        ),
    sliders
      ? h(
          "p",
          {},
          h(
            "a",
            { href: address("/search", { w: sliders }) },
            `Search with the first ${alive.length}`,
          ),
        )
      : null,
    lifted
      ? h(
          "details",
          {},
          h(
            "summary",
            {},
            `Documents inside (${found.documents.length} of ${count(found.n_inside)})`,
          ),
          h(
            "ul",
            {},
            found.documents.map((one) => h("li", {}, documentLine(one))),
          ),
        )
      : null,
  ];
}
