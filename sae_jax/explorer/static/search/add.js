// A box that finds a feature, and gives it a slider.

import { address, get } from "../api.js";
import { h } from "../dom.js";
import { featureLink } from "../parts.js";

const EAGER = 150; // milliseconds after the last letter

/** By its label or its number; `add` gets the feature. */
export function drawAdd({ add, signal }) {
  const found = h("ul", { class: "found plain" });
  const input = h("input", {
    type: "search",
    placeholder: "+ add a feature by its label or number",
    "aria-label": "Add a feature by its label or number",
  });
  let later;
  let asking = new AbortController();
  input.addEventListener("input", () => {
    clearTimeout(later);
    asking.abort();
    asking = new AbortController();
    found.replaceChildren(); // of other words: Enter must not add one of them
    const text = input.value.trim();
    if (!text) return;
    later = setTimeout(async () => {
      const answer = await get(address("/api/find", { q: text, of: "names" }), {
        signal: asking.signal,
      }).catch(() => null);
      if (!answer || signal.aborted) return;
      const numbered = answer.go.filter((one) => one.kind === "feature");
      draw([...numbered, ...answer.features]);
    }, EAGER);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") clear();
    if (event.key === "Enter") found.querySelector("button")?.click();
  });
  const clear = () => {
    input.value = "";
    found.replaceChildren();
  };
  const draw = (features) =>
    found.replaceChildren(
      ...(features.length
        ? features.map((one) =>
            h(
              "li",
              {},
              h(
                "button",
                {
                  type: "button",
                  onclick: () => {
                    clear();
                    add(one);
                  },
                },
                "+",
              ),
              " ",
              featureLink(one),
            ),
          )
        : [h("li", { class: "soft" }, "no such feature")]),
    );
  return h("div", { class: "add" }, input, found);
}
