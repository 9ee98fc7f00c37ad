// Search, steered by the features of the question while one watches.

import { address, get, getBytes } from "../api.js";
import { announce, h } from "../dom.js";
import { onKey } from "../keys.js";
import { setAddress, setTitle } from "../main.js";
import { count, score, seconds } from "../numbers.js";
import { empty, failed, filled, waited } from "../states.js";
import { addressOf, clamp, parameters, read } from "../search/asked.js";
import { covers, rank, unpack } from "../search/block.js";
import { drawFilters } from "../search/filters.js";
import { HitList, compared } from "../search/hits.js";
import { panel } from "../search/sliders.js";
import { drawAdd, drawForm, drawStart, drawWords } from "../search/start.js";

export const title = "Search";
const EXACT_AFTER = 150; // milliseconds without a movement

export async function show(root, context) {
  await new SearchPage(root, context).start();
}

class SearchPage {
  constructor(root, { url, meta, signal, navigate }) {
    Object.assign(this, { root, meta, signal, navigate });
    this.asked = read(url);
    this.names = new Map();
    this.past = []; // sliders before each change
    this.all = false;
    this.results = h("section", { class: "results", "aria-label": "Results" });
    this.features = h("aside", { class: "features", "aria-label": "Features of this question" });
    this.gauge = h("div", { class: "gauge" });
    this.status = h("p", { class: "small soft status" });
    this.list = new HitList({ names: this.names, more: (hit) => this.alike(hit, 1), less: (hit) => this.alike(hit, -1), chosen: (row) => (this.chosen = row) });
  }

  async start() {
    const { asked, root } = this;
    root.append(drawForm(asked, { ask: (href) => this.navigate(href), meta: this.meta, signal: this.signal }));
    this.keys();
    if (!asked.kind) {
      await drawStart(root, { meta: this.meta, signal: this.signal });
      return;
    }
    if (asked.words) {
      await drawWords(root, asked, { signal: this.signal });
      return;
    }
    setTitle(asked.kind === "q" ? asked.value : `${asked.kind} ${asked.value}`);
    root.append(this.toolbar(), this.filters(), h("div", { class: "columns-2" }, h("div", {}, this.status, this.results), this.features));
    await filled(this.results, () => this.fetch(), (answer) => this.draw(answer), { signal: this.signal });
    this.fetchBlock();
  }

  toolbar() {
    const button = (text, title, onclick, more = {}) => h("button", { type: "button", title, onclick, ...more }, text);
    this.buttons = {
      compare: button("Compare", "Beside the list without sliders", () => this.compare(), { "aria-pressed": String(this.asked.compare) }),
      undo: button("Undo", "The last change (u)", () => this.undo(), { disabled: true }),
      reset: button("Reset", "All sliders back to the question (r)", () => this.reset()),
    };
    const mode = h("select", { "aria-label": "What becomes of the rest of the question", onchange: () => this.change({ mode: mode.value }) },
      [["adjust", "adjust: the rest stays"], ["only", "only these features"], ["re-encode", "re-encode"]].map(([value, text]) => h("option", { value, selected: value === this.asked.mode }, text)));
    const many = h("select", { "aria-label": "Number of hits", onchange: () => this.change({ k: many.value }) },
      [...new Set(["10", "20", "50", "100", this.asked.k])].map((value) => h("option", { value, selected: value === this.asked.k }, `${value} hits`)));
    this.csv = h("a", { class: "button", download: "search.csv" }, "CSV");
    const copy = button("Copy link", "The address of this page with its sliders (y)", () => this.copy());
    return h("div", { class: "toolbar" }, this.gauge, h("span", { class: "spacer" }), this.buttons.compare, this.buttons.undo, this.buttons.reset, mode, many, copy, this.csv);
  }

  filters() {
    return drawFilters(this.asked, { meta: this.meta, signal: this.signal, change: (what) => this.navigate(addressOf({ ...this.asked, ...what })) });
  }

  fetch() {
    const { asked } = this;
    this.exact?.abort();
    this.exact = new AbortController();
    this.signal.addEventListener("abort", () => this.exact.abort());
    return get(address("/api/search", parameters(asked)), { signal: this.exact.signal });
  }

  /** What is shown of an answer; the panel is made anew only where its features are others. */
  draw(answer) {
    this.answer = answer;
    for (const own of answer.features) this.names.set(own.latent, own);
    this.say(answer, `exact · ${seconds(answer.milliseconds)}`);
    this.drawHits(answer.hits);
    this.drawPanel();
    this.csv.href = address("/api/search.csv", parameters({ ...this.asked, k: "1000" }));
    if (!answer.hits.length) return this.nothing();
    if (!this.asked.compare) return this.list.root;
    const { root, join } = compared(answer.neutral, this.list);
    this.join = join;
    requestAnimationFrame(join);
    return root;
  }

