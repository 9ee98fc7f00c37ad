// How strong a feature is in a text that somebody types.

import { address, get } from "../api.js";
import { h } from "../dom.js";
import { count, score } from "../numbers.js";
import { bar, featureLink } from "../parts.js";
import { filled } from "../states.js";

const MOST = 2000; // characters: an address has to hold them
const N_SHOWN = 6; // of the text's features

export function drawTester({ found, view, keep, signal, to }) {
  const { latent } = found.feature;
  const input = h("input", {
    type: "text",
    name: "text",
    value: view.test,
    maxlength: MOST,
    placeholder: "Type or paste a text",
    "aria-label": "Test a text",
    dir: "auto",
    autocomplete: "off",
  });
  const answer = h("div", { class: "answer", role: "status" });

  function test() {
    view.test = input.value.trim();
    keep();
    answer.replaceChildren();
    if (!view.test) return undefined;
    const ask = () => get(address("/api/encode", { text: view.test, latent }), { signal });
    return filled(answer, ask, (told) => drawAnswer(told, found, to), { signal, rows: 2 });
  }

  const submit = (event) => {
    event.preventDefault();
    test();
  };
  if (view.test) test();
  return h(
    "section",
    { class: "tester" },
    h(
      "form",
      { class: "toolbar", onsubmit: submit },
      h("h2", {}, "Test a text"),
      input,
      h("button", { type: "submit" }, "Test"),
    ),
    answer,
  );
}

function drawAnswer({ asked, features, k }, { feature }, to) {
  const percent =
    asked.percent === null ? "" : `, ${Math.round(asked.percent)} % of its highest value`;
  const own =
    asked.value > 0
      ? [
          h("strong", { class: "mono" }, score(asked.value)),
          `${percent}; rank ${asked.rank} of the ${count(features.length)} that are on.`,
        ]
      : [
          h("strong", {}, "Off"),
          ` in this text: its pre-activation ${score(asked.pre_act)} is rank ${count(asked.rank)}, and the ${k} highest are kept.`,
        ];
  const lines = features
    .slice(0, N_SHOWN)
    .map((one) =>
      h(
        "li",
        { "aria-current": one.latent === feature.latent ? "true" : null },
        h("span", { class: "number" }, score(one.value)),
        bar((one.percent ?? 0) / 100, `${Math.round(one.percent ?? 0)} % of its highest value`),
        h(
          "bdi",
          {},
          one.latent === feature.latent ? h("strong", {}, "this feature") : linkOf(one, to),
        ),
      ),
    );
  return [
    h("p", {}, own),
    lines.length
      ? [
          h("p", { class: "soft small" }, "Its strongest features:"),
          h("ol", { class: "rows" }, lines),
        ]
      : null,
  ]
    .flat()
    .filter(Boolean);
}

function linkOf(feature, to) {
  const link = featureLink(feature);
  link.href = to(feature.latent);
  return link;
}
