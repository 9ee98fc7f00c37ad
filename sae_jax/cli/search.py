"""Search a corpus, and steer the search by the features of the query.

  sae-jax encode runs/first && sae-jax search runs/first "a large animal that is ridden"
  sae-jax search runs/first "a large animal that is ridden" --set=417=140 --set=88=-50
  sae-jax search runs/first --row=1203 --family=12=80 --mode=only --k=20
  sae-jax search runs/first --feature=417 --json

Searched from is a text, a --document, a --row, a --feature or a --from_family. The answer
begins with the features of the query and how strong each is, in percent of its highest value on
the corpus: --set=LATENT=PERCENT sets one, --family=FAMILY=PERCENT a family, from -100 to 300;
0 is off. Of each hit: score, place without the sliders (▲▼, or new), text, and the features
that contribute most to the score. Without sliders this is plain search by cosine.

--mode says what becomes of the rest of the query: adjust keeps it; only searches with the
features alone; re-encode changes it until the query's own features are the wanted ones.

The first search of a corpus of 16-bit rows makes a float32 copy of them in RUN/search.
"""

import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from sae_jax.cli.arguments import (
    check_encoder,
    define_corpus,
    define_encoder,
    named_encoder,
)
from sae_jax.errors import UsageError

if TYPE_CHECKING:
    from sae_jax.data.shards import ShardReader
    from sae_jax.search.query import Query
    from sae_jax.search.session import Hit, Search
    from sae_jax.search.steer import Steered

N_FEATURES = 8  # of the query, shown
N_REASONS = 3  # of each hit


