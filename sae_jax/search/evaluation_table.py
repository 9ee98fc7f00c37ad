"""What `sae-jax evaluate-search` has measured: as a table, as text and as a figure."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sae_jax.analysis.drawing import STYLE
from sae_jax.search.judge import SIDES

FIELDS = ("edit", "side", "way", "at", "measure", "value", "low", "high")
WAYS = {  # as text and figure name and mark them
    "sae": ("latent of the autoencoder", "#31688e", "o-"),
    "rewriting": ("query's text rewritten", "#c8553d", "s-"),
    "name": ("concept's name, its vector", "#e09f3e", "^-"),
    "supervised": ("direction fitted to it", "#5a9367", "v-"),
    "means": ("mean of its rows", "#7b6b99", "D-"),
    "random": ("any other latent", "#9a9a9a", "x--"),
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
    for one in made["ahead"]:
        measure = f"latent ahead of {one['than']}"
        yield _row(one["edit"], one["side"], "sae", one["at"], measure, one["precision"])


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


def _table(made: Mapping[str, Any], *, edit: str, side: str, measure: str) -> list[str]:
    found = {
        (point["way"], point["at"]): point["sides"][side][measure]
        for point in _at_cosines(made, edit=edit)
    }
    strengths = list(dict.fromkeys(at for _, at in found))
    lines = ["  " + " " * 28 + "".join(f"{at.split()[-1]:<12}" for at in strengths).rstrip()]
    for way, (name, *_) in WAYS.items():
        sign = "+" if measure == "change" else ""
        own = [_text(found[way, at], sign=sign) for at in strengths if (way, at) in found]
        if own:
            lines.append(f"  {name:<28}" + "".join(f"{text:<12}" for text in own).rstrip())
    return lines


def _at_cosines(made: Mapping[str, Any], *, edit: str) -> list[Mapping[str, Any]]:
    return [
        point
        for point in made["points"]
        if point["edit"] == edit and point["at"].startswith("cosine")
    ]


def _text(one: Mapping[str, Any], *, sign: str = "+") -> str:
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
                f"the {WAYS[one['than']][0]}: {_text(one['precision'])}."
            )
    return ["", *lines] if lines else []


def draw(made: Mapping[str, Any]) -> Figure:
    """Change of precision, and the judge's accuracy, against fidelity; a line a way."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 6), layout="constrained")
        panels = figure.subplots(2, 2, sharex=True)
        for column, side in enumerate(SIDES["both"]):
            _panel(panels[0, column], made, edit=side, side=side, measure="change")
            _panel(panels[1, column], made, edit="both", side=side, measure="identified")
            panels[0, column].set_title(TITLES[side], loc="left", fontsize=9)
            panels[1, column].set_title(_title("both", side), loc="left", fontsize=9)
            panels[1, column].set_xlabel("cosine to the query")
            panels[1, column].axhline(0.2, color="#cccccc", linewidth=0.8, zorder=0)
            panels[1, column].set_ylim(0, 1)
        panels[0, 0].set_ylabel(f"change of precision@{made['n_hits']}")
        panels[1, 0].set_ylabel("identified, of five (line: chance)")
        figure.legend(
            *panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3
        )
    return figure


def _panel(axes: Axes, made: Mapping[str, Any], *, edit: str, side: str, measure: str) -> None:
    points = _at_cosines(made, edit=edit)
    for way, (name, colour, mark) in WAYS.items():
        own = [point for point in points if point["way"] == way]
        found = [point["sides"][side][measure] for point in own]
        if found:
            _line(axes, [point["cosine"]["value"] for point in own], found,
                  mark=mark, color=colour, label=name)  # fmt: skip
    axes.set_xlim(1, 0.45)  # further from the query to the right


def _line(
    axes: Axes,
    x: Sequence[float],
    found: Sequence[Mapping[str, Any]],
    *,
    mark: str,
    **style: Any,
) -> None:
    axes.plot(x, [one["value"] for one in found], mark, markersize=4, linewidth=1.3, **style)
    # Of too few queries there are no ends: as floats, null is NaN, which is not drawn.
    low, high = (np.array([one[end] for one in found], float) for end in ("low", "high"))
    axes.fill_between(x, low, high, color=style["color"], alpha=0.12, linewidth=0)
