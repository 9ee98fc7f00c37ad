// Where a page was scrolled to is kept in its entry of the history, and found again by "back".

const SETTLED = 150; // milliseconds after a movement
let timer;
let arriving = false;

/** Before the address changes: the entry that is left remembers the place. */
export function keepPlace() {
  clearTimeout(timer);
  if (!arriving || scrollY) history.replaceState({ ...history.state, scroll: scrollY }, "");
}

/** Draws a page by `show`, then scrolls to where it was left, unless people have scrolled. */
export async function atPlace(show) {
  clearTimeout(timer);
  arriving = true; // a page that is being drawn is short, and its place is no one's choice
  const place = history.state?.scroll ?? 0;
  const finished = await show();
  if (!finished) return; // another page is arriving
  arriving = false;
  if (place && !scrollY) scrollTo(0, place);
}

history.scrollRestoration = "manual";
addEventListener("pagehide", keepPlace);
addEventListener("scroll", () => {
  clearTimeout(timer);
  if (!arriving) timer = setTimeout(keepPlace, SETTLED);
});
