// What a feature is near: its values, like and unlike features, those it is on with, families.

import { h } from "../dom.js";
import { count, fine, percent, score, signed } from "../numbers.js";
import { featureLink, histogram, nameOf } from "../parts.js";
import { missing } from "../states.js";

const N_SHOWN = 8; // neighbours before "more"

const card = (title, said, ...children) =>
  h("section", { class: "card" }, h("h2", { title: said }, title), children);

export function drawHistogram({ feature, histogram: own, n_on }) {
  if (feature.state === "dead")
    return card("Values", "", h("p", { class: "soft" }, "It has none."));
  const label = `Number of documents by value, from 0 to ${score(own.highest)}, ${count(n_on)} in all.`;
  return card(
    "Values",
    "How many documents have which value; the axis of counts is logarithmic.",
    histogram(own.counts, { highest: own.highest, label }),
    h(
      "p",
      { class: "soft small" },
      `Documents by value, log scale. ${percent(own.share_of_zeros, 2)} have 0 and are not drawn.`,
    ),
  );
}

/** A list that begins short. */
function list(lines) {
  const items = h("ul", { class: "plain" }, lines.slice(0, N_SHOWN));
  if (lines.length <= N_SHOWN) return items;
  const more = h("button", { type: "button", class: "more" }, `${lines.length - N_SHOWN} more`);
  more.addEventListener("click", () => {
    items.append(...lines.slice(N_SHOWN));
    more.remove();
  });
  return [items, more];
}

const line = (feature, said, ...numbers) =>
  h(
    "li",
    {},
    h("bdi", {}, featureLink(feature)),
    h("span", { class: "mono soft", title: said }, numbers),
  );

export function drawAlike({ alike, unlike }) {
  const lines = (group) =>
    group.map((one) =>
      line(one, "Cosine of the two decoder directions.", signed(one.cosine, 2)),
    );
  return card(
    "Nearest directions",
    "Features by the cosine of their decoder directions with this one's.",
    list(lines(alike)),
    unlike.length
      ? h(
          "details",
          {},
          h("summary", {}, "Most opposite"),
          h("ul", { class: "plain" }, lines(unlike)),
        )
      : null,
  );
}

export function drawTogether({ together, feature }) {
  const said = ({ n_rows, lift, overlap }) =>
    `Both are on in ${count(n_rows)} documents: ${fine(overlap)} of those of this feature, and ${lift.toFixed(1)} times as many as chance expects (lift).`;
  const lines = together.map((one) =>
    line(
      one,
      said(one),
      `${fine(one.overlap)} ×${one.lift >= 10 ? Math.round(one.lift) : one.lift.toFixed(1)}`,
    ),
  );
  const none =
    feature.state === "dead"
      ? "It is never on."
      : "No other feature is on with it beyond chance.";
  return card(
    "On together with",
    "Features that are on in the same documents beyond chance: the share of this feature's documents, and the lift.",
    lines.length ? list(lines) : h("p", { class: "soft" }, none),
  );
}

export function drawFamilies({ families, missing_families }) {
  if (missing_families) return card("Families", "", missing(missing_families));
  const lines = families.map(({ number, n_members, parent }) =>
    h(
      "li",
      {},
      h("a", { class: "name", href: `/family/${number}` }, h("bdi", {}, nameOf(parent))),
      h("span", { class: "mono soft", title: "Features in this family." }, count(n_members)),
    ),
  );
  return card(
    "Families",
    "By the feature that is the family's parent, with the number of features in it.",
    lines.length
      ? h("ul", { class: "plain" }, lines)
      : h("p", { class: "soft" }, "It is in none."),
  );
}
