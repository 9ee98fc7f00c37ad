// The map: features or documents as points of a plane, to look around in and to select from.

import { address, get } from "../api.js";
import { h } from "../dom.js";
import { onKey } from "../keys.js";
import { setAddress } from "../main.js";
import { count, percent, score } from "../numbers.js";
import { empty, filled, missing } from "../states.js";
import { Canvas } from "./map_canvas.js";
import { CHOICES, colouring, legend, palette } from "./map_colours.js";
import { range, short, showInside } from "./map_selection.js";
import { toolbar } from "./map_toolbar.js";

export const title = "Map";

const N_NEAREST = 8;
const SETTLED = 200; // milliseconds after a move
const WEAK = 0.2; // share of the variance, below which nearness says little

export async function show(root, { url, meta, signal, navigate }) {
  const state = readState(url);
  const body = h("div", {});
  root.append(body);
  await filled(
    body,
    () => get(address("/api/map", { of: state.of }), { signal }),
    (data) =>
      data.ids.length
        ? drawn(data, { state, meta, signal, navigate })
        : empty("There is nothing to show: this run has no points."),
    { signal, rows: 12 },
  );
}

function readState(url) {
  const of = url.searchParams.get("of") === "documents" ? "documents" : "features";
  const asked = url.searchParams.get("colour");
  const view = (url.searchParams.get("view") ?? "").split(",").map(Number);
  const ends = (name) => (url.searchParams.get(name) ?? "").split(":").map(Number);
  const box = { x: ends("x"), y: ends("y") };
  return {
    of,
    colour: asked in CHOICES[of] ? asked : Object.keys(CHOICES[of])[0],
    view:
      view.length === 3 && view.every(Number.isFinite) && view[2] > 0
        ? { x: view[0], y: view[1], zoom: view[2] }
        : { x: 0, y: 0, zoom: 1 },
    box:
      [...box.x, ...box.y].every(Number.isFinite) && box.x.length === 2 && box.y.length === 2
        ? box
        : null,
    find: url.searchParams.get("find") ?? "",
    run: url.searchParams.get("run"),
  };
}

