// The run beside the others of its sweep: a table, curves while they are drawn, laws, differences.

import { address, get } from "../api.js";
import { announce, h } from "../dom.js";
import { copyText } from "../link.js";
import { setAddress } from "../main.js";
import { count, duration } from "../numbers.js";
import { empty, filled, missing } from "../states.js";
import { drawCurves } from "./runs_curves.js";
import { drawScaling } from "./runs_scaling.js";
import { tableOf } from "./runs_table.js";

export const title = "Runs";

const REFRESH = 2000; // milliseconds, while a run trains
const SLOW = 15000; // where its last line is older than
const QUIET = 120; // seconds
const MOST_CURVES = 8;

export async function show(root, { url, signal }) {
  const state = {
    sort: url.searchParams.get("sort") ?? "",
    shown: url.searchParams.getAll("show"),
    one: url.searchParams.get("one") ?? "",
    other: url.searchParams.get("other") ?? "",
    run: url.searchParams.get("run"),
  };
  const body = h("div", {});
  root.append(body);
  await filled(
    body,
    () => get("/api/runs", { signal }),
    (found) => drawn(found, { state, signal }),
    { signal },
  );
}

function drawn(found, { state, signal }) {
  const names = found.runs.map((one) => one.name);
  state.shown = state.shown.filter((name) => names.includes(name));
  if (!state.shown.length) state.shown = [found.current];
  const keep = () => {
    const query = new URLSearchParams();
    if (state.sort) query.set("sort", state.sort);
    const others = state.shown.filter(
      (name) => name !== found.current || state.shown.length > 1,
    );
    for (const name of others) query.append("show", name);
    if (state.one && state.other) {
      query.set("one", state.one);
      query.set("other", state.other);
    }
    if (state.run) query.set("run", state.run);
    setAddress(`/runs${query.size ? `?${query}` : ""}`);
  };
  const table = h("div", { class: "wide" });
  const notes = h("div", {});
  const curves = drawCurves({ signal });
  const update = (runs) => {
    const focused = document.activeElement?.id;
    table.replaceChildren(tableOf(runs, { state, current: found.current, changed }));
    if (focused) document.getElementById(focused)?.focus();
    notes.replaceChildren(...runs.filter((one) => one.state !== "finished").map(noteOf));
  };
  const changed = () => {
    keep();
    update(found.runs);
    curves.show(chosen(found.runs, state));
  };
  update(found.runs);
  curves.show(chosen(found.runs, state));
  refresh({ found, state, update, curves, signal });
  return [
    h("h1", {}, names.length > 1 ? `${names.length} runs of one sweep` : "Runs"),
    found.why ? missing(found.why) : null,
    names.length > 1
      ? null
      : h(
          "p",
          { class: "soft" },
          "This run is of no sweep. Runs trained together by `sae-jax sweep` are listed beside one another.",
        ),
    table,
    notes,
    section("Curves", curves.root),
    section("Scaling", drawScaling({ signal })),
    section(
      "Difference of two runs",
      differenceOf(names, { state, keep, current: found.current, signal }),
    ),
    section("Matching", matchingOf({ signal })),
  ].filter(Boolean);
}

const section = (words, ...children) => h("section", {}, h("h2", {}, words), children);
const chosen = (runs, state) =>
  runs.filter((one) => state.shown.includes(one.name)).slice(0, MOST_CURVES);

/** Asks again while a run is not finished and the page is seen. */
function refresh({ found, state, update, curves, signal }) {
  const again = () => {
    const open = found.runs.filter((one) => one.state === "unfinished");
    if (!open.length || signal.aborted) return;
    const quiet = open.every((one) => (one.seconds_since ?? Infinity) > QUIET);
    setTimeout(look, quiet ? SLOW : REFRESH);
  };
  const look = async () => {
    if (signal.aborted) return;
    if (!document.hidden) {
      const now = await get("/api/runs", { signal }).catch(() => null);
      if (signal.aborted) return;
      if (now) {
        for (const one of now.runs) {
          const before = found.runs.find((other) => other.name === one.name);
          if (before?.state === "unfinished" && one.state !== "unfinished")
            announce(`${one.name}: ${one.state}`);
        }
        found.runs = now.runs;
        update(now.runs);
        await curves.show(chosen(now.runs, state));
      }
    }
    again();
  };
  again();
}

