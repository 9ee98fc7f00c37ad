// Above the hits: how far the question has been moved, and what is done with all of it.

import { h } from "../dom.js";
import { count, score } from "../numbers.js";

const MODES = [
  ["adjust", "adjust: the rest stays"],
  ["only", "only these features"],
  ["re-encode", "re-encode"],
];
const WORDS = [
  [0.98, "same question"],
  [0.85, "clear edit"],
  [0.5, "strong edit"],
  [-1, "different question"],
];
const ABOUT_COSINE =
  "The cosine of the steered question to the one as asked. The further it falls, the more " +
  "the sliders decide and the less your question does.";

export class Toolbar {
  /** `on` has change(what), compare(), undo(), reset() and copy(). */
  constructor(asked, meta, on) {
    this.asked = asked;
    this.meta = meta;
    this.cosine = h("span", { class: "mono" });
    this.word = h("span", { class: "small soft word" });
    this.meter = h("meter", { min: 0, max: 1, low: 0.5, high: 0.85, optimum: 1 });
    const said = h("span", { class: "small", title: ABOUT_COSINE }, "cosine to your question ");
    said.append(this.cosine);
    this.gauge = h("div", { class: "gauge", hidden: true }, said, this.meter, this.word);
    this.status = h("p", { class: "small soft status" });
    this.csv = h("a", { class: "button", download: "search.csv" }, "CSV");
    const button = (text, title, onclick, more = {}) =>
      h("button", { type: "button", title, onclick, ...more }, text);
    const choice = (label, options, own, name) => {
      const made = options.map(([value, text]) =>
        h("option", { value, selected: value === own }, text),
      );
      const select = h("select", { "aria-label": label }, made);
      select.addEventListener("change", () => on.change({ [name]: select.value }));
      return select;
    };
    const many = [...new Set(["10", "20", "50", "100", asked.k])].map((k) => [k, `${k} hits`]);
    this.undo = button("Undo", "The last change (u)", on.undo, { disabled: true });
    this.compare = button("Compare", "Beside the list without sliders", on.compare);
    const about = "The address of this page with its sliders (y)";
    const copy = button("Copy link", about, () => on.copy(copy));
    this.root = h(
      "div",
      { class: "toolbar" },
      this.gauge,
      h("span", { class: "spacer" }),
      this.compare,
      this.undo,
      button("Reset", "All sliders back to the question (r)", on.reset),
      choice("What becomes of the rest of the question", MODES, asked.mode, "mode"),
      choice("Number of hits", many, asked.k, "k"),
      copy,
      this.csv,
    );
  }

  update({ undoable }) {
    this.undo.disabled = !undoable;
    this.compare.setAttribute("aria-pressed", String(this.asked.compare));
  }

  /** `n` is the number of documents that filters leave; `kept` that of hits as before. */
  say({ fidelity, hits, errors, kept, n, how }) {
    const word = WORDS.find(([least]) => fidelity > least)?.[1] ?? "different question";
    const cosine = score(fidelity, 2);
    this.gauge.hidden = false;
    this.cosine.textContent = cosine;
    this.word.textContent = word;
    this.meter.value = Math.max(0, fidelity);
    this.meter.setAttribute("aria-label", `cosine to your question ${cosine}, ${word}`);
    const narrowed = this.asked.where || this.asked.holding;
    const parts = [
      `${hits.length} of ${count(n)}`,
      narrowed ? ` that the filters leave of ${count(this.meta.n_rows)}` : "",
      ` · ${how}`,
      kept !== undefined && this.asked.sliders.size ? ` · ${kept} of ${hits.length} kept` : "",
    ];
    if (errors?.length) {
      parts.push(` · error of its code ${errors.map((one) => one.toPrecision(2)).join(", ")}`);
    }
    this.status.textContent = parts.join("");
  }
}
