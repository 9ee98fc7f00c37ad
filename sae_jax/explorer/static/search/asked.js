// What a search page asks for, as its address says it: all of the page's state.

export const LEAST = -100;
export const MOST = 300;
const KINDS = ["q", "row", "feature", "family"];

/** From an address; `words` is a search by keywords, which has no sliders. */
export function read(url) {
  const given = url.searchParams;
  const kind = KINDS.find((one) => given.get(one)) ?? null;
  const sliders = new Map();
  for (const pair of (given.get("w") ?? "").split(",").filter(Boolean)) {
    const [name, percent] = pair.split(":");
    if (/^f?\d+$/.test(name) && Number.isFinite(Number(percent)))
      sliders.set(name, clamp(Number(percent)));
  }
  const words = kind === "q" && given.get("by") === "words";
  return {
    kind,
    value: kind ? given.get(kind) : "",
    sliders,
    mode: given.get("mode") || "adjust",
    k: given.get("k") || "10",
    compare: given.get("compare") === "1",
    where: given.get("where") ?? "",
    holding: given.get("holding") ?? "",
    words,
  };
}

export const clamp = (percent) => Math.max(LEAST, Math.min(MOST, percent));

/** The parameters of /api/search. */
export function parameters(asked, more = {}) {
  const w = [...asked.sliders].map(([name, percent]) => `${name}:${tidy(percent)}`).join(",");
  const mode = asked.mode === "adjust" ? "" : asked.mode;
  return {
    ...(asked.kind ? { [asked.kind]: asked.value } : {}),
    w,
    mode,
    k: asked.k === "10" ? "" : asked.k,
    where: asked.where,
    holding: asked.holding,
    ...more,
  };
}

/** The filters of fields: a name and its value, or "low..high". */
export function conditions(asked) {
  const decoded = (word) => {
    try {
      return decodeURIComponent(word);
    } catch {
      return word; // the server says what is wrong with it
    }
  };
  return new Map(
    asked.where
      .split(",")
      .filter(Boolean)
      .map((part) => part.split(":").map(decoded)),
  );
}

export const joined = (found) =>
  [...found].map((pair) => pair.map(encodeURIComponent).join(":")).join(",");

export const tidy = (percent) => Number(percent.toFixed(1));

/** The page's own address. A search by words has neither sliders nor filters. */
export function addressOf(asked, more = {}) {
  const all = asked.words
    ? { q: asked.value, by: "words", k: asked.k === "10" ? "" : asked.k }
    : { ...parameters(asked, more), compare: asked.compare ? "1" : "" };
  const query = new URLSearchParams(
    Object.entries(all).filter(([, value]) => value !== ""),
  ).toString();
  return `/search${query ? `?${query.replaceAll("%3A", ":").replaceAll("%2C", ",")}` : ""}`;
}
