// How fvu falls with the size of the dictionary, and the laws fitted to it.

import { get } from "../api.js";
import { h } from "../dom.js";
import { count, score } from "../numbers.js";
import { colour, plot } from "../plots.js";
import { empty, failed, filled, missing } from "../states.js";

export function drawScaling({ signal }) {
  const root = h("div", {});
  filled(
    root,
    () => get("/api/runs/scaling", { signal }),
    (found) => drawn(found, signal),
    { signal, rows: 3 },
  );
  return root;
}

function drawn({ corpora, why }, signal) {
  if (why) return missing(why);
  const fitted = corpora.filter((one) => one.by_k.some((law) => law.held_out));
  if (!fitted.length)
    return empty(
      "A law needs finished runs of two sizes at least.",
      h(
        "p",
        {},
        "Train some together: ",
        h("code", {}, "sae-jax sweep --config=SWEEP.py --workdir=FOLDER"),
        ".",
      ),
    );
  return fitted.map((one) => corpusOf(one, { signal, several: fitted.length > 1 }));
}

function corpusOf(corpus, { signal, several }) {
  const laws = corpus.by_k.filter((law) => law.held_out);
  const { figure, draw } = plot({ signal, height: 320, data: "/api/runs/scaling" });
  const alphas = laws.map(
    ({ k, held_out: law }) =>
      `${score(law.alpha)} at k ${k}${law.alpha < 0 ? " (it rises)" : ""}`,
  );
  const sentence = `Held-out fvu falls with the number of latents, as a power of it with the exponent ${alphas.join(", ")}.`;
  draw(() => tracesOf(corpus, laws), layoutOf(corpus), sentence).catch(
    (error) => !signal.aborted && figure.append(failed(error, () => location.reload())),
  );
  return h(
    "div",
    {},
    several ? h("h3", {}, corpus.name) : null,
    h("div", { class: "scaling" }, figure, h("div", { class: "wide" }, lawsOf(laws))),
  );
}

function tracesOf(corpus, laws) {
  return corpus.by_k.flatMap(({ k, held_out: law }, i) => {
    const own = corpus.points.filter((point) => point.k === k);
    const points = {
      x: own.map((point) => point.n_latents),
      y: own.map((point) => point.fvu),
      text: own.map((point) => point.name.replace(/[<>&]/g, " ")),
      mode: "markers",
      marker: { color: colour(i), size: 8 },
      name: `k ${k}`,
      hovertemplate: "%{text}<br>fvu %{y:.4f}<extra></extra>",
    };
    if (!law) return [points];
    const sizes = own.map((point) => point.n_latents);
    const ends = [Math.min(...sizes), Math.max(...sizes)];
    const line = {
      x: ends,
      y: ends.map((n) => law.c * n ** -law.alpha),
      mode: "lines",
      line: { color: colour(i), width: 1.5 },
      showlegend: false,
      hoverinfo: "skip",
    };
    return [line, points];
  });
}

function layoutOf(corpus) {
  const sizes = [...new Set(corpus.points.map((point) => point.n_latents))].sort(
    (a, b) => a - b,
  );
  const ticks = ticksOf(corpus.points.map((point) => point.fvu));
  return {
    showlegend: true,
    margin: { l: 8, r: 12, t: 30, b: 8 },
    xaxis: { title: "latents", type: "log", tickvals: sizes, ticktext: sizes.map(count) },
    yaxis: {
      title: "held-out fvu",
      type: "log",
      tickvals: ticks,
      ticktext: ticks.map((value) => score(value, 2)),
    },
  };
}

/** Round values over less than a few decades, where plotly marks powers of ten alone. */
function ticksOf(values) {
  const [low, high] = [Math.min(...values) * 0.9, Math.max(...values) * 1.1];
  const decades = [-4, -3, -2, -1, 0];
  return decades
    .flatMap((power) => [1, 1.5, 2, 3, 4, 5, 7].map((digit) => digit * 10 ** power))
    .filter((value) => low <= value && value <= high);
}

function lawsOf(laws) {
  const interval = (law) =>
    law.low === null ? "" : ` (${score(law.low)} to ${score(law.high)})`;
  const cell = (law) =>
    h("td", { class: "number" }, law ? `${score(law.alpha)}${interval(law)}` : "–");
  const row = (law) =>
    h(
      "tr",
      {},
      h("th", { scope: "row", class: "number" }, law.k),
      cell(law.held_out),
      cell(law.train),
      h("td", { class: "number" }, score(law.held_out.r_squared)),
      h("td", { class: "number" }, count(law.held_out.n_points)),
    );
  const head = [
    ["k", "Latents kept per document"],
    ["α held out", "fvu = c · latents^−α, with the 95 % interval of α"],
    ["α train", "The same of training rows, as the paper fits it"],
    ["R²", "Of the fit on held-out rows, in logarithms"],
    ["runs", "Points of the fit"],
  ];
  return h(
    "table",
    { class: "narrow" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        head.map(([words, what]) =>
          h("th", { scope: "col", class: "number", title: what }, words),
        ),
      ),
    ),
    h("tbody", {}, laws.map(row)),
  );
}