function drawn(data, { state, meta, signal, navigate }) {
  const canvas = h("canvas", {
    tabindex: "0",
    role: "application",
    "aria-label": sentence(data),
    "aria-describedby": "map-keys",
  });
  const tip = h("div", { class: "tip", hidden: true });
  const key = h("div", {});
  const lack = h("div", {});
  const found = h("span", { class: "soft small", role: "status" });
  const nearest = h("ol", { class: "nearest" });
  const inside = h("div", { class: "inside" });
  const href = (i) =>
    state.of === "features" ? `/feature/${data.ids[i]}` : `/document/${data.ids[i]}`;
  const name = (i) =>
    data.label[i] ??
    (state.of === "features" ? `feature ${data.ids[i]}` : `row ${data.ids[i]}`);
  let timer;

  const keep = () => {
    const { x, y, zoom } = view.view;
    setAddress(
      address("/map", {
        of: state.of,
        colour: state.colour,
        view: zoom === 1 && !x && !y ? "" : [x, y, zoom].map(short).join(","),
        x: state.box && range(state.box.x),
        y: state.box && range(state.box.y),
        find: state.find,
        run: state.run,
      }),
    );
  };
  const settle = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (signal.aborted) return;
      keep();
      nearest.replaceChildren(
        ...view
          .nearest(...view.centre(), { n: N_NEAREST })
          .map((i) => h("li", {}, h("a", { class: "name", href: href(i) }, name(i)))),
      );
    }, SETTLED);
  };
  const select = (box) => {
    state.box = view.box = box && {
      x: range(box.x).split(":").map(Number),
      y: range(box.y).split(":").map(Number),
    };
    view.draw();
    keep();
    showInside(inside, {
      state,
      data,
      signal,
      clear: () => select(null),
      all: () => select(view.sight()),
    });
  };
  const view = new Canvas(canvas, {
    signal,
    changed: settle,
    opened: (i) => navigate(href(i)),
    pointed: (i, at) =>
      point(tip, canvas, i < 0 ? null : { at, lines: about(data, i, name(i)) }),
    selected: (box) => select(box),
  });
  const paint = () => {
    const colours = colouring(data, state.colour);
    const shades = palette(colours, canvas);
    key.replaceChildren(legend(colours, shades));
    const why = { family: meta.missing.families, f1: meta.missing.labels }[state.colour];
    lack.replaceChildren(...(why ? [missing(why)] : []));
    const words = state.find.trim().toLowerCase();
    const matching = words
      ? data.label.map((label) => (label ?? "").toLowerCase().includes(words))
      : null;
    const n = matching?.filter(Boolean).length ?? 0;
    found.textContent = matching ? `${count(n)} of ${count(data.ids.length)} match` : "";
    view.set(data, { of: colours.of, shades, matching, labels: data.families });
  };

  onKey("+", "zoom in", () => view.zoomBy(1.5), { signal });
  onKey("-", "zoom out", () => view.zoomBy(1 / 1.5), { signal });
  onKey("0", "see the whole map", () => view.fit(), { signal });
  const tools = toolbar({ state, view, paint, keep, navigate, found });
  const themes = new MutationObserver(paint);
  themes.observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["data-theme"],
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint, { signal });
  signal.addEventListener("abort", () => themes.disconnect());
  view.view = state.view;
  view.box = state.box;
  // The style sheet's colours and the canvas's size are known once it is in the page.
  requestAnimationFrame(() => {
    paint();
    settle();
    showInside(inside, {
      state,
      data,
      signal,
      clear: () => select(null),
      all: () => select(view.sight()),
    });
  });
  return [
    tools,
    h(
      "p",
      { class: "soft" },
      sentence(data),
      weak(data)
        ? ` Such a plane shows the largest differences only: points close together here need not be alike, and a ${state.of === "features" ? "feature" : "document"}'s own page lists its real neighbours.`
        : "",
    ),
    lack,
    h(
      "div",
      { class: "plan" },
      h(
        "div",
        { class: "sheet" },
        canvas,
        tip,
        h(
          "p",
          { class: "small soft", id: "map-keys" },
          "Drag or use the arrow keys to move, the wheel or + and − to zoom, 0 to see all. Click a point, or press Enter for the one nearest to the centre. Shift and drag selects.",
        ),
      ),
      h(
        "div",
        { class: "side" },
        h("section", {}, h("h2", {}, `Colour: ${CHOICES[state.of][state.colour]}`), key),
        inside,
        h("section", {}, h("h2", {}, "Nearest to the centre"), nearest),
      ),
    ),
  ];
}

const weak = (data) => data.share[0] + data.share[1] < WEAK;

/** What is shown, and what of it the plane can show. */
function sentence(data) {
  const [one, other] = data.share;
  const sampled =
    data.n_shown < data.n
      ? `${count(data.n_shown)} of ${count(data.n)} ${data.of} shown, uniform sample`
      : `All ${count(data.n)} ${data.of}`;
  const what =
    data.of === "features" ? "by their directions in the decoder" : "by their embeddings";
  return `${sampled}, ${what}. PCA: the two axes show ${percent(one)} and ${percent(other)} of the variance.`;
}

function about(data, i, name) {
  if (data.of === "documents") {
    const feature = data.feature[i];
    return [
      name,
      feature === null
        ? "no feature is on"
        : `strongest: ${data.features[feature] ?? `feature ${feature}`}, ${score(data.value[i])}`,
    ];
  }
  const f1 = data.f1[i] === null ? "" : ` · F1 ${score(data.f1[i], 2)}`;
  return [
    name,
    `#${data.ids[i]} · on in ${percent(data.density[i], 2)} of documents${f1}${data.state[i] === "alive" ? "" : ` · ${data.state[i]}`}`,
  ];
}

function point(tip, canvas, told) {
  canvas.classList.toggle("pointing", Boolean(told));
  tip.hidden = !told;
  if (!told) return;
  const [px, py] = told.at;
  tip.replaceChildren(h("strong", {}, told.lines[0]), h("span", {}, told.lines[1]));
  const right = px > canvas.clientWidth / 2;
  tip.style.setProperty("left", right ? "auto" : `${px + 14}px`);
  tip.style.setProperty("right", right ? `${canvas.clientWidth - px + 14}px` : "auto");
  tip.style.setProperty("top", `${Math.max(0, py - 10)}px`);
}