/** What became of a run that is not finished, and how to go on. */
function noteOf(one) {
  const said = [];
  if (one.why) said.push(one.why);
  if (one.state === "unfinished") {
    const share = one.n_steps ? ` (${Math.floor((100 * one.step) / one.n_steps)} %)` : "";
    said.push(`At step ${count(one.step)} of ${count(one.n_steps)}${share}.`);
    if (one.seconds_since === null || one.seconds_since === undefined)
      said.push("It has written no line yet.");
    else if (one.seconds_since > QUIET)
      said.push(
        `Its last line is ${duration(one.seconds_since)} old: it has stopped, or waits.`,
      );
    else {
      said.push(`Last line ${duration(one.seconds_since)} ago.`);
      if (one.seconds_left !== null && one.seconds_left !== undefined)
        said.push(`About ${duration(one.seconds_left)} left.`);
    }
    said.push(
      one.checkpoint ? `Last checkpoint: step ${count(one.checkpoint)}.` : "No checkpoint yet.",
    );
  }
  if (one.state === "not begun" && !one.why) said.push("It was not begun.");
  const copy = h(
    "button",
    {
      type: "button",
      id: `again-${one.name}`,
      "aria-label": `Copy the command that goes on with ${one.name}`,
    },
    "Copy",
  );
  copy.onclick = () => copyText(copy, one.again, { name: "Command" });
  const again =
    one.again &&
    h(
      "p",
      {},
      "Go on, with the file that it was begun with: ",
      h("code", {}, one.again),
      " ",
      copy,
    );
  return h(
    "div",
    { class: "note", role: "note" },
    h("p", {}, h("strong", {}, one.name), ` ${one.state}. `, said.join(" ")),
    again,
  );
}

function differenceOf(names, { state, keep, current, signal }) {
  if (names.length < 2) return h("p", { class: "soft" }, "There is one run only.");
  state.one ||= current;
  if (!names.includes(state.other)) state.other = "";
  const root = h("div", {});
  const ask = () => {
    if (!state.other) return root.replaceChildren();
    const path = address("/api/runs/difference", { one: state.one, other: state.other });
    return filled(root, () => get(path, { signal }), differences, { signal, rows: 2 });
  };
  const select = (which, first) => {
    const options = names.map((name) =>
      h("option", { value: name, selected: name === state[which] }, name),
    );
    const element = h("select", {}, first ? h("option", { value: "" }, first) : null, options);
    element.onchange = () => {
      state[which] = element.value;
      keep();
      ask();
    };
    return element;
  };
  ask();
  return h(
    "div",
    {},
    h(
      "p",
      { class: "toolbar" },
      h("label", {}, "One ", select("one")),
      h("label", {}, "Other ", select("other", "choose")),
    ),
    root,
  );
}

function differences(found) {
  if (!found.settings.length) return h("p", {}, "They have the same settings.");
  const say = (value) => (Array.isArray(value) ? value.join(", ") : String(value));
  const rows = found.settings.map((one) =>
    h(
      "tr",
      {},
      h("th", { scope: "row", class: "mono" }, one.setting),
      h("td", { class: "mono" }, say(one.one)),
      h("td", { class: "mono" }, say(one.other)),
    ),
  );
  const head = h(
    "tr",
    {},
    ["setting", found.one, found.other].map((words) => h("th", { scope: "col" }, words)),
  );
  return h(
    "div",
    { class: "wide" },
    h("table", { class: "narrow" }, h("thead", {}, head), h("tbody", {}, rows)),
  );
}

function matchingOf({ signal }) {
  const root = h("div", {});
  filled(root, () => get("/api/runs/matching", { signal }), matched, { signal, rows: 2 });
  return root;
}

function matched({ found, again }) {
  if (!found.length)
    return empty(
      "This run's latents have not been matched with those of another.",
      h("p", {}, "Run ", h("code", {}, again), "."),
    );
  return found.map((one) => {
    if (one.why) return missing(one.why);
    const cell = (text, i) => h("td", { class: i < one.n_text ? null : "number" }, text);
    const head = one.head.map((words, i) =>
      h("th", { scope: "col", class: i < one.n_text ? null : "number" }, words),
    );
    const rows = one.rows.map((row) => h("tr", {}, row.map(cell)));
    const stale = one.stale
      ? missing(`${one.file} is of other weights of this run. Make it anew: ${again}`)
      : null;
    return h(
      "div",
      { class: "wide" },
      stale,
      h(
        "table",
        {},
        h("caption", {}, `With ${one.others.join(", ")}; in brackets by chance`),
        h("thead", {}, h("tr", {}, head)),
        h("tbody", {}, rows),
      ),
    );
  });
}
