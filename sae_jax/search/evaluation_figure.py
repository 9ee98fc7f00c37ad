"""The figure of `sae-jax evaluate-search`: what steering does, by how far the query moved."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from sae_jax.analysis.drawing import LOOKS, STYLE, Look
from sae_jax.search.evaluation_table import WAYS, at_cosines
from sae_jax.search.trials import N_OPTIONS

WIDTH, ROW_HEIGHT, LEGEND_HEIGHT = 8.0, 1.75, 0.9  # inches
OF_WAYS = {  # colours that the colour-blind tell apart; dashes and marks for print
    "sae": LOOKS["latents"],
    "rewriting": Look("#d55e00", "s", "--"),
    "name": Look("#882255", "^", "-."),
    "supervised": Look("#000000", "v", ":"),
    "means": Look("#56b4e9", "D", "-"),
    "random": Look("#999999", "x", "--"),
}
COLUMNS = {"up": "The concept to raise", "down": "The concept to lower"}


class Row(NamedTuple):
    """Panels of one measure: for what is raised, and for what is lowered."""

    measure: str
    said: str
    of: str  # "": of the edit alone; "both", "llm": by which judge, of both edits at once
    chance: float | None = None


def draw(made: Mapping[str, Any]) -> Figure:
    """A line a way; the last rows are the accuracy of the judges, figure 6 of the paper."""
    rows = _rows(made)
    with matplotlib.rc_context(STYLE):
        figure = Figure(
            figsize=(WIDTH, ROW_HEIGHT * len(rows) + LEGEND_HEIGHT), layout="constrained"
        )
        panels = figure.subplots(len(rows), 2, sharex=True, sharey="none", squeeze=False)
        for row, own in zip(rows, panels, strict=True):
            for side, axes in zip(COLUMNS, own, strict=True):
                _panel(axes, made, row=row, side=side)
            own[0].set_ylabel(row.said)
        for side, axes in zip(COLUMNS, panels[0], strict=True):
            axes.set_title(COLUMNS[side], loc="left", fontsize=10)
        for axes in panels[-1]:
            axes.set_xlabel("cosine of the steered query to the query")
        figure.legend(
            *panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3
        )
    return figure


def _rows(made: Mapping[str, Any]) -> list[Row]:
    chance = 1 / N_OPTIONS
    rows = [
        Row("change", f"change of\nprecision@{made['n_hits']}", ""),
        Row("active", "change of hits\nwith its latent on", ""),
        Row("overlap", "hits kept", ""),
        Row("identified", _named_by("judge"), "both", chance),
    ]
    if made["llm_judge"] is not None:
        said = _named_by(_short(made["llm_judge"]["model"]))
        rows.append(Row("identified", said, "llm", chance))
    return rows


def _named_by(judge: str) -> str:
    return f"{judge} names it,\n1 of {N_OPTIONS}, both moved"


def _short(name: str, *, most: int = 16) -> str:
    """Of a model: without who made it, as `org/model` says."""
    name = name.rpartition("/")[2]
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _panel(axes: Axes, made: Mapping[str, Any], *, row: Row, side: str) -> None:
    points = at_cosines(made, edit="both" if row.of else side)
    strengths = sorted({float(point["at"].split()[-1]) for point in points})
    for way, look in OF_WAYS.items():
        own = [point for point in points if point["way"] == way]
        found = [_value(point, row=row, side=side) for point in own]
        if found:
            at = [point["cosine"]["value"] for point in own]
            _line(axes, at, found, look=look, name=WAYS[way])
    if row.chance is not None:
        axes.axhline(row.chance, color="#999999", linewidth=0.8, zorder=1)
        axes.annotate(
            "chance", (1, row.chance), xycoords=("axes fraction", "data"), ha="right",
            va="top", fontsize=7, color="#777777", xytext=(-2, -1),
            textcoords="offset points",
        )  # fmt: skip
    if row.measure in ("overlap", "identified"):
        axes.set_ylim(0, 1.03)
    else:
        axes.axhline(0, color="#999999", linewidth=0.8, zorder=1)
    axes.set_xlim(1.0, min(strengths) - 0.03)  # further from the query to the right
    axes.set_xticks(strengths, [f"{one:.2g}" for one in strengths])
    axes.xaxis.set_minor_locator(NullLocator())


def _value(point: Mapping[str, Any], *, row: Row, side: str) -> Mapping[str, Any]:
    if row.measure == "overlap":
        return dict(point["overlap"])
    of: Mapping[str, Any] = point["llm"] if row.of == "llm" else point
    return dict(of["sides"][side][row.measure])


def _line(
    axes: Axes,
    x: Sequence[float],
    found: Sequence[Mapping[str, Any]],
    *,
    look: Look,
    name: str,
) -> None:
    # Of too few queries there are no ends: as floats, null is NaN, which is not drawn.
    value, low, high = (
        np.array([one[end] for one in found], float) for end in ("value", "low", "high")
    )
    axes.plot(x, value, label=name, **look.line())
    axes.fill_between(x, low, high, color=look.color, alpha=0.12, linewidth=0)
