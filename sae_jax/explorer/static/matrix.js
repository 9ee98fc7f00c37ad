// A square of values between features, its cells shaded; pointed at or walked by the arrow keys.

import { h } from "./dom.js";
import { score } from "./numbers.js";
import { nameOf } from "./parts.js";

const WIDTH = 380; // pixels, or less
const NAMED = 24; // more features have cells too small for a name beside them
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** `what` says what a value is. The first feature is the parent, whose values would outshine the others. */
export function matrixFigure(values, features, { title, what, named = true, signal }) {
  const n = features.length;
  const cell = Math.max(5, Math.min(20, Math.floor(WIDTH / n)));
  const pairs = pairsOf(values);
  const [strongest] = pairs;
  const highest = Math.max((pairs.find(({ j }) => j > 0) ?? strongest)?.value ?? 0, 0.01);
  const above = strongest?.value > highest ? "≥ " : "";
  const readout = h(
    "p",
    { class: "readout small", role: "status" },
    "Point at a cell, or walk by the arrow keys.",
  );
  const said =
    strongest &&
    `Highest: ${nameOf(features[strongest.i])} and ${nameOf(features[strongest.j])}, ${score(strongest.value, 2)}.`;
  const canvas = h("canvas", {
    width: n * cell * 2,
    height: n * cell * 2,
    tabindex: "0",
    role: "img",
    "aria-label": `${title}: ${n} by ${n} features. ${what}. ${said ?? ""}`,
    style: { width: `${n * cell}px` },
  });
  let at = null;
  const draw = () => paint(canvas, values, { highest, at });
  const show = (i, j) => {
    if (i < 0 || j < 0 || i >= n || j >= n) return;
    at = [i, j];
    draw();
    const other = i === j ? "itself" : nameOf(features[j]);
    readout.textContent = `${nameOf(features[i])} · ${other}: ${score(values[i][j], 2)}`;
  };
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const place = (value, start, size) => Math.floor(((value - start) / size) * n);
    show(place(event.clientY, box.top, box.height), place(event.clientX, box.left, box.width));
  });
  canvas.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    show((at?.[0] ?? 0) + (at ? step[0] : 0), (at?.[1] ?? 0) + (at ? step[1] : 0));
  });
  const watching = new MutationObserver(draw);
  watching.observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["data-theme"],
  });
  signal.addEventListener("abort", () => watching.disconnect());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw, { signal });
  requestAnimationFrame(draw);
  const names = features.map((one) =>
    h(
      "li",
      { style: { height: `${cell}px`, "line-height": `${cell}px` }, dir: "auto" },
      nameOf(one),
    ),
  );
  return h(
    "figure",
    { class: "matrix" },
    h(
      "figcaption",
      {},
      h("h3", {}, title),
      h(
        "p",
        { class: "soft small" },
        `${what}. `,
        h(
          "span",
          { class: "scale" },
          h("span", { class: "number" }, "0"),
          h("span", { class: "ramp" }),
          h("span", { class: "number" }, above + score(highest, 2)),
        ),
      ),
    ),
    h(
      "div",
      { class: "square" },
      named && n <= NAMED ? h("ol", { "aria-hidden": "true" }, names) : null,
      canvas,
    ),
    readout,
  );
}

/** Of two features each, the highest value first. */
export function pairsOf(values) {
  const found = values.flatMap((row, i) =>
    row.slice(0, i).map((value, j) => ({ i, j, value })),
  );
  return found.sort((one, other) => other.value - one.value);
}

function paint(canvas, values, { highest, at }) {
  const own = getComputedStyle(document.documentElement);
  const colour = (name) => own.getPropertyValue(name).trim();
  const pen = canvas.getContext("2d");
  const cell = canvas.width / values.length;
  const gap = cell > 16 ? 1 : 0;
  pen.fillStyle = colour("--raised");
  pen.fillRect(0, 0, canvas.width, canvas.height);
  values.forEach((row, i) =>
    row.forEach((value, j) => {
      pen.globalAlpha = i === j ? 1 : Math.max(0, Math.min(1, value / highest));
      pen.fillStyle = i === j ? colour("--line") : colour("--accent");
      pen.fillRect(j * cell, i * cell, cell - gap, cell - gap);
    }),
  );
  pen.globalAlpha = 1;
  if (!at) return;
  pen.strokeStyle = colour("--text");
  pen.lineWidth = 2;
  pen.strokeRect(at[1] * cell + 1, at[0] * cell + 1, cell - 2, cell - 2);
}
