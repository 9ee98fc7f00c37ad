// Points on a canvas that can be moved, magnified and selected from, with the mouse or the keys.

import { paint } from "./map_paint.js";

const CLICK = 4; // pixels that a hand may slip in a click
const REACH = 14; // pixels from a point within which the pointer is at it
const HIGHEST_ZOOM = 400;

export class Canvas {
  /** `changed` is called after each move, `opened(i)` for a click, `pointed(i, place)` while hovering, `selected(box)`. */
  constructor(canvas, { signal, changed, opened, pointed, selected }) {
    Object.assign(this, { canvas, changed, opened, pointed, selected });
    this.x = this.y = [];
    this.view = { x: 0, y: 0, zoom: 1 };
    this.box = null;
    this.selecting = false;
    this.drawing = false;
    new ResizeObserver(() => this.draw()).observe(canvas);
    const on = (name, does, options = {}) =>
      canvas.addEventListener(name, does, { signal, ...options });
    on("wheel", (event) => this.wheel(event), { passive: false });
    on("pointerdown", (event) => this.press(event));
    on("pointermove", (event) => this.move(event));
    on("pointerup", (event) => this.release(event));
    on("pointercancel", () => (this.held = null));
    on("pointerleave", () => this.pointed(-1));
    on("keydown", (event) => this.key(event));
    on("focus", () => this.draw());
    on("blur", () => this.draw());
  }

  set(data, { of, shades, matching, labels }) {
    Object.assign(this, {
      x: data.x,
      y: data.y,
      names: data.label,
      of,
      shades,
      matching,
      labels,
    });
    const ends = (values) => [
      values.reduce((a, b) => Math.min(a, b), Infinity),
      values.reduce((a, b) => Math.max(a, b), -Infinity),
    ];
    const [[left, right], [low, high]] = [ends(data.x), ends(data.y)];
    this.middle = [(left + right) / 2, (low + high) / 2];
    this.extent = [right - left || 1, high - low || 1];
    this.draw();
  }

  /** Pixels of one unit of the data. */
  get scale() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return 0.92 * Math.min(width / this.extent[0], height / this.extent[1]) * this.view.zoom;
  }

  toPixels(x, y) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return [
      width / 2 + (x - this.middle[0] - this.view.x) * this.scale,
      height / 2 - (y - this.middle[1] - this.view.y) * this.scale,
    ];
  }

  toData(px, py) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return [
      this.middle[0] + this.view.x + (px - width / 2) / this.scale,
      this.middle[1] + this.view.y - (py - height / 2) / this.scale,
    ];
  }

  /** What is in sight, as a box of the data. */
  sight() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const [[left, low], [right, high]] = [this.toData(0, height), this.toData(width, 0)];
    return { x: [left, right], y: [low, high] };
  }

  /** The places of the points nearest to this pixel, nearest first. */
  nearest(px, py, { n = 1, reach = Infinity } = {}) {
    const [x, y] = this.toData(px, py);
    const far = (reach / this.scale) ** 2;
    let found = [];
    let worst = far;
    for (let i = 0; i < this.x.length; i++) {
      const away = (this.x[i] - x) ** 2 + (this.y[i] - y) ** 2;
      if (away > worst) continue;
      found.push([away, i]);
      if (found.length > 4 * n + 16) {
        found = found.sort((a, b) => a[0] - b[0]).slice(0, n);
        worst = found.at(-1)[0];
      }
    }
    return found
      .sort((a, b) => a[0] - b[0])
      .slice(0, n)
      .map(([, i]) => i);
  }

  centre() {
    return [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2];
  }

  zoomBy(factor, px, py) {
    const at = px === undefined ? this.centre() : [px, py];
    const before = this.toData(...at);
    this.view.zoom = Math.max(0.5, Math.min(HIGHEST_ZOOM, this.view.zoom * factor));
    const after = this.toData(...at);
    this.view.x += before[0] - after[0];
    this.view.y += before[1] - after[1];
    this.moved();
  }

  panBy(px, py) {
    this.view.x -= px / this.scale;
    this.view.y += py / this.scale;
    this.moved();
  }

  fit() {
    this.view = { x: 0, y: 0, zoom: 1 };
    this.moved();
  }

  moved() {
    this.draw();
    this.changed();
  }

  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode ? 20 : 1;
    this.zoomBy(Math.exp(-event.deltaY * lines * 0.0015), event.offsetX, event.offsetY);
  }

  press(event) {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    const box = event.shiftKey || this.selecting;
    this.held = {
      from: [event.offsetX, event.offsetY],
      last: [event.offsetX, event.offsetY],
      far: false,
      box,
    };
  }

  move(event) {
    const at = [event.offsetX, event.offsetY];
    const { held } = this;
    if (!held) {
      this.pointed(this.nearest(...at, { reach: REACH })[0] ?? -1, at);
      return;
    }
    held.far ||= Math.hypot(at[0] - held.from[0], at[1] - held.from[1]) > CLICK;
    if (!held.far) return;
    this.pointed(-1);
    if (held.box) {
      this.box = boxOf(this.toData(...held.from), this.toData(...at));
      this.draw();
    } else this.panBy(at[0] - held.last[0], at[1] - held.last[1]);
    held.last = at;
  }

  release(event) {
    const { held } = this;
    this.held = null;
    if (!held) return;
    if (held.far) {
      if (held.box) this.selected(this.box);
      return;
    }
    const [i] = this.nearest(event.offsetX, event.offsetY, { reach: REACH });
    if (i !== undefined && !held.box) this.opened(i);
  }

  key(event) {
    const step = 60;
    const moves = {
      ArrowLeft: [step, 0],
      ArrowRight: [-step, 0],
      ArrowUp: [0, step],
      ArrowDown: [0, -step],
    };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) this.panBy(...moves[event.key]);
    else if (["+", "="].includes(event.key)) this.zoomBy(1.5);
    else if (["-", "_"].includes(event.key)) this.zoomBy(1 / 1.5);
    else if (event.key === "0") this.fit();
    else if (event.key === "Enter" && this.x.length)
      this.opened(this.nearest(...this.centre())[0]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** With the next frame, however often it is asked for until then. */
  draw() {
    if (this.drawing || !this.of) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      paint(this);
    });
  }
}

function boxOf(one, other) {
  const sorted = (a, b) => (a < b ? [a, b] : [b, a]);
  return { x: sorted(one[0], other[0]), y: sorted(one[1], other[1]) };
}
