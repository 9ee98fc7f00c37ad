// A table of any number of rows, of which only those in sight are in the page.

import { h } from "./dom.js";

const HEIGHT = 32; // of a row, in pixels; the style sheet has the same
const BEYOND = 12; // rows drawn above and below those in sight

/**
 * `columns` are [name, class]; `head` draws a column's heading, `row` the cells of row i.
 * The table shows rows 0 to n − 1 as `setRows(n)` says; row `at` is the chosen one.
 */
export function windowed({ columns, label, head, row, signal }) {
  const above = h("tr", { class: "space", "aria-hidden": "true" });
  const below = h("tr", { class: "space", "aria-hidden": "true" });
  const body = h("tbody", {});
  const widths = h(
    "colgroup",
    {},
    columns.map(([, name]) => h("col", { class: name })),
  );
  const table = h(
    "table",
    { "aria-label": label },
    widths,
    h("thead", {}, h("tr", {}, columns.map(head))),
    body,
  );
  const box = h(
    "div",
    { class: "windowed", tabindex: "0", role: "region", "aria-label": label },
    table,
  );
  const drawn = new Map(); // place → its row
  let [n, at, waits] = [0, -1, false];

  /** Rows that stay in sight stay as they are, and with them what is focused. */
  function draw() {
    const first = Math.max(0, Math.floor(box.scrollTop / HEIGHT) - BEYOND);
    const end = Math.min(n, first + Math.ceil((box.clientHeight || 800) / HEIGHT) + 2 * BEYOND);
    for (const [place, line] of drawn) {
      if (place >= first && place < end) continue;
      line.remove();
      drawn.delete(place);
    }
    above.style.height = `${first * HEIGHT}px`;
    below.style.height = `${(n - end) * HEIGHT}px`;
    let before = above;
    for (let place = first; place < end; place += 1) {
      if (!drawn.has(place)) {
        const line = h("tr", { "aria-rowindex": place + 2, "data-place": place }, row(place));
        drawn.set(place, line);
        before.after(line);
      }
      before = drawn.get(place);
    }
    body.querySelector("[aria-current]")?.removeAttribute("aria-current");
    drawn.get(at)?.setAttribute("aria-current", "true");
  }

  function choose(place) {
    at = Math.max(-1, Math.min(n - 1, place));
    const top = at * HEIGHT;
    const room = box.clientHeight - 2 * HEIGHT; // the heading covers one
    if (at >= 0 && top < box.scrollTop) box.scrollTop = top;
    else if (at >= 0 && top > box.scrollTop + room) box.scrollTop = top - room;
    draw();
  }

  function setRows(count, { chosen = -1 } = {}) {
    n = count;
    table.setAttribute("aria-rowcount", n + 1);
    drawn.clear();
    body.replaceChildren(above, below);
    below.style.height = `${n * HEIGHT}px`; // room to scroll to the chosen one
    box.scrollTop = 0;
    choose(chosen);
  }

  function drawSoon() {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => {
      waits = false;
      draw();
    });
  }

  function drawHead() {
    const focused = [...table.tHead.querySelectorAll("button")].indexOf(document.activeElement);
    table.tHead.rows[0].replaceChildren(...columns.map(head));
    table.tHead.querySelectorAll("button")[focused]?.focus();
  }

  box.addEventListener("scroll", drawSoon, { signal, passive: true });
  addEventListener("resize", drawSoon, { signal });
  return { box, setRows, choose, drawHead, at: () => at };
}
