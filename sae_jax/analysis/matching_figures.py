"""Figures of runs matched with one another, from what `sae-jax match` has written as JSON."""

from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sae_jax.analysis.matching import WAYS

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "sae_jax",  # the same numbers give the same file
    "figure.facecolor": "white",
}
REAL, NULL = "#31688e", "#9a9a9a"
LONGEST_LABEL = 34  # characters
MOST_CHILDREN = 8  # drawn of one latent


def draw_similarities(made: Mapping[str, Any]) -> Figure:
    """How like the nearest latents are, beside what chance gives; both directions of a pair."""
    with matplotlib.rc_context(STYLE):
        rows = [
            (source, target, direction, pair)
            for pair in made["pairs"]
            for direction, source, target in (
                ("forward", made, pair), ("backward", pair, made),
            )
        ]  # fmt: skip
        figure = Figure(figsize=(8, 1.6 * len(rows) + 0.6), layout="constrained")
        panels = figure.subplots(len(rows), len(WAYS), sharex="col", squeeze=False)
        for axes_of_row, (source, target, direction, pair) in zip(panels, rows, strict=True):
            for axes, way in zip(axes_of_row, WAYS, strict=True):
                _histogram(axes, pair[way][direction])
            title = f"{source['run']} to {target['run']}"
            axes_of_row[0].set_title(title, loc="left", fontsize=9)
            axes_of_row[0].set_ylabel("latents")
        for axes, way in zip(panels[-1], WAYS, strict=True):
            axes.set_xlabel(f"{made['pairs'][0][way]['measure']} to the nearest, by {way}")
        panels[0, -1].legend(loc="upper right")
    return figure


def _histogram(axes: Axes, one: Mapping[str, Any]) -> None:
    found, median = one["histogram"], one["median"]
    axes.stairs(
        found["n_null"], found["edges"], color=NULL, fill=True, label="by chance, cut off above"
    )
    axes.stairs(found["n_latents"], found["edges"], color=REAL, linewidth=1.4, label="found")
    axes.axvline(median["value"], color=REAL, linewidth=0.8, linestyle="--")
    # Chance is narrow and high: it must not press what was found to the ground.
    axes.set_ylim(0, 1.4 * max(1, *found["n_latents"]))
    axes.set_xlim(0, 1)


def draw_trees(made: Mapping[str, Any]) -> Figure:
    """Latents of the smallest run, left, and what they become in the larger ones."""
    splitting = made["splitting"]
    trees, sizes = splitting["trees"], splitting["sizes"]
    n_lines = sum(_n_leaves(tree) for tree in trees)
    with matplotlib.rc_context(STYLE):
        figure = Figure(
            figsize=(3.1 * len(sizes), 0.3 * max(n_lines, 1) + 0.8), layout="constrained"
        )
        axes = figure.subplots()
        bottom = 0.0
        for tree in trees:
            bottom = _tree(axes, tree, column=0, bottom=bottom)[1] + 0.6
        axes.set(xlim=(-0.1, len(sizes) - 0.05), ylim=(max(bottom, 1.0), -1.0))
        axes.set_xticks(range(len(sizes)), [f"{size:,} latents" for size in sizes])
        axes.xaxis.tick_top()
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("left")
        axes.tick_params(length=0)
        axes.set_yticks([])
        for side in ("left", "bottom", "top"):
            axes.spines[side].set_visible(False)
    return figure


def _shown(tree: Mapping[str, Any]) -> list[Any]:
    return list(tree["children"][:MOST_CHILDREN])


def _n_leaves(tree: Mapping[str, Any]) -> int:
    return sum(map(_n_leaves, _shown(tree))) or 1


def _tree(
    axes: Axes, tree: Mapping[str, Any], *, column: int, bottom: float
) -> tuple[float, float]:
    """Its leaves below one another from `bottom` on; the root's height, and where it ends."""
    heights, end = [], bottom
    for child in _shown(tree):
        height, end = _tree(axes, child, column=column + 1, bottom=end)
        heights.append((height, child["similarity"]))
    if not heights:
        end = bottom + 1
    own = sum(height for height, _ in heights) / len(heights) if heights else bottom
    for height, similarity in heights:
        axes.plot(
            [column + 0.78, column + 0.98], [own, height], color=REAL, alpha=0.8,
            linewidth=0.4 + 2.6 * similarity, solid_capstyle="round",
        )  # fmt: skip
    hidden = len(tree["children"]) - len(heights)
    more = f" (+{hidden})" if hidden else ""
    text = f"{tree['latent']} {tree['label']}".rstrip()
    short = text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"
    axes.text(column, own, short + more, va="center", fontsize=8)
    return own, end
