"""What `sae-jax evaluate-search` has measured: as a table and as text."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from sae_jax.search.judge import SIDES

FIELDS = ("edit", "side", "way", "at", "measure", "value", "low", "high")
WAYS = {  # as text and figure name them
    "sae": "latent of the autoencoder",
    "rewriting": "query's text rewritten",
    "name": "vector of its name",
    "supervised": "direction fitted to it",
    "means": "mean of its rows",
    "random": "any other latent",
}
TITLES = {
    "up": "One concept raised",
    "down": "One concept lowered",
    "both": "One raised and one lowered",
}


def _title(edit: str, side: str) -> str:
    named = "raised" if side == "up" else "lowered"
    return TITLES[edit] if edit == side else f"{TITLES[edit]}: the one {named}"


def rows(made: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Every mean with its interval."""
    for point in made["points"]:
        own = point["edit"], "", point["way"], point["at"]
        for name in ("cosine", "overlap"):
            yield _row(*own, name, point[name])
        for side, measures in point["sides"].items():
            for name, one in measures.items():
                yield _row(point["edit"], side, point["way"], point["at"], name, one)
        yield from _of_model(point)
    for one in made["ahead"]:
        measure = f"latent ahead of {one['than']}"
        yield _row(one["edit"], one["side"], "sae", one["at"], measure, one["precision"])


def _of_model(point: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """What the language model says, and the judge that counts of the same queries."""
    own = point["edit"], "", point["way"], point["at"]
    if point["llm"] is None:
        return
    for state, n in point["llm"]["states"].items():
        yield *own, f"judgements {state}", n, None, None
    for side, one in point["llm"]["sides"].items():
        own = point["edit"], side, point["way"], point["at"]
        yield _row(*own, "identified by the model", one["identified"])
        yield _row(*own, "identified by counting, same queries", one["counted"])


def _row(*fields: Any) -> tuple[Any, ...]:
    *names, one = fields
    return *names, one["value"], one["low"], one["high"]


def to_csv(made: Mapping[str, Any]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    writer.writerows(rows(made))
    return text.getvalue()


def describe(made: Mapping[str, Any]) -> str:
    """The measures as a person reads them."""
    before = made["neutral"]
    lines = [
        f"{made['n_queries']} held-out queries, {made['n_concepts']} concepts that a latent "
        f"tells with a mean F1 of {made['latent_f1']['value']:.2f}.",
        f"Precision@{made['n_hits']} of the concept before steering: to raise "
        f"{before['up']['value']:.2f}, to lower {before['down']['value']:.2f}.",
    ]
    lines.append(
        "Below: change of precision, ± half its 95 % interval, by cosine to the query."
    )
    for edit, sides in SIDES.items():
        for side in sides:
            lines += ["", f"{_title(edit, side)}:"]
            lines += _table(made, edit=edit, side=side, measure="change")
    lines += ["", "Share of cases in which the judge names the concept, of 5 (both at once):"]
    for side in SIDES["both"]:
        lines.append("  raised:" if side == "up" else "  lowered:")
        lines += _table(made, edit="both", side=side, measure="identified")
    lines += _judged(made)
    lines += [
        "",
        "Median mark of the latent's slider, and share of queries for which it goes so far:",
    ]
    for edit in dict.fromkeys(one["edit"] for one in made["marks"]):
        own = [
            f"{one['at'].split()[-1]}: {_mark(one['median'])} ({one['reached']:.0%})"
            for one in made["marks"]
            if one["edit"] == edit
        ]
        lines.append(f"  {edit:<5}{', '.join(own)}")
    lines += ["", "Other strengths: cosine, overlap, change of precision:"]
    for point in made["points"]:
        if not point["at"].startswith("cosine"):
            changes = ", ".join(
                f"{side} {_text(own['change'])}" for side, own in point["sides"].items()
            )
            lines.append(
                f"  {point['edit']:<5}{point['way']:<10}{point['at']:<14}"
                f"{point['cosine']['value']:.2f}  {point['overlap']['value']:.2f}  {changes}"
            )
    return "\n".join(lines + _conclusion(made))


def _judged(made: Mapping[str, Any]) -> list[str]:
    """The same by a language model, if one was asked, beside counting of the same queries."""
    judge = made["llm_judge"]
    if judge is None:
        return []
    states = ", ".join(f"{n:,} {state}" for state, n in judge["states"].items() if n)
    lines = [
        "",
        f"The same by {judge['model']}, of {judge['n_queries']:,} of the queries ({states}):",
    ]
    for side in SIDES["both"]:
        lines.append("  raised:" if side == "up" else "  lowered:")
        lines += _table(made, edit="both", side=side, measure="identified", of="llm")
        lines.append("  and by counting, of the same queries:")
        lines += _table(made, edit="both", side=side, measure="counted", of="llm")
    return lines


def _table(
    made: Mapping[str, Any], *, edit: str, side: str, measure: str, of: str = ""
) -> list[str]:
    """A line a way, a column a cosine; `of` "llm" is what a language model has judged."""
    found = {
        (point["way"], point["at"]): (point[of] if of else point)["sides"][side][measure]
        for point in at_cosines(made, edit=edit)
    }
    strengths = list(dict.fromkeys(at for _, at in found))
    lines = ["  " + " " * 28 + "".join(f"{at.split()[-1]:<12}" for at in strengths).rstrip()]
    for way, name in WAYS.items():
        sign = "+" if measure == "change" else ""
        own = [_text(found[way, at], sign=sign) for at in strengths if (way, at) in found]
        if own:
            lines.append(f"  {name:<28}" + "".join(f"{text:<12}" for text in own).rstrip())
    return lines


def at_cosines(made: Mapping[str, Any], *, edit: str) -> list[Mapping[str, Any]]:
    return [
        point
        for point in made["points"]
        if point["edit"] == edit and point["at"].startswith("cosine")
    ]


def _text(one: Mapping[str, Any], *, sign: str = "+") -> str:
    if one["value"] is None:  # nothing was answered
        return "none"
    if one["low"] is None:  # of too few queries
        return f"{one['value']:{sign}.2f}"
    half = (one["high"] - one["low"]) / 2
    return f"{one['value']:{sign}.2f} ±{half:.2f}".replace("±0.", "±.")


def _mark(percent: float | None) -> str:
    return "none" if percent is None else f"{percent:.0f} %"


def _conclusion(made: Mapping[str, Any]) -> list[str]:
    """How the latent compares with rewriting where the query is well changed."""
    lines = []
    for one in made["ahead"]:
        alone = one["edit"] == one["side"]
        if alone and one["than"] in ("rewriting", "name") and one["at"] == "cosine 0.7":
            moves = "raises" if one["side"] == "up" else "lowers"
            low, high = one["precision"]["low"], one["precision"]["high"]
            verdict = (
                "further than"
                if low > 0
                else "less far than"
                if high < 0
                else "about as far as"
            )
            lines.append(
                f"At cosine 0.7 the latent {moves} precision {verdict} "
                f"the {WAYS[one['than']]}: {_text(one['precision'])}."
            )
    return ["", *lines] if lines else []