def define_flags(values: flags.FlagValues) -> None:
    def text(name: str, about: str) -> None:
        flags.DEFINE_string(name, "", about, flag_values=values)

    def choice(name: str, default: str | None, names: Sequence[str], *, about: str) -> None:
        flags.DEFINE_enum(name, default, [*names], about, flag_values=values)

    def several(name: str, about: str) -> None:
        flags.DEFINE_multi_string(name, None, about, flag_values=values)

    several("set", "LATENT=PERCENT of its highest value")
    several(
        "family",
        "FAMILY=PERCENT of its highest value; families are numbered as `sae-jax families` "
        "writes them, the largest being 0",
    )
    text("document", "Search from the document whose record has this id.")
    flags.DEFINE_integer("row", None, "Search from this row of the corpus.", flag_values=values)
    flags.DEFINE_integer(
        "feature", None, "Search from the direction of this latent.", flag_values=values
    )
    flags.DEFINE_integer(
        "from_family", None, "Search from the directions of this family's members.",
        flag_values=values,
    )  # fmt: skip
    modes = "adjust", "only", "re-encode"
    choice("mode", "adjust", modes, about="What becomes of the rest of the query.")
    flags.DEFINE_integer("k", 10, "Hits.", lower_bound=1, flag_values=values)
    choice(
        "engine", "exact", ("exact", "usearch"),
        about="usearch is approximate, and an extra: for corpora of millions of rows.",
    )  # fmt: skip
    define_encoder(values)
    define_corpus(values)
    flags.DEFINE_bool("json", False, "Print JSON.", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> None:
    _check(values, arguments)
    sliders = _pairs(values["set"].value or [], flag="set", of="LATENT")
    families = _pairs(values.family or [], flag="family", of="FAMILY")
    # Imported here: JAX takes a second, which `--help` need not wait for.
    from sae_jax.data.numbers import to_json
    from sae_jax.search.session import Search

    folder = arguments[0]
    search = Search.open(folder, shards=values.shards, engine=values.engine, say=_say)
    query = _query(search, values, text=arguments[1] if len(arguments) == 2 else "")
    began = time.perf_counter()
    steered = search.steer(query, sliders, families=families, mode=values.mode)
    hits = search.hits(steered, k=values.k)
    milliseconds = 1e3 * (time.perf_counter() - began)
    if values.json:
        print(to_json(_as_json(search, steered, hits=hits), indent=1), end="")
        return
    print(_heading(search, steered, families=families))
    print(f"\n{len(hits)} of {search.reader.n_rows:,} rows, {values.engine}, "
          f"{milliseconds:.0f} ms")  # fmt: skip
    for place, hit in enumerate(hits, start=1):
        print(_as_text(hit, place=place, k=values.k, labels=search.labels))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _check(values: flags.FlagValues, arguments: list[str]) -> None:
    """Raises UsageError before anything is read, where the flags disagree."""
    named = [
        f"--{name}"
        for name in ("document", "row", "feature", "from_family")
        if values[name].value not in ("", None)
    ]
    if not 1 <= len(arguments) <= 2 or len(named) + len(arguments) != 2:
        raise UsageError(
            f"found the arguments {arguments}{' and ' if named else ''}{', '.join(named)}; "
            "expected a run folder, and one thing to search from: a text, --document, --row, "
            "--feature or --from_family."
        )
    if values.encoder and len(arguments) < 2:
        raise UsageError("--encoder is for a text to search for; there is none.")
    check_encoder(values)


def _pairs(words: Sequence[str], *, flag: str, of: str) -> dict[int, float]:
    """The numbers of NUMBER=PERCENT."""
    found: dict[int, float] = {}
    for word in words:
        number, _, percent = word.partition("=")
        try:
            found[int(number)] = float(percent)
        except ValueError:
            raise UsageError(
                f"--{flag}={word}: expected --{flag}={of}=PERCENT, such as --{flag}=17=140."
            ) from None
    return found


def _query(search: "Search", values: flags.FlagValues, *, text: str) -> "Query":
    if values.document:
        return search.row(_row_of(values.document, reader=search.reader))
    if values.row is not None:
        return search.row(values.row)
    if values.feature is not None:
        return search.latent(values.feature)
    if values.from_family is not None:
        return search.family(values.from_family)
    if values.encoder:
        search.use_encoder(named_encoder(values))
    return search.text(text)


def _row_of(named: str, *, reader: "ShardReader") -> int:
    """The row of the record with this id."""
    from sae_jax.analysis.records import all_records

    for row, record in enumerate(all_records(reader, wanted="record of that id")):
        if str(record.get("id")) == named:
            return row
    raise UsageError(
        f"--document={named}: no record of {reader.folder} has this id. Give the id of one of "
        f"them, or --row from 0 to {reader.n_rows - 1}."
    )


def _heading(search: "Search", steered: "Steered", *, families: Mapping[int, float]) -> str:
    query, highest = steered.query, search.dictionary.highest
    lines = [f"{query.origin}: its features, in percent of their highest value"]
    lines += [
        f"  {one.latent:>6} {one.percent:4.0f} %  {one.label or 'no label'}"
        for one in search.strengths(query, most=N_FEATURES)
    ]
    if n_more := max(len(query.code) - N_FEATURES, 0):
        lines.append(f"         and {n_more} more")
    for number, percent in families.items():
        family = search.families.family(number)
        natural = sum(query.code.get(latent, 0.0) for latent in family.members)
        label = search.labels.get(family.members[0], "no label")
        before = 100 * natural / family.highest
        lines.append(f"family {number:>5} {before:4.0f} % to {percent:.0f} %  {label}")
    for latent, delta in list(steered.deltas.items())[:N_FEATURES]:
        before = query.code.get(latent, 0.0)
        from_, to = (100 * value / highest[latent] for value in (before, before + delta))
        label = search.labels.get(latent, "no label")
        lines.append(f"moved {latent:>6} {from_:4.0f} % to {to:.0f} %  {label}")
    if len(steered.deltas) > N_FEATURES:
        lines.append(f"      and {len(steered.deltas) - N_FEATURES} more")
    if steered.deltas or steered.mode != "adjust":
        lines.append(f"cosine to the query as it was: {steered.fidelity:.2f} ({steered.mode})")
    if steered.errors:
        errors = ", ".join(f"{error:.2g}" for error in steered.errors)
        lines.append(f"error of its code at each step: {errors}")
    return "\n".join(lines)


def _as_text(hit: "Hit", *, place: int, k: int, labels: Mapping[int, str]) -> str:
    text = str((hit.record or {}).get("text") or f"row {hit.row}")
    reasons = "; ".join(
        f"{labels.get(one.latent, one.latent)} {one.total:+.3f}"
        for one in hit.explanation.latents[:N_REASONS]
    )
    return (
        f"{place:>3} {_moved(hit, place=place, k=k):<4} {hit.score:.3f}  "
        f"{textwrap.shorten(text, 78, placeholder=' …')}\n              {reasons}"
    )


def _moved(hit: "Hit", *, place: int, k: int) -> str:
    if hit.neutral_rank is None or hit.neutral_rank > k:
        return "new"
    by = hit.neutral_rank - place
    return f"{'▲' if by > 0 else '▼'}{abs(by)}" if by else ""


def _as_json(search: "Search", steered: "Steered", *, hits: Sequence["Hit"]) -> dict[str, Any]:
    return {
        **search.dictionary.stored.manifest.fingerprints,
        "query": steered.query.origin,
        "features": search.strengths(steered.query),
        "mode": str(steered.mode),
        "deltas": steered.deltas,
        "fidelity": steered.fidelity,
        "errors": steered.errors,
        "hits": hits,
    }
