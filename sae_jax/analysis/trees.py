"""Trees of latents as a figure: from general, left, to specific."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sae_jax.analysis.drawing import REAL, STYLE, shorten

LONGEST_LABEL = 34  # characters; what a column has place for


class Node(NamedTuple):
    """A latent, and those below it."""

    text: str
    weight: float  # 0 to 1, of the line that leads to it
    children: list["Node"]
    n_hidden: int = 0  # more children, which are not drawn


def draw(trees: Sequence[Node], *, heads: Sequence[str]) -> Figure:
    """One tree below the other; each generation is a column under its head."""
    n_lines = sum(map(_n_leaves, trees))
    with matplotlib.rc_context(STYLE):
        figure = Figure(
            figsize=(3.1 * len(heads), 0.25 * n_lines + 0.15 * len(trees) + 0.8),
            layout="constrained",
        )
        axes = figure.subplots()
        bottom = 0.0
        for tree in trees:
            bottom = _draw(axes, tree, column=0, bottom=bottom)[1] + 0.6
        axes.set(xlim=(-0.1, len(heads) - 0.05), ylim=(max(bottom, 1.0), -1.0))
        axes.grid(False)
        axes.set_xticks(range(len(heads)), heads)
        axes.xaxis.tick_top()
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("left")
        axes.tick_params(length=0)
        axes.set_yticks([])
        for side in ("left", "bottom", "top"):
            axes.spines[side].set_visible(False)
    return figure


def _n_leaves(tree: Node) -> int:
    return sum(map(_n_leaves, tree.children)) or 1


def _draw(axes: Axes, tree: Node, *, column: int, bottom: float) -> tuple[float, float]:
    """Its leaves below one another from `bottom` on; the root's height, and where it ends."""
    heights, end = [], bottom
    for child in tree.children:
        height, end = _draw(axes, child, column=column + 1, bottom=end)
        heights.append((height, child.weight))
    if not heights:
        end = bottom + 1
    own = sum(height for height, _ in heights) / len(heights) if heights else bottom
    for height, weight in heights:
        axes.plot(
            [column + 0.78, column + 0.98], [own, height], color=REAL, alpha=0.8,
            linewidth=0.4 + 2.6 * weight, solid_capstyle="round",
        )  # fmt: skip
    more = f" (+{tree.n_hidden})" if tree.n_hidden else ""
    text = shorten(tree.text, most=LONGEST_LABEL - len(more)) + more
    # A label is no formula, though there be a $ in it.
    axes.text(column, own, text, va="center", fontsize=8, parse_math=False)
    return own, end
