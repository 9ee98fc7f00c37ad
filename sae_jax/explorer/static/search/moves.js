// What the sliders are set to, and how each movement is taken back.

import { clamp } from "./asked.js";

const LEAST_ALIKE = 50; // percent: less would hardly be seen

export class Moves {
  /** `sliders` is changed in place: a name to its percent. */
  constructor(sliders) {
    this.sliders = sliders;
    this.past = []; // the sliders before each movement
    this.ended = true; // a drag is one movement, however many changes it makes
  }

  change(does) {
    if (this.ended) this.past.push(new Map(this.sliders));
    this.ended = false;
    does(this.sliders);
  }

  end() {
    this.ended = true;
  }

  /** A movement by itself; returns whether it changes anything. */
  once(does) {
    this.end();
    const before = JSON.stringify([...this.sliders]);
    this.change(does);
    this.end();
    if (JSON.stringify([...this.sliders]) !== before) return true;
    this.past.pop();
    return false;
  }

  set(pairs) {
    return this.once((sliders) => {
      for (const [name, percent] of pairs) sliders.set(name, Math.round(percent));
    });
  }

  release(name) {
    return this.once((sliders) => sliders.delete(name));
  }

  reset() {
    return this.once((sliders) => sliders.clear());
  }

  /** What a hit has more of than the others, up (sign 1) or down (−1). */
  alike(hit, sign) {
    const strong = (percent) => Math.max(percent, LEAST_ALIKE);
    return this.set(
      (hit.distinct ?? []).map(([latent, percent]) => [
        String(latent),
        clamp(sign > 0 ? strong(percent) : -strong(percent) / 2),
      ]),
    );
  }

  undo() {
    const last = this.past.pop();
    this.end();
    if (!last) return false;
    this.sliders.clear();
    for (const [name, percent] of last) this.sliders.set(name, percent);
    return true;
  }
}
