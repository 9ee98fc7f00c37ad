// Search, steered by the features of the question while one watches.

import { address, get, getBytes } from "../api.js";
import { announce, h } from "../dom.js";
import { copyLink, hereOn } from "../link.js";
import { setAddress, setTitle } from "../main.js";
import { count, score, seconds } from "../numbers.js";
import { drawAdd } from "../search/add.js";
import { addressOf, parameters, read } from "../search/asked.js";
import { covers, rank, unpack } from "../search/block.js";
import { drawFilters } from "../search/filters.js";
import { HitList, compared } from "../search/hits.js";
import { hitKeys, steeringKeys } from "../search/keys.js";
import { Moves } from "../search/moves.js";
import { panel, tell } from "../search/sliders.js";
import { drawForm, drawStart } from "../search/start.js";
import { Toolbar } from "../search/toolbar.js";
import { drawWords } from "../search/words.js";
import { empty, failed, filled, waited } from "../states.js";

export const title = "Search";
const EXACT_AFTER = 150; // milliseconds without a movement

export async function show(root, context) {
  await new SearchPage(root, context).start();
}

class SearchPage {
  constructor(root, { url, meta, signal, navigate }) {
    Object.assign(this, { root, meta, signal, navigate });
    this.asked = read(url);
    this.moves = new Moves(this.asked.sliders);
    this.names = new Map(); // latent → feature
    this.all = false;
    this.results = h("section", { class: "results", "aria-label": "Results" });
    const name = "Features of this question";
    this.features = h("aside", { class: "features", "aria-label": name });
    this.list = new HitList({
      names: this.names,
      more: (hit) => this.apply(this.moves.alike(hit, 1)),
      less: (hit) => this.apply(this.moves.alike(hit, -1)),
    });
    this.toolbar = new Toolbar(this.asked, meta, {
      change: (what) => this.change(what),
      compare: () => this.compare(),
      undo: () => this.apply(this.moves.undo()),
      reset: () => this.apply(this.moves.reset()),
      copy: (button) => copyLink(button, hereOn(meta)),
    });
    this.features.addEventListener("focusout", ({ relatedTarget }) => {
      if (this.isOld && !this.features.contains(relatedTarget)) this.drawPanel();
    });
  }

  async start() {
    const { asked, root, meta, signal } = this;
    root.append(drawForm(asked, { ask: this.navigate, meta, signal }));
    hitKeys(this);
    if (!asked.kind) return drawStart(root, asked, this);
    setTitle(asked.kind === "q" ? asked.value : `${asked.kind} ${asked.value}`);
    if (asked.words) return drawWords(root, asked, this);
    steeringKeys({ ...this, apply: (changed) => this.apply(changed) });
    const change = (what) => this.navigate(addressOf({ ...asked, ...what }));
    root.append(
      this.toolbar.root,
      drawFilters(asked, { meta, signal, change }),
      h(
        "div",
        { class: "columns-2" },
        h("div", {}, this.toolbar.status, this.results),
        this.features,
      ),
    );
    this.toolbar.update({ undoable: false });
    await this.again();
    return this.fetchBlock();
  }

  /** Asks anew where nothing that is shown may stay. */
  again() {
    const { signal } = this;
    return filled(
      this.results,
      () => this.fetch(),
      (answer) => this.draw(answer),
      { signal },
    );
  }

  fetch() {
    this.exact = this.after(this.exact);
    const path = address("/api/search", parameters(this.asked));
    return get(path, { signal: this.exact.signal });
  }

  /** A controller in place of the one before, which is ended, as all are with the page. */
  after(before) {
    before?.abort();
    const controller = new AbortController();
    this.signal.addEventListener("abort", () => controller.abort());
    return controller;
  }

  draw(answer) {
    this.take(answer);
    this.drawPanel();
    return answer.hits.length ? this.joined(answer) : this.nothing();
  }

  /** An exact answer: the hits and what is said of them. */
  take(answer) {
    this.answer = answer;
    for (const own of answer.features) this.names.set(own.latent, own);
    this.drawHits(answer.hits);
    const how = `exact · ${seconds(answer.milliseconds)}`;
    this.toolbar.say({ ...answer, kept: answer.n_kept, n: answer.n_rows, how });
    this.toolbar.csv.href = address("/api/search.csv", { ...parameters(this.asked), k: 1000 });
  }

  /** The list, beside the one without sliders where that is asked. */
  joined(answer) {
    this.join = undefined;
    if (!this.asked.compare) return this.list.root;
    const { root, join } = compared(answer.neutral, this.list);
    this.join = join;
    requestAnimationFrame(join);
    return root;
  }

  nothing() {
    const clear = () => this.navigate(addressOf({ ...this.asked, where: "", holding: "" }));
    return empty(
      `0 of ${count(this.meta.n_rows)} documents: the filters remove all.`,
      h("button", { type: "button", onclick: clear }, "Clear filters"),
    );
  }

