// Search by words: documents that hold all of them.

import { address, get } from "../api.js";
import { h } from "../dom.js";
import { count } from "../numbers.js";
import { documentLine } from "../parts.js";
import { empty, filled } from "../states.js";
import { addressOf } from "./asked.js";

const MOST = 200; // documents, as the server gives them

/** Documents that hold all of the words: nothing to steer. */
export async function drawWords(root, asked, { signal, navigate }) {
  const place = h("section", { class: "results" });
  root.append(place);
  const path = address("/api/keywords", { q: asked.value, k: asked.k });
  await filled(
    place,
    () => get(path, { signal }),
    ({ n, documents, ranked }) => {
      if (!n) return empty(`No document holds all of these words.`);
      const more = () =>
        navigate(addressOf({ ...asked, k: String(Math.min(4 * asked.k, MOST)) }));
      const words = asked.value.split(/\s+/).filter(Boolean);
      return [
        h(
          "p",
          { class: "small soft" },
          `${documents.length} of ${count(n)} documents that hold these words, `,
          ranked ? "the best first." : "in the order of the corpus: too many to rank.",
        ),
        h(
          "ol",
          { class: "hits" },
          documents.map((one, i) =>
            h(
              "li",
              { class: "hit" },
              h("div", { class: "rank" }, h("span", { class: "place number" }, i + 1)),
              h("div", { class: "body" }, documentLine(one, { marks: words })),
              h(
                "div",
                { class: "side" },
                h("a", { class: "small", href: `/search?row=${one.row}` }, "more like this"),
              ),
            ),
          ),
        ),
        documents.length < Math.min(n, MOST)
          ? h("button", { type: "button", onclick: more }, "show more")
          : "",
      ];
    },
    { signal },
  );
}
