// The labels of a feature: which one is in use, what speaks for it, and how to change it.

import { post } from "../api.js";
import { announce, h } from "../dom.js";
import { count, score } from "../numbers.js";
import { chip, nameOf } from "../parts.js";
import { missing, waited } from "../states.js";

const MOST = 200; // characters of a label, as the server has it
const SOURCES = { keywords: "keywords", llm: "language model", you: "edited by hand" };
const WHY = {
  "never on": "it is never on",
  "on nearly everywhere": "it is on nearly everywhere",
  "too few rows": "it is on in too few documents to judge a name",
  "no term": "no word sets its texts apart",
};

/** The name, and in its place a form once `Edit` is pressed. */
export function drawName(page) {
  const { found, meta } = page;
  const { feature, labels } = found;
  const edit = h(
    "button",
    {
      type: "button",
      id: "edit",
      title: "Name this feature by hand; the other labels are kept",
    },
    "Edit label",
  );
  const name = h(
    "div",
    { class: "title" },
    h(
      "h1",
      {},
      h("span", { class: "mono soft" }, `#${feature.latent} `),
      h("bdi", { class: feature.label ? null : "unnamed" }, nameOf(feature)),
    ),
    h("span", {}, chip(feature), failures(labels)),
    meta.read_only ? null : edit,
  );
  edit.addEventListener("click", () => {
    const form = drawForm(page, () => form.replaceWith(name));
    name.replaceWith(form);
    form.elements.label.select();
  });
  return name;
}

function failures(labels) {
  const [last] = labels.filter((one) => !one.text && one.state !== "removed").slice(-1);
  if (!last || labels.some((one) => one.current)) return null;
  return h(
    "span",
    { class: "chip partial", title: `${SOURCES[last.source]}: ${reasonOf(last)}` },
    "no label made",
  );
}

const reasonOf = (label) =>
  [WHY[label.state] ?? label.state, label.reason].filter(Boolean).join(": ");

function drawForm({ found, load }, close) {
  const { feature } = found;
  const own = feature.source === "you";
  const input = h("input", {
    name: "label",
    value: feature.label ?? "",
    maxlength: MOST,
    "aria-label": `Label of feature ${feature.latent}`,
    dir: "auto",
    autocomplete: "off",
  });
  const wrong = h("p", { class: "down small", role: "alert" });

  async function save(text) {
    try {
      await waited(() => post(`/api/feature/${feature.latent}/label`, { text }));
    } catch (error) {
      wrong.textContent = error.message;
      return;
    }
    announce(text ? "The label is saved." : "Your label is taken back.");
    await load();
    document.getElementById("edit")?.focus();
  }

  const cancel = () => {
    close();
    document.getElementById("edit").focus();
  };
  const submit = (event) => {
    event.preventDefault();
    if (input.value.trim()) save(input.value.trim());
    else
      wrong.textContent = own
        ? "Empty: press Take back to return to the label before."
        : "Expected a label.";
  };
  return h(
    "form",
    {
      class: "title edit",
      onsubmit: submit,
      onkeydown: (event) => event.key === "Escape" && cancel(),
    },
    h("span", { class: "mono soft" }, `#${feature.latent}`),
    input,
    h("button", { type: "submit", class: "primary" }, "Save"),
    own
      ? h(
          "button",
          {
            type: "button",
            title: "Back to the label that it had before",
            onclick: () => save(""),
          },
          "Take back",
        )
      : null,
    h("button", { type: "button", onclick: cancel }, "Cancel"),
    wrong,
  );
}

/** Why it is called so: of a model its reason, of keywords the words and their weights. */
export function drawWhy({ labels }) {
  const [now] = labels.filter((one) => one.current);
  const [words] = labels.filter((one) => one.evidence.length).slice(-1);
  const lines = [];
  if (!now && !labels.length)
    lines.push(
      missing(
        "This feature has no label. `sae-jax label` makes labels of keywords, without a language model; or edit it by hand.",
      ),
    );
  if (!now && labels.length)
    lines.push(
      missing(
        `This feature has no label: ${
          labels
            .filter((one) => one.state !== "removed")
            .map((one) => `${SOURCES[one.source]}: ${reasonOf(one)}`)
            .join("; ") || "yours was taken back"
        }.`,
      ),
    );
  if (now?.why)
    lines.push(
      h(
        "p",
        { dir: "auto" },
        h("span", { class: "soft" }, "why: "),
        `${now.why} `,
        h("span", { class: "soft small" }, madeBy(now)),
      ),
    );
  if (words) {
    const terms = words.evidence.map(({ term, weight }) =>
      h(
        "span",
        {
          class: "term",
          title: `Weight ${score(weight, 2)}: how far the word sets the texts of this feature apart.`,
        },
        term,
      ),
    );
    lines.push(h("p", { class: "terms" }, h("span", { class: "soft" }, "words: "), terms));
  }
  return lines;
}

const madeBy = ({ model, judge_model, prompt_version }) =>
  [
    model,
    judge_model && judge_model !== model && `judged by ${judge_model}`,
    prompt_version && `prompt ${prompt_version}`,
  ]
    .filter(Boolean)
    .join(", ");

export function drawHistory({ found }) {
  const { labels } = found;
  if (!labels.length) return null;
  const rows = labels
    .toReversed()
    .map((label) =>
      h(
        "tr",
        {},
        h(
          "td",
          {},
          SOURCES[label.source],
          h(
            "span",
            { class: "soft small" },
            label.time
              ? [
                  " ",
                  h(
                    "time",
                    { datetime: label.time },
                    label.time.slice(0, 16).replace("T", " "),
                  ),
                ]
              : null,
            madeBy(label) && ` ${madeBy(label)}`,
          ),
        ),
        h(
          "td",
          { class: "text" },
          label.text
            ? h("bdi", {}, label.text)
            : h(
                "span",
                { class: "soft" },
                label.state === "removed" ? "taken back" : reasonOf(label),
              ),
          label.current ? h("span", { class: "chip" }, "in use") : null,
        ),
        h(
          "td",
          {},
          label.scores.length
            ? label.scores.map(drawScore)
            : h("span", { class: "soft" }, "not judged"),
        ),
      ),
    );
  return h(
    "section",
    { class: "history" },
    h("h2", {}, `Labels (${count(labels.length)})`),
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["From", "Label", "Scores on rows that did not name it"].map((text) =>
            h("th", { scope: "col" }, text),
          ),
        ),
      ),
      h("tbody", {}, rows),
    ),
  );
}

function drawScore({ name, against, value, low, high, n }) {
  const interval =
    low === null || low === undefined ? "" : ` [${score(low, 2)}, ${score(high, 2)}]`;
  const title = `${name} of telling rows on which it is on from ${against}${interval && ", with its 95 % interval"}; ${n} rows.`;
  return h(
    "p",
    { class: "score", title },
    `${name} `,
    h("span", { class: "mono" }, `${score(value, 2)}${interval}`),
    h("span", { class: "soft small" }, ` against ${against}, n ${n}`),
  );
}