  nothing() {
    const clear = () => this.navigate(addressOf({ ...this.asked, where: "", holding: "" }));
    return empty(`0 of ${count(this.meta.n_rows)} documents: the filters remove all.`, h("button", { type: "button", onclick: clear }, "Clear filters"));
  }

  drawHits(hits) {
    this.list.draw(hits, { k: Number(this.asked.k) });
    if (this.join) requestAnimationFrame(this.join);
  }

  say({ fidelity, n_kept: kept, hits, errors }, how) {
    const word = fidelity > 0.98 ? "same question" : fidelity > 0.85 ? "clear edit" : fidelity > 0.5 ? "strong edit" : "different question";
    const text = `cosine to your question ${score(fidelity, 2)}, ${word}`;
    this.gauge.replaceChildren(h("span", { class: "small", title: "The cosine of the steered question to the one as asked. At .7 a slider brings its concept into the first ten about twice as well as rewriting the text does." }, "cosine to your question ", h("span", { class: "mono" }, score(fidelity, 2))),
      h("meter", { min: 0, max: 1, low: 0.5, high: 0.85, optimum: 1, value: Math.max(0, fidelity), "aria-label": text }), h("span", { class: "small soft word" }, word));
    this.status.replaceChildren(`${hits.length} of ${count(this.answer.n_rows)}${this.asked.where || this.asked.holding ? ` that the filters leave of ${count(this.meta.n_rows)}` : ""} · ${how}`, kept === undefined || !this.asked.sliders.size ? "" : ` · ${kept} of ${hits.length} kept`, errors?.length ? ` · error of its code ${errors.map((one) => one.toPrecision(2)).join(", ")}` : "");
  }

  drawPanel() {
    const order = this.order(this.answer);
    this.features.replaceChildren(h("h2", {}, "Features of this question"),
      drawAdd({ add: (feature) => this.add(feature), signal: this.signal }),
      ...panel(order, this.asked, { all: this.all, showAll: () => { this.all = true; this.drawPanel(); }, on: this.on() }));
  }

  /** As before: a slider that is moved must not jump away. New ones come first. */
  order(answer) {
    const known = this.known ?? [];
    const place = (own) => (known.indexOf(own.latent) + 1 ? known.indexOf(own.latent) : this.known ? -1 : 0);
    const features = [...answer.features].sort((a, b) => place(a) - place(b));
    this.known = features.map((own) => own.latent);
    return { ...answer, features };
  }

  on() {
    return {
      grab: (name) => this.grab(name),
      input: (name, percent) => this.move(name, percent),
      done: () => this.refresh(),
      release: (name) => this.release(name),
    };
  }

  grab(name) {
    this.before = new Map(this.asked.sliders);
    if (this.grabbed !== name) {
      this.grabbed = name;
      this.fetchBlock(name);
    }
  }

