// All families, the largest first.

import { address, get } from "../api.js";
import { announce, h } from "../dom.js";
import { setAddress } from "../main.js";
import { count, percent, score } from "../numbers.js";
import { chip, nameOf, share } from "../parts.js";
import { empty, filled, missing } from "../states.js";

export const title = "Families";

const MOST = 300; // lines at once
const COLUMNS = [
  ["name", "Family", "Named after its parent, the most general feature in it."],
  ["members", "Members", "Features in it, its parent among them.", "number"],
  [
    "ratio",
    "R",
    "Mean overlap of the parent with its children, over that of two children with each other. Above 1 the parent is more general than they are.",
    "number",
  ],
  [
    "density",
    "Parent’s density",
    "Share of documents on which the parent is on.",
    "number wide-only",
  ],
];
const BY = {
  name: (one) => nameOf(one.parent).toLowerCase(),
  members: (one) => -one.n_members,
  ratio: (one) => -(one.ratio ?? -1),
  density: (one) => -one.parent.density,
};

export async function show(root, { url, meta, signal }) {
  root.append(h("h1", {}, "Families"));
  if (meta.missing.families) {
    root.append(
      h(
        "p",
        { class: "soft" },
        "A family is a general feature with the specific ones that are on where it is.",
      ),
      missing(meta.missing.families),
    );
    return;
  }
  const body = h("div");
  root.append(body);
  await filled(
    body,
    () => get("/api/families", { signal }),
    (found) => drawAll(found, { url, signal }),
    { signal },
  );
}

function drawAll(found, { url, signal }) {
  const { families } = found;
  if (!families.length)
    return [
      empty("No family was found: too few features are on together beyond chance."),
      aboutMaking(found),
    ];
  const state = Object.fromEntries(
    ["q", "sort", "members", "ratio"].map((name) => [name, url.searchParams.get(name) ?? ""]),
  );
  const run = url.searchParams.get("run");
  let most = MOST;
  const lines = h("tbody");
  const said = h("p", { class: "soft small", role: "status" });
  const more = h(
    "button",
    { type: "button", onclick: () => ((most = Infinity), draw()) },
    "Show all",
  );
  const heads = COLUMNS.map(([name, text, what, kind]) => {
    const button = h(
      "button",
      { type: "button", class: "sort", title: what, onclick: () => change("sort", name) },
      text,
    );
    return h("th", { scope: "col", "data-name": name, class: kind }, button);
  });
  const draw = () => {
    const sort = state.sort in BY ? state.sort : "members";
    const kept = families
      .filter((one) => fits(one, state))
      .sort(
        (one, other) => compare(BY[sort](one), BY[sort](other)) || one.number - other.number,
      );
    lines.replaceChildren(...kept.slice(0, most).map(line));
    heads.forEach((head) => {
      if (head.dataset.name === sort)
        head.setAttribute("aria-sort", sort === "name" ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    said.textContent =
      kept.length === families.length
        ? `${count(families.length)} families`
        : `${count(kept.length)} of ${count(families.length)} families`;
    more.hidden = kept.length <= most;
  };
  const change = (name, value) => {
    state[name] = value;
    setAddress(address("/families", run ? { ...state, run } : state));
    draw();
    if (name === "sort") announce(`sorted by ${value}`);
  };
  const field = (name, label, properties) => {
    const input = h("input", {
      ...properties,
      value: state[name],
      oninput: () => change(name, input.value),
    });
    return h(
      "label",
      { class: "field" },
      h("span", { class: "small soft" }, label),
      " ",
      input,
    );
  };
  draw();
  get("/api/families/ratios", { signal }).then(
    (ratios) => {
      families.forEach((one) => (one.ratio = ratios[one.number]));
      draw();
    },
    () => null, // the column stays empty; the frame says where the server is lost
  );
  return [
    summary(found),
    h(
      "div",
      { class: "toolbar" },
      field("q", "Label", { type: "search", placeholder: "filter by label" }),
      field("members", "Members at least", {
        type: "number",
        min: "0",
        step: "1",
        class: "short",
      }),
      field("ratio", "R at least", { type: "number", min: "0", step: "any", class: "short" }),
      said,
    ),
    h(
      "div",
      { class: "wide" },
      h(
        "table",
        { class: "families" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            heads,
            h(
              "th",
              { scope: "col", class: "wide-only" },
              h("span", { class: "unseen" }, "Use"),
            ),
          ),
        ),
        lines,
      ),
    ),
    more,
    aboutMaking(found),
  ];
}

function fits(one, { q, members, ratio }) {
  const named = nameOf(one.parent).toLowerCase().includes(q.trim().toLowerCase());
  return (
    named &&
    one.n_members >= Number(members || 0) &&
    (!ratio || (one.ratio ?? -1) >= Number(ratio))
  );
}

const compare = (one, other) => (one < other ? -1 : one > other ? 1 : 0);

function line(one) {
  const ratio = one.ratio === undefined ? "…" : score(one.ratio, 1);
  const name = h(
    "a",
    {
      class: one.parent.label ? "name" : "name unnamed",
      href: `/family/${one.number}`,
      dir: "auto",
    },
    nameOf(one.parent),
  );
  const use = h(
    "a",
    {
      href: `/search?family=${one.number}`,
      title: "Search with the sum of its members’ directions",
    },
    "Use in search",
  );
  return h(
    "tr",
    {},
    h("td", {}, name, chip(one.parent)),
    h("td", { class: "number" }, count(one.n_members)),
    h("td", { class: "number" }, ratio),
    h("td", { class: "number wide-only" }, share(one.parent.density)),
    h("td", { class: "use small wide-only" }, use),
  );
}

/** Of all of them, each measure beside what features that trade places at random give. */
function summary({ families, metrics }) {
  const facts = [[count(families.length), "families", ""]];
  if (metrics.mean_size !== undefined)
    facts.push([score(metrics.mean_size + 1, 1), "members on average", ""]);
  if (metrics.membership !== undefined)
    facts.push([percent(metrics.membership), "of living features are in one", ""]);
  for (const [name, text] of [
    ["parent_ratio", "R, mean over families"],
    ["block_ratio", "overlap inside over between families"],
  ]) {
    const one = metrics[name];
    if (one)
      facts.push([
        score(one.value, 2),
        text,
        `by chance ${score(one.null, 2)}, at most ${score(one.null_high, 2)}`,
      ]);
  }
  const fact = ([value, text, by]) =>
    h(
      "div",
      { class: "fact" },
      h("strong", { class: "mono" }, value),
      h("span", {}, text),
      by &&
        h(
          "span",
          {
            class: "soft small",
            title: "Mean, and 97.5 % quantile, where features trade places at random.",
          },
          by,
        ),
    );
  return h("div", { class: "facts" }, facts.map(fact));
}

function aboutMaking({ method, bounds, note }) {
  const said = `A feature lies below another if it is on together with it beyond chance, on at least ${percent(bounds.least_share, 0)} of its own documents, and is on ${bounds.least_ratio} times more seldom or less. A family has ${bounds.least_members} members or more.`;
  return h(
    "details",
    { class: "about" },
    h("summary", {}, "How these families were made"),
    h("p", {}, `Method “${method}”. ${said}`),
    h("p", {}, note),
  );
}
