// One feature: what it is called and why, where it is on, and what it is near.

import { address, get } from "../api.js";
import { h } from "../dom.js";
import { onKey } from "../keys.js";
import { copyLink, hereOn } from "../link.js";
import { setAddress, setTitle } from "../main.js";
import { count, fine, score } from "../numbers.js";
import { nameOf } from "../parts.js";
import { filled, missing } from "../states.js";
import { drawAlike, drawFamilies, drawHistogram, drawTogether } from "../feature/cards.js";
import { drawExamples, TABS } from "../feature/examples.js";
import { drawHistory, drawName, drawWhy } from "../feature/labels.js";
import { drawTester } from "../feature/tester.js";

export const title = "Feature";

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