  move(name, percent) {
    this.remember();
    this.asked.sliders.set(name, percent);
    this.keepAddress();
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.preview());
    clearTimeout(this.later);
    this.later = setTimeout(() => this.refresh(), EXACT_AFTER);
  }

  preview() {
    if (!this.block || !covers(this.block, this.asked.sliders)) return;
    const began = performance.now();
    const found = rank(this.block, this.asked.sliders, Number(this.asked.k));
    this.drawHits(found.hits);
    this.say({ ...found, n_kept: undefined }, "preview");
    performance.measure("repaint", { start: began });
  }

  /** Asks for the exact answer; what is shown stays until it comes. */
  async refresh() {
    clearTimeout(this.later);
    this.before = undefined;
    try {
      const answer = await waited(() => this.fetch());
      if (this.signal.aborted) return;
      const moving = this.features.contains(document.activeElement);
      cancelAnimationFrame(this.frame);
      this.answer = answer;
      for (const own of answer.features) this.names.set(own.latent, own);
      this.drawHits(answer.hits);
      this.say(answer, `exact · ${seconds(answer.milliseconds)}`);
      this.drawCompared(answer);
      this.csv.href = address("/api/search.csv", parameters({ ...this.asked, k: "1000" }));
      if (!moving) this.drawPanel();
      announce(`${answer.hits.length} documents, cosine ${score(answer.fidelity, 2)}`);
      if (!moving || !this.block || !covers(this.block, this.asked.sliders)) this.fetchBlock(this.grabbed);
    } catch (error) {
      if (error.name === "AbortError" || this.signal.aborted) return;
      this.results.replaceChildren(failed(error, () => this.again()));
    }
  }

  again() {
    return filled(this.results, () => this.fetch(), (answer) => this.draw(answer), { signal: this.signal });
  }

  drawCompared(answer) {
    const wanted = this.asked.compare;
    if (!wanted) {
      this.join = undefined;
      this.results.replaceChildren(this.list.root);
      return;
    }
    const { root, join } = compared(answer.neutral, this.list);
    this.join = join;
    this.results.replaceChildren(root);
    requestAnimationFrame(join);
  }

  async fetchBlock(moved = "") {
    if (this.asked.mode === "re-encode") {
      this.block = undefined; // not linear in the sliders
      return;
    }
    this.asking?.abort();
    this.asking = new AbortController();
    this.signal.addEventListener("abort", () => this.asking.abort());
    const path = address("/api/search/block", { ...parameters(this.asked, { moved }), k: "" });
    const bytes = await getBytes(path, { signal: this.asking.signal }).catch(() => null); // without it a move waits for the exact answer
    if (bytes) {
      this.block = unpack(bytes);
      this.root.dataset.block = moved || "ready";
    }
  }

  remember() {
    const last = this.before ?? new Map(this.asked.sliders);
    if (this.before !== null) this.past.push(last);
    this.before = null; // one entry for one movement
    this.buttons.undo.disabled = false;
  }

  release(name) {
    if (!this.asked.sliders.has(name)) return;
    this.before = undefined;
    this.remember();
    this.asked.sliders.delete(name);
    this.apply();
  }

  reset() {
    if (!this.asked.sliders.size) return;
    this.before = undefined;
    this.remember();
    this.asked.sliders.clear();
    this.apply();
  }

  undo() {
    const last = this.past.pop();
    if (!last) return;
    this.asked.sliders = last;
    this.buttons.undo.disabled = !this.past.length;
    this.apply();
  }

  add(feature) {
    this.set([[String(feature.latent), 100]]);
  }

  /** What a hit has more of than the others, up; or down. */
  alike(hit, sign) {
    this.set((hit.distinct ?? []).map(([latent, percent]) => [String(latent), clamp(sign > 0 ? Math.max(percent, 50) : -Math.max(percent, 50) / 2)]));
  }

  set(pairs) {
    this.before = undefined;
    this.remember();
    for (const [name, percent] of pairs) this.asked.sliders.set(name, Math.round(percent));
    this.apply();
  }

  /** Sliders were set from elsewhere than themselves. */
  async apply() {
    this.keepAddress();
    document.activeElement?.closest?.(".slider") && document.activeElement.blur();
    await this.refresh();
  }

  change(what) {
    Object.assign(this.asked, what);
    this.keepAddress();
    this.grabbed = undefined;
    this.again().then(() => this.fetchBlock());
  }

  compare() {
    this.asked.compare = !this.asked.compare;
    this.buttons.compare.setAttribute("aria-pressed", String(this.asked.compare));
    this.keepAddress();
    if (this.answer) this.drawCompared(this.answer);
  }

  keepAddress() {
    setAddress(addressOf(this.asked));
  }

  async copy() {
    const link = new URL(addressOf(this.asked, { run: this.meta.fingerprint }), location.href).href;
    await navigator.clipboard?.writeText(link);
    announce("The link is copied.");
  }

  keys() {
    const on = (key, what, does) => onKey(key, what, does, { signal: this.signal });
    const hits = () => [...this.list.root.children];
    const step = (by) => {
      const all = hits();
      const at = all.findIndex((item) => item.hit.row === this.chosen);
      const next = all[Math.max(0, Math.min(all.length - 1, at < 0 ? 0 : at + by))];
      next?.focus();
    };
    const chosen = () => hits().find((item) => item.hit.row === this.chosen);
    on("j", "next hit", () => step(1));
    on("k", "previous hit", () => step(-1));
    on("Enter", "open the hit", () => document.activeElement?.closest?.(".hit") === document.activeElement ? this.navigate(`/document/${this.chosen}`) : document.activeElement?.click());
    on("x", "why this hit", () => chosen() && this.list.toggle(chosen()));
    on("o", "open the hit's source", () => chosen()?.querySelector(".source")?.click());
    on("u", "undo", () => this.undo());
    on("Ctrl+z", "undo", () => this.undo());
    on("r", "reset all sliders", () => this.reset());
    on("y", "copy the link", () => this.copy());
  }
}
