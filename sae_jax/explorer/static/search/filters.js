// Narrows a search to documents of certain fields, or that hold certain words.

import { get } from "../api.js";
import { h } from "../dom.js";
import { count } from "../numbers.js";
import { conditions, joined } from "./asked.js";

/** `change({where, holding})` is told what is chosen. */
export function drawFilters(asked, { meta, signal, change }) {
  const chosen = conditions(asked);
  const fields = h("div", { class: "fields" });
  const holding = h("input", {
    type: "search",
    value: asked.holding,
    "aria-label": "Only documents that hold these words",
    placeholder: "only documents that hold these words",
    onchange: () => tell(),
  });
  const tell = () => change({ where: joined(chosen), holding: holding.value.trim() });
  const set = (name, value) => {
    if (value) chosen.set(name, value);
    else chosen.delete(name);
    tell();
  };
  const n = chosen.size + Boolean(asked.holding);
  const box = h(
    "details",
    { class: "filters", open: n > 0 },
    h("summary", {}, n ? `Filters (${n})` : "Filters"),
    meta.missing.texts ? null : holding,
    fields,
    n
      ? h(
          "button",
          { type: "button", onclick: () => change({ where: "", holding: "" }) },
          "Clear filters",
        )
      : null,
  );
  const load = () =>
    get("/api/filters", { signal })
      .then((found) =>
        fields.replaceChildren(
          ...Object.entries(found).map(([name, field]) =>
            drawn(name, field, chosen.get(name), set),
          ),
        ),
      )
      .catch(() => null);
  if (n) load();
  else box.addEventListener("toggle", load, { once: true });
  return box;
}

function drawn(name, field, value, set) {
  if (field.values) {
    const select = h(
      "select",
      { onchange: () => set(name, select.value) },
      h("option", { value: "" }, "any"),
      field.values.map(([one, n]) =>
        h("option", { value: one, selected: one === value }, `${one} (${count(n)})`),
      ),
    );
    return h("label", {}, `${name} `, select);
  }
  const [low, high] = (value ?? "..").split("..");
  const end = (word, given, about) =>
    h("input", {
      type: "number",
      value: given,
      min: field.low,
      max: field.high,
      placeholder: String(about),
      "aria-label": `${name}, ${word}`,
      onchange: () => set(name, from.value || to.value ? `${from.value}..${to.value}` : ""),
    });
  const from = end("from", low, field.low);
  const to = end("to", high, field.high);
  return h("label", {}, `${name} `, from, " to ", to);
}
