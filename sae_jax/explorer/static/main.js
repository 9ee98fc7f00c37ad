// The frame: which page an address shows, and what stands around all pages.

import { events, get, look, post } from "./api.js";
import { announce, h } from "./dom.js";
import { onKey, showKeys } from "./keys.js";
import { count } from "./numbers.js";
import { atPlace, keepPlace } from "./place.js";
import { failed, waited } from "./states.js";

const PAGES = [
  [/^\/search$/, "search"],
  [/^\/features$/, "features"],
  [/^\/feature\/([^/]+)$/, "feature"],
  [/^\/families$/, "families"],
  [/^\/family\/([^/]+)$/, "family"],
  [/^\/map$/, "map"],
  [/^\/document\/(.+)$/, "document"],
  [/^\/runs$/, "runs"],
];
const root = document.getElementById("page");
let leaving = new AbortController();
let meta;

/** Goes to a page as a link does: it is seen from its top, and has the focus. */
export function navigate(href) {
  const from = document.activeElement;
  keepPlace();
  history.pushState(null, "", href);
  return atPlace(() => show({ from, top: true }));
}

/** Draws the page that the address names; false where another one was asked for meanwhile. */
async function show({ from, top = false } = {}) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const url = new URL(location.href);
  const [pattern, name] = PAGES.find(([one]) => one.test(url.pathname)) ?? [];
  for (const link of document.querySelectorAll("header nav a")) {
    const here =
      url.pathname.startsWith(link.pathname) ||
      (name === "feature" && link.pathname === "/features") ||
      (name === "family" && link.pathname === "/families");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const page = h("div", { class: `page ${name ?? ""}` });
  try {
    if (!name)
      throw Object.assign(new Error(`There is no page ${url.pathname}.`), { status: 404 });
    const argument = decodeURIComponent(url.pathname.match(pattern)[1] ?? "");
    const module = await waited(() => import(`./pages/${name}.js`));
    if (signal.aborted) return false;
    root.replaceChildren(page);
    arrive({ from, top });
    noteOtherRun(url);
    setTitle(module.title);
    await module.show(page, { url, argument, meta, signal, navigate });
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return !signal.aborted;
    root.replaceChildren(failed(error, () => show()));
    arrive({ from, top });
  }
  return !signal.aborted;
}

/** The focus goes to the page, if it is not where someone has put it meanwhile. */
function arrive({ from, top }) {
  const now = document.activeElement;
  if (top && (now === document.body || (now === from && !root.contains(now))))
    root.focus({ preventScroll: true });
  scrollTo(0, 0);
}

export function setTitle(text) {
  document.title = `${text} · ${meta.run} · sae_jax`;
}

/** A link carries the run that it was made on. */
function noteOtherRun(url) {
  const made = url.searchParams.get("run");
  if (made && made !== meta.fingerprint) {
    root.prepend(
      h(
        "p",
        { class: "note", role: "note" },
        `This link was made on another run (${made}; this is ${meta.fingerprint}): features of the same number mean other things.`,
      ),
    );
  }
}

/** Replaces the address without showing the page anew. */
export function setAddress(href) {
  history.replaceState(history.state, "", href);
}

function banner(text, action, does) {
  const button = action && h("button", { type: "button", onclick: does }, action);
  document
    .getElementById("banner")
    .replaceChildren(...(text ? [h("p", {}, text, " ", button)] : []));
}

function drawAbout() {
  const named = meta.encoder && meta.encoder !== "unknown";
  const labels = `labels: ${count(meta.n_labels)} of ${count(meta.n_alive)}`;
  const partial = meta.n_labels > 0 && meta.n_labels < meta.n_alive;
  const about = "The others have too few documents, or no words that set them apart.";
  document
    .getElementById("about")
    .replaceChildren(
      h("span", { class: "run" }, meta.run),
      h("span", {}, `${meta.corpus}: ${count(meta.n_rows)} documents`),
      h(
        "span",
        {},
        `${count(meta.n_latents)} features (${count(meta.n_alive)} alive), k ${meta.k}`,
      ),
      h("span", partial ? { class: "chip partial", title: about } : {}, labels),
      h("span", {}, `embeddings ${named ? meta.encoder : "of an encoder that is not named"}`),
      h("span", {}, `sae_jax ${meta.version}${meta.read_only ? ", read-only" : ""}`),
    );
}

function changeTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
  const next = now === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  localStorage.setItem("theme", next);
  announce(`${next} theme`);
}

async function start() {
  document.getElementById("theme").onclick = changeTheme;
  document.getElementById("keys").onclick = showKeys;
  onKey("?", "these keys", showKeys);
  onKey("t", "light or dark", changeTheme);
  for (const [key, href] of [
    ["s", "/search"],
    ["f", "/features"],
    ["a", "/families"],
    ["m", "/map"],
    ["r", "/runs"],
  ]) {
    onKey(`g ${key}`, `go to ${href.slice(1)}`, () => navigate(href));
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
    if (
      !link ||
      !plain ||
      link.origin !== location.origin ||
      link.target ||
      link.hasAttribute("download") ||
      "wholePage" in link.dataset
    )
      return;
    event.preventDefault();
    if (link.hash && link.pathname === location.pathname)
      document.querySelector(link.hash)?.focus();
    else navigate(link.href);
  });
  addEventListener("popstate", () => atPlace(() => show()));
  events.addEventListener("lost", () =>
    banner(`Lost the server at ${location.host}. Retrying every 3 s.`),
  );
  events.addEventListener("back", found);
  events.addEventListener("stale", () => {
    banner("The run changed on disk.", "Reload", async () => {
      await post("/api/reload", {}).catch(() => null);
      location.reload();
    });
  });
  try {
    meta = await waited(() => get("/api/meta"));
  } catch (error) {
    root.replaceChildren(failed(error, () => location.reload()));
    return;
  }
  drawAbout();
  const { drawFinder } = await import("./finder.js");
  drawFinder(document.getElementById("finder"), { meta, navigate });
  setTimeout(look, 5000);
  await atPlace(() => show());
}

/** The server answers again. What is shown and typed stays; what it lacked is asked for. */
async function found() {
  const now = await get("/api/meta").catch(() => null);
  if (!now) return; // lost once more, which is told again
  if (now.fingerprint !== meta?.fingerprint) {
    location.reload();
    return;
  }
  banner("");
  for (const again of document.querySelectorAll(".failed[data-lost] .again")) again.click();
}

start();
