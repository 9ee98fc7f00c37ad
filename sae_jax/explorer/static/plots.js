// Plots by plotly.js, served from the installed wheel and loaded with the first of them.

import { h } from "./dom.js";
import { waited } from "./states.js";

const SOURCE = "/plotly/plotly.min.js";
const STYLES = "/static/plots.css";
const OF_MAPS = "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53";
let loading;

/** The page's policy allows no <style> elements and no style attributes, and plotly makes both. */
function prepare() {
  // It adds no rules to a style sheet of this name and class, which has our own copy of them.
  const sheet = h("link", {
    rel: "stylesheet",
    id: "plotly.js-style-global",
    class: "no-inline-styles",
    href: STYLES,
  });
  // Its map library adds its rules where nothing has this id. Maps are not used.
  document.head.append(sheet, h("meta", { id: OF_MAPS }));
  // Through the object model, which the policy allows, a style attribute does the same.
  const own = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function setAttribute(name, value) {
    if (name === "style") this.style.cssText = value;
    else own.call(this, name, value);
  };
}

function load() {
  loading ??= new Promise((resolve, reject) => {
    prepare();
    const script = h("script", { src: SOURCE });
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      loading = undefined;
      script.remove();
      reject(new Error("plotly.js could not be loaded; is the plotly package installed?"));
    };
    document.head.append(script);
  });
  return waited(() => loading);
}

/**
 * A figure that `draw(traces, layout, sentence)` fills and fills anew. `data` is the address of its numbers.
 */
export function plot({ data, height = 260, signal }) {
  const chart = h("div", { class: "chart", role: "img", style: { height: `${height}px` } });
  const caption = h("span", {});
  const figure = h(
    "figure",
    { class: "plot" },
    chart,
    h(
      "figcaption",
      {},
      caption,
      " ",
      data
        ? h(
            "a",
            { href: data, "data-whole-page": "", target: "_blank", rel: "noopener" },
            "Numbers",
          )
        : null,
    ),
  );
  let last;
  const redraw = async () => {
    const { react } = await load();
    if (signal.aborted || !last) return;
    const [traces, layout] = last;
    await react(chart, traces(), styled(layout, chart), {
      responsive: true,
      displayModeBar: false,
      displaylogo: false,
    });
  };
  const themes = new MutationObserver(redraw);
  themes.observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["data-theme"],
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw, { signal });
  signal.addEventListener("abort", () => {
    themes.disconnect();
    window.Plotly?.purge(chart);
  });
  /** `traces` is a function: its colours are those of the theme when it is called. */
  const draw = (traces, layout, sentence) => {
    last = [traces, layout];
    chart.setAttribute("aria-label", sentence);
    caption.textContent = sentence;
    return redraw();
  };
  return { figure, draw };
}

/** The n-th colour of the style sheet's categories; they repeat. */
export const colour = (n) => variable(`--category-${n % 8}`);

const variable = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function styled(layout, chart) {
  const [text, line, soft] = ["--text", "--line", "--soft"].map(variable);
  const axis = {
    gridcolor: line,
    linecolor: soft,
    tickcolor: soft,
    zeroline: false,
    showline: true,
    ticks: "outside",
    automargin: true,
  };
  const title = (words) => ({ text: words, font: { size: 12, color: soft } });
  const own = (of) => ({ ...axis, ...of, title: title(of?.title ?? "") });
  return {
    showlegend: false,
    hovermode: "closest",
    hoverdistance: 40,
    dragmode: "zoom",
    uirevision: "kept",
    margin: { l: 8, r: 12, t: 8, b: 8 },
    ...layout,
    font: { family: getComputedStyle(chart).fontFamily, size: 12, color: text },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: {
      bgcolor: variable("--raised"),
      bordercolor: line,
      font: { color: text, size: 12 },
    },
    legend: { orientation: "h", y: 1, yanchor: "bottom", x: 0, ...layout.legend },
    xaxis: own(layout.xaxis),
    yaxis: own(layout.yaxis),
  };
}
