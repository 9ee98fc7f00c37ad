// One feature: what it is called and why, where it is on, and what it is near.

import { address, get } from "../api.js";
import { h } from "../dom.js";
import { onKey } from "../keys.js";
import { copyLink, hereOn } from "../link.js";
import { setAddress, setTitle } from "../main.js";
import { count, fine, percent, score, signed } from "../numbers.js";
import { featureLink, histogram, nameOf } from "../parts.js";
import { filled, missing } from "../states.js";
import { drawExamples, TABS } from "../feature/examples.js";
import { drawHistory, drawName, drawWhy } from "../feature/labels.js";
import { drawTester } from "../feature/tester.js";

export const title = "Feature";
const N_SHOWN = 8; // neighbours before "more"

export async function show(root, context) {
  const { url, argument, meta, signal, navigate } = context;
  const latent = argument;
  const view = {
    tab: url.searchParams.get("tab"),
    text: url.searchParams.get("text"),
    test: url.searchParams.get("test") ?? "",
  };
  if (!TABS.includes(view.tab)) view.tab = "top";
  if (view.text !== "full") view.text = "short";

  const query = () => ({
    tab: view.tab === "top" ? "" : view.tab,
    text: view.text === "short" ? "" : view.text,
  });
  const keep = () =>
    setAddress(
      address(`/feature/${latent}`, {
        ...query(),
        test: view.test,
        run: url.searchParams.get("run"),
      }),
    );
  /** Where the next feature is looked at in the same way. */
  const to = (other) => address(`/feature/${other}`, query());
  const path = () =>
    address(`/api/feature/${encodeURIComponent(latent)}`, { text: query().text });
  const load = () => filled(root, () => get(path(), { signal }), draw, { signal, rows: 14 });
  let found;

  const examples = h("div", {});
  let page;

  /** The examples alone: what is typed elsewhere stays. */
  async function expand() {
    view.text = view.text === "full" ? "short" : "full";
    keep();
    const held = document.activeElement?.id;
    const redrawn = (answer) => drawExamples(Object.assign(page, { found: answer }));
    await filled(examples, () => get(path(), { signal }), redrawn, { signal });
    if (document.activeElement === document.body) document.getElementById(held)?.focus();
  }

  function draw(answer) {
    found = answer;
    setTitle(`#${answer.feature.latent} ${nameOf(answer.feature)}`);
    page = { found, view, keep, expand, load, to, ...context };
    examples.replaceChildren(drawExamples(page));
    return h(
      "div",
      {},
      drawHead(page),
      drawFacts(found),
      drawWhy(found),
      h(
        "div",
        { class: "cards four" },
        drawHistogram(found),
        drawAlike(found, to),
        drawTogether(found, to),
        drawFamilies(found),
      ),
      drawTester(page),
      examples,
      drawHistory(page),
    );
  }

  const step = (name) =>
    found?.[name] !== undefined && found[name] !== null && navigate(to(found[name]));
  onKey("[", "previous feature", () => step("previous"), { signal });
  onKey("]", "next feature", () => step("next"), { signal });
  onKey("e", "texts short or full", () => page && expand(), { signal });
  onKey(
    "y",
    "copy a link to this",
    () => copyLink(document.getElementById("copy"), hereOn(meta)),
    { signal },
  );
  onKey(".", "a random feature", async () => navigate(to(await random(signal))), { signal });
  await load();
}

/** One that is on somewhere. */
async function random(signal) {
  const { n, states, columns } = await get("/api/features", { signal });
  const alive = Array.from({ length: n }, (_, i) => i).filter(
    (i) => states[columns.state[i]] !== "dead",
  );
  return alive[Math.floor(Math.random() * alive.length)];
}

function drawHead(page) {
  const { found, to, meta } = page;
  const { latent } = found.feature;
  const beside = (other, text, key) =>
    other === null
      ? h("span", { class: "soft" }, text(latent))
      : h("a", { href: to(other), title: `The feature of this number (${key})` }, text(other));
  const copy = h(
    "button",
    { type: "button", id: "copy", title: "A link to this, with the run that it is of (y)" },
    "Copy link",
  );
  copy.addEventListener("click", () => copyLink(copy, hereOn(meta)));
  return h(
    "div",
    { class: "head" },
    h(
      "nav",
      { class: "steps", "aria-label": "Features by number" },
      beside(found.previous, (i) => (found.previous === null ? "‹" : `‹ ${i}`), "["),
      beside(found.next, (i) => (found.next === null ? "›" : `${i} ›`), "]"),
    ),
    drawName(page),
    h(
      "div",
      { class: "actions" },
      found.feature.state === "dead" ? null : inSearch(latent),
      copy,
      h(
        "a",
        {
          class: "button",
          href: `/api/feature/${latent}`,
          "data-whole-page": true,
          title: "All that this page shows, as JSON",
        },
        "JSON",
      ),
    ),
  );
}

/** Not of a dead feature, which has no highest value to take a percentage of. */
const inSearch = (latent) => [
  h(
    "a",
    {
      class: "button",
      href: `/search?feature=${latent}`,
      title: "The documents nearest to this feature's direction",
    },
    "Use in search",
  ),
  h(
    "a",
    {
      class: "button",
      href: `/search?w=${latent}:100`,
      title: "A search with this feature at 100 % of its highest value",
    },
    "Add as slider",
  ),
];

function drawFacts({ feature, n_on, n_rows }) {
  if (feature.state === "dead")
    return missing(
      `This feature is never on in this corpus (0 of ${count(n_rows)} documents). What it nearly responds to is below.`,
    );
  const wide =
    feature.state === "dense"
      ? missing(
          "Dense: it is on in more than a tenth of all documents, and may stand for what most of them share.",
        )
      : null;
  const facts = [
    [feature.state, "alive: on in some documents; dense: in more than a tenth; dead: in none."],
    [
      `on in ${fine(feature.density)} of documents (${count(n_on)} of ${count(n_rows)})`,
      "Its density.",
    ],
    [
      `highest ${score(feature.highest)}`,
      "Its highest value in this corpus, which percentages refer to.",
    ],
  ];
  return [
    h(
      "p",
      { class: "facts" },
      facts.map(([text, title]) => h("span", { class: "mono", title }, text)),
    ),
    wide,
  ];
}

const card = (title, said, ...children) =>
  h("section", { class: "card" }, h("h2", { title: said }, title), children);

function drawHistogram({ feature, histogram: own, n_on }) {
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

function drawAlike({ alike, unlike }) {
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

function drawTogether({ together, feature }) {
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

function drawFamilies({ families, missing_families }) {
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