  /** An element that is there already stays as it is, and with it what is focused in it. */
  put(element) {
    const { results } = this;
    if (results.firstChild === element && results.childElementCount === 1) return;
    results.replaceChildren(element);
  }

  drawHits(hits) {
    this.list.draw(hits, { k: Number(this.asked.k) });
    if (this.join) requestAnimationFrame(this.join);
  }

  drawPanel() {
    const { signal } = this;
    const showAll = () => {
      this.all = true;
      this.drawPanel();
    };
    const on = {
      grab: (name) => this.grab(name),
      input: (name, percent) => this.move(name, percent),
      done: () => {
        this.moves.end();
        this.refresh();
      },
      release: (name) => this.apply(this.moves.release(name)),
    };
    const add = (feature) => this.apply(this.moves.set([[String(feature.latent), 100]]));
    const focused = this.features.contains(document.activeElement) && document.activeElement;
    const slider = focused && focused.closest(".slider")?.dataset.name;
    this.isOld = false;
    this.features.replaceChildren(
      h("h2", {}, "Features of this question"),
      drawAdd({ add, signal }),
      ...panel(this.ordered(), this.asked, { all: this.all, showAll, on }),
    );
    const again = slider && this.features.querySelector(`[data-name="${slider}"] [type=range]`);
    if (again) again.focus({ preventScroll: true });
    else if (focused) this.features.querySelector("input").focus({ preventScroll: true });
  }

  /** In their places as before, so that no slider jumps away; new ones first. */
  ordered() {
    const known = this.known;
    const place = (own) => (known ? known.indexOf(own.latent) : 0);
    const features = [...this.answer.features].sort((a, b) => place(a) - place(b));
    this.known = features.map((own) => own.latent);
    return { ...this.answer, features };
  }

  grab(name) {
    this.moves.end();
    if (this.grabbed === name) return;
    this.grabbed = name;
    this.fetchBlock(name);
  }

  move(name, percent) {
    this.moves.change((sliders) => sliders.set(name, percent));
    this.keepAddress();
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.preview());
    clearTimeout(this.later);
    this.later = setTimeout(() => this.refresh(), EXACT_AFTER);
  }

  preview() {
    if (!this.block || !covers(this.block, this.asked.sliders)) return;
    const start = performance.now();
    const found = rank(this.block, this.asked.sliders, Number(this.asked.k));
    this.drawHits(found.hits);
    this.toolbar.say({ ...found, n: this.answer.n_rows, how: "preview" });
    performance.measure("repaint", { start });
  }

  /** The exact answer; what is shown stays until it comes. */
  async refresh({ anew = false } = {}) {
    clearTimeout(this.later);
    try {
      const answer = await waited(() => this.fetch());
      if (this.signal.aborted) return;
      cancelAnimationFrame(this.frame);
      this.take(answer);
      this.put(answer.hits.length ? this.joined(answer) : this.nothing());
      // A panel made anew would take the slider from under the hand that holds it.
      const held = !anew && this.features.contains(document.activeElement);
      this.isOld = held;
      if (held) tell(this.features, answer);
      else this.drawPanel();
      announce(`${answer.hits.length} documents, cosine ${score(answer.fidelity, 2)}`);
      if (!held || !this.block || !covers(this.block, this.asked.sliders)) {
        this.fetchBlock(this.grabbed);
      }
    } catch (error) {
      if (error.name === "AbortError" || this.signal.aborted) return;
      const again = failed(error, () => this.refresh());
      this.results.querySelector(".failed")?.remove();
      this.results.prepend(again); // the list stays, and is said to be what it is
      this.toolbar.status.append(", not confirmed");
    }
  }

  /** Without a block a move waits for the exact answer, as it does where it is not linear. */
  async fetchBlock(moved = "") {
    this.block = this.asked.mode === "re-encode" ? undefined : this.block;
    if (this.asked.mode === "re-encode") return;
    this.asking = this.after(this.asking);
    const path = address("/api/search/block", { ...parameters(this.asked, { moved }), k: "" });
    const { signal } = this.asking;
    const bytes = await getBytes(path, { signal }).catch(() => null);
    if (signal.aborted) return;
    this.block = bytes ? unpack(bytes) : undefined;
    this.root.dataset.block = moved || "ready";
  }

  /** Sliders were set from elsewhere than themselves, if `changed`. */
  apply(changed) {
    if (!changed) return;
    this.keepAddress();
    this.refresh({ anew: true });
  }

  change(what) {
    Object.assign(this.asked, what);
    this.keepAddress();
    this.grabbed = this.block = undefined; // a block is of one mode
    this.asking?.abort();
    this.again().then(() => this.fetchBlock());
  }

  compare() {
    this.asked.compare = !this.asked.compare;
    this.keepAddress();
    if (this.answer?.hits.length) this.put(this.joined(this.answer));
  }

  keepAddress() {
    setAddress(addressOf(this.asked));
    this.toolbar.update({ undoable: this.moves.past.length > 0 });
  }
}
