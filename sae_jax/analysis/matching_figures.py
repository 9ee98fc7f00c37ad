"""Figures of runs matched with one another, from what `sae-jax match` has written as JSON.

made = json.loads(pathlib.Path("runs/a/matching/CORPUS/b-0123abcd.json").read_text())
matching_figures.draw_similarities(made).savefig("similarities.png")
"""

from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sae_jax.analysis import trees
from sae_jax.analysis.drawing import NULL, REAL, STYLE
from sae_jax.analysis.matching import WAYS
from sae_jax.analysis.trees import Node

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
            axes_of_row[0].set_title(title, loc="left", fontsize=9, parse_math=False)
            axes_of_row[0].set_ylabel("latents")
        for axes, way in zip(panels[-1], WAYS, strict=True):
            axes.set_xlabel(f"{made['pairs'][0][way]['measure']} to the nearest, by {way}")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=2)
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
    heads = [f"{size:,} latents" for size in splitting["sizes"]]
    return trees.draw([_node(tree) for tree in splitting["trees"]], heads=heads)


def _node(tree: Mapping[str, Any]) -> Node:
    shown = tree["children"][:MOST_CHILDREN]
    return Node(
        f"{tree['latent']} {tree['label']}".rstrip(),
        float(tree["similarity"]),
        [_node(child) for child in shown],
        len(tree["children"]) - len(shown),
    )
