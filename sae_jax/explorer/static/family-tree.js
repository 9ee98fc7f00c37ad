// The members of a family from general to specific, each once; branches open by key or click.

import { h } from "./dom.js";
import { count, percent } from "./numbers.js";
import { chip, featureLink, nameOf } from "./parts.js";

const OPEN = 60; // members: so many and fewer are all shown at once
const MOST = 60; // children of one member, before the others are asked for

/**
 * A feature below several parents stands below the rarest of them; the others are named.
 * `words` are those that members are filtered by, of which `keep` is told.
 */
export function drawTree({ members, edges, shared }, { words = "", keep }) {
  const of = new Map(members.map((one) => [one.latent, one]));
  const parents = new Map(members.map((one) => [one.latent, []]));
  for (const [parent, child] of edges) parents.get(child).push(parent);
  const root = members[0].latent;
  const below = new Map(members.map((one) => [one.latent, []]));
  for (const { latent } of members.slice(1)) {
    const own = parents
      .get(latent)
      .sort((one, other) => of.get(one).density - of.get(other).density);
    below.get(own[0] ?? root).push(latent);
  }
  const tree = { of, parents, below, shared, sizes: new Map() };
  const branch = drawBranch(root, tree, members.length <= OPEN);
  const top = h("ul", { class: "tree" }, branch);
  top.querySelector("details")?.setAttribute("open", "");
  const filter = h("input", {
    type: "search",
    value: words,
    placeholder: "filter members",
    "aria-label": "Filter members",
    oninput: () => {
      choose();
      keep(filter.value);
    },
  });
  const list = h("ul", { class: "tree flat", hidden: true });
  const choose = () => {
    const words = filter.value.trim().toLowerCase();
    top.hidden = Boolean(words);
    list.hidden = !words;
    const kept = words
      ? members.filter((one) => nameOf(one).toLowerCase().includes(words))
      : [];
    list.replaceChildren(...kept.map((one) => h("li", {}, node(one.latent, tree))));
    if (words && !kept.length)
      list.replaceChildren(h("li", { class: "soft" }, "No member of this label."));
  };
  choose();
  const all = (open) => () =>
    top.querySelectorAll("details").forEach((one) => (one.open = open));
  const buttons = [
    h("button", { type: "button", onclick: all(true) }, "Open all"),
    h("button", { type: "button", onclick: all(false) }, "Close all"),
  ];
  return h("div", {}, h("div", { class: "toolbar" }, filter, buttons), top, list);
}

function drawBranch(latent, tree, open) {
  const children = tree.below.get(latent);
  if (!children.length) return h("li", { class: "leaf" }, node(latent, tree));
  const inside = h(
    "ul",
    {},
    children.slice(0, MOST).map((child) => drawBranch(child, tree, open)),
  );
  if (children.length > MOST) inside.append(restOf(children.slice(MOST), tree, open));
  return h(
    "li",
    {},
    h("details", { open }, h("summary", {}, node(latent, tree, size(latent, tree))), inside),
  );
}

function restOf(children, tree, open) {
  const rest = h(
    "li",
    { class: "leaf" },
    h(
      "button",
      { type: "button", onclick: () => show() },
      `Show ${count(children.length)} more`,
    ),
  );
  const show = () => {
    const drawn = children.map((child) => drawBranch(child, tree, open));
    rest.replaceWith(...drawn);
    drawn[0].querySelector("summary, a").focus();
  };
  return rest;
}

function size(latent, tree) {
  if (!tree.sizes.has(latent)) {
    const own = tree.below.get(latent).reduce((sum, child) => sum + 1 + size(child, tree), 0);
    tree.sizes.set(latent, own);
  }
  return tree.sizes.get(latent);
}

function node(latent, tree, n = 0) {
  const one = tree.of.get(latent);
  const [, ...others] = tree.parents.get(latent);
  const also =
    others.length > 0 &&
    h(
      "span",
      {
        class: "chip",
        title: `Also below ${others.map((other) => nameOf(tree.of.get(other))).join("; ")}`,
      },
      others.length > 1 ? `+${others.length} parents` : "+1 parent",
    );
  const elsewhere = tree.shared[latent];
  const inOthers =
    elsewhere &&
    h(
      "span",
      { class: "chip", title: `Also in family ${elsewhere.join(", ")}` },
      elsewhere.length > 1 ? `+${elsewhere.length} families` : "+1 family",
    );
  const dense = h(
    "span",
    { class: "number soft", title: "Share of documents on which it is on" },
    percent(one.density, 2),
  );
  const below = n > 0 && h("span", { class: "soft small" }, ` ${count(n)} below`);
  return h(
    "span",
    { class: "node" },
    dot(one),
    h("span", {}, h("bdi", {}, featureLink(one)), below, chip(one), also, inOthers),
    dense,
  );
}

/** The larger, the more documents it is on for; the scale is logarithmic, from 1 in 10,000. */
function dot({ density }) {
  const size = 3 + (density ? 2.6 * Math.max(0, 4 + Math.log10(density)) : 0);
  return h("span", {
    class: "dot",
    "aria-hidden": "true",
    style: { width: `${size}px`, height: `${size}px` },
  });
}
