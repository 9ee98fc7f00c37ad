// Which features are listed and in which order, and how the address says so.

export const CLEAR = { q: "", state: "", source: "", f1: "", from: "", to: "", family: "" };
/** Densities in percent. */
export const INTERESTING = { state: "alive", f1: "0.8", from: "0.01", to: "1" };

/** Of each column what it is sorted by, and in which direction first. */
export const SORTS = {
  latent: { of: (one) => one.latent, first: "" },
  label: { of: (one) => one.words || null, first: "" },
  f1: { of: (one) => one.f1, first: "-" },
  density: { of: (one) => one.density, first: "-" },
  highest: { of: (one) => one.highest, first: "-" },
  family: { of: (one) => one.family[0] ?? null, first: "" },
};
const CHOICES = {
  state: ["alive", "dense", "dead"],
  source: ["keywords", "llm", "you", "none"],
};
const COLLATOR = new Intl.Collator("en"); // 20 times as fast as localeCompare
const NUMBERS = ["f1", "from", "to", "family"];

export const isInteresting = (query) =>
  Object.keys(CLEAR).every((name) => query[name] === (INTERESTING[name] ?? ""));

/** What an address asks for; what it says that makes no sense is left out and told. */
export function readQuery(url) {
  const query = { ...CLEAR, sort: "latent", at: "" };
  const ignored = [];
  for (const [name, value] of url.searchParams) {
    if (name === "run") continue;
    if (makesSense(name, value)) query[name] = name === "at" ? Number(value) : value;
    else ignored.push(`${name}=${value}`);
  }
  return { query, ignored };
}

function makesSense(name, value) {
  if (name === "q") return true;
  if (name === "at") return /^\d+$/.test(value);
  if (name === "sort") return Object.hasOwn(SORTS, value.replace(/^-/, ""));
  if (NUMBERS.includes(name)) return value.trim() !== "" && Number.isFinite(Number(value));
  return CHOICES[name]?.includes(value) ?? false;
}

/** "?q=…", or nothing; the run that a link was made on stays in it. */
export function queryOf(query, url) {
  const given = Object.entries({ ...query, run: url.searchParams.get("run") ?? "" });
  const said = given.filter(
    ([name, value]) => value !== "" && !(name === "sort" && value === "latent"),
  );
  const text = new URLSearchParams(said).toString();
  return text && `?${text}`;
}

export function apply(features, query) {
  const words = query.q.toLowerCase().split(/\s+/).filter(Boolean);
  const number = query.q.trim().match(/^#(\d+)$/)?.[1];
  const given = (name) => query[name] !== "" && Number.isFinite(Number(query[name]));
  const tests = [
    number === undefined
      ? words.length && ((one) => words.every((word) => one.words.includes(word)))
      : (one) => one.latent === Number(number),
    query.state && ((one) => one.state === query.state),
    query.source && ((one) => (one.source ?? "none") === query.source),
    given("f1") && ((one) => one.f1 !== null && one.f1 >= Number(query.f1)),
    given("from") && ((one) => 100 * one.density >= Number(query.from)),
    given("to") && ((one) => 100 * one.density <= Number(query.to)),
    given("family") && ((one) => one.family.includes(Number(query.family))),
  ].filter(Boolean);
  return sorted(
    features.filter((one) => tests.every((test) => test(one))),
    query.sort,
  );
}

/** What a feature lacks comes last in either direction; of equals the lower number first. */
function sorted(features, sort) {
  const sign = sort.startsWith("-") ? -1 : 1;
  const { of } = SORTS[sort.replace(/^-/, "")];
  return features.sort((one, other) => {
    const [a, b] = [of(one), of(other)];
    if (a === null || b === null)
      return (a === null) - (b === null) || one.latent - other.latent;
    const order = typeof a === "string" ? COLLATOR.compare(a, b) : a - b;
    return sign * order || one.latent - other.latent;
  });
}
