"""Figures of families, from what `sae-jax families` has written as JSON.

made = json.loads(pathlib.Path("runs/first/families/CORPUS-ours.json").read_text())
family_figures.draw_trees(made).savefig("trees.png")
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy import sparse  # type: ignore[import-untyped]

from sae_jax.analysis import cooccurrence, trees
from sae_jax.analysis.codes import StoredCodes
from sae_jax.analysis.drawing import LABEL_GAP, STYLE, shorten, spread
from sae_jax.analysis.trees import Node

MOST_BLOCKS, LATENTS_PER_BLOCK = 12, 25  # of the matrix
MOST_OVERLAP = 0.3  # where the matrix's colours end
MOST_TREES, MOST_BELOW_ROOT, MOST_BELOW, GENERATIONS = 4, 6, 3, 4
MATRIX_INCHES = 5.0  # its height in the figure
LONGEST_LABEL = 34  # characters
LINE = 0.5  # as thick as all lines of a tree are


class Block(NamedTuple):
    """A family in the matrix: its parent, then as many of its children as have a place."""

    family: int  # which, from 0
    latents: list[int]
    n_hidden: int  # more of them; those of earlier blocks are none


def blocks(made: Mapping[str, Any]) -> list[Block]:
    """Of the largest families; each latent once, in the first of its families.

    Of a large family come the children that are most often on, each followed by those
    below it.
    """
    found, seen = list[Block](), set[int]()
    for place, one in enumerate(made["families"][:MOST_BLOCKS]):
        own = [i for i in (one["parent"], *one["children"]) if i not in seen]
        seen |= set(own)
        kept = own[:LATENTS_PER_BLOCK]
        order = _downwards(kept, below=_below(made, within=set(kept)))
        if order:
            found.append(Block(place, order, len(own) - len(kept)))
    return found


def _below(made: Mapping[str, Any], *, within: set[int]) -> dict[int, list[int]]:
    """The children of each of these latents, as far as they are of these, too."""
    below: dict[int, list[int]] = {}
    for parent, child in made["edges"]:
        if parent in within and child in within:
            below.setdefault(parent, []).append(child)
    return below


def _downwards(latents: list[int], *, below: Mapping[int, list[int]]) -> list[int]:
    """Each once, followed by those below it that did not come before."""
    place = {latent: i for i, latent in enumerate(latents)}
    found: dict[int, None] = {}

    def visit(latent: int) -> None:
        if latent not in found:
            found[latent] = None
            for child in sorted(below.get(latent, ()), key=place.__getitem__):
                visit(child)

    for latent in latents:
        visit(latent)
    return list(found)


def overlaps(stored: StoredCodes, latents: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n n"]:
    """Of two latents the rows both are on for, over those of the rarer; 0: never on.

    Reads the entries of these latents alone.
    """
    rows = [np.asarray(stored.rows_of(latent)) for latent in latents.tolist()]
    n_on = np.array([len(own) for own in rows], np.int64)
    on = sparse.csc_array(
        (
            np.ones(int(n_on.sum()), np.int32),
            np.concatenate(rows or [np.zeros(0, np.int32)]),
            np.concatenate([[0], np.cumsum(n_on)]),
        ),
        shape=(stored.manifest.n_rows, len(latents)),
    )
    both = cooccurrence.counts(on, np.arange(len(latents))).toarray()
    return np.asarray(both / np.maximum(np.minimum.outer(n_on, n_on), 1), np.float64)


def draw_matrix(
    made: Mapping[str, Any], stored: StoredCodes, *, names: Mapping[int, str] | None = None
) -> Figure:
    """How the latents of the largest families overlap, each family outlined.

    stored = codes.open_codes("runs/first/codes/CORPUS")
    family_figures.draw_matrix(made, stored).savefig("matrix.png")
    """
    shown = blocks(made)
    latents = np.array([latent for block in shown for latent in block.latents], np.int64)
    matrix = overlaps(stored, latents)
    np.fill_diagonal(matrix, 0)  # of a latent with itself: it says nothing
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.8, 6.2), layout="compressed")
        axes = figure.subplots()
        axes.grid(False)
        picture = axes.imshow(
            np.where(matrix > 0, matrix, np.nan),
            cmap=matplotlib.colormaps["YlGnBu"].with_extremes(bad="white"),
            norm=PowerNorm(0.7, vmin=0, vmax=MOST_OVERLAP),
            interpolation="nearest",
        )
        _outline(axes, [len(block.latents) for block in shown])
        texts = [_title(block, made, names=names or {}) for block in shown]
        sizes = np.array([len(block.latents) for block in shown])
        middles = (np.cumsum(sizes) - sizes / 2) / len(latents)
        places = spread(middles, gap=LABEL_GAP / MATRIX_INCHES)
        axes.set_yticks(places * len(latents) - 0.5, texts, parse_math=False)
        axes.set_xticks([])
        axes.tick_params(length=0)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        bar = figure.colorbar(picture, ax=axes, extend="max", shrink=0.6, pad=0.02)
        bar.set_label("rows both are on for / rows of the rarer")
        bar.set_ticks([0, 0.05, 0.1, 0.2, MOST_OVERLAP])
    return figure


def _outline(axes: Axes, sizes: Sequence[int]) -> None:
    start = -0.5
    for size in sizes:
        axes.add_patch(
            Rectangle(
                (start, start),
                size,
                size,
                fill=False,
                edgecolor="black",
                linewidth=0.9,
                clip_on=False,
            )
        )
        start += size


def _title(block: Block, made: Mapping[str, Any], *, names: Mapping[int, str]) -> str:
    text = _named(made["families"][block.family]["parent"], names=names)
    more = f" (+{block.n_hidden})" if block.n_hidden else ""
    return shorten(text, most=LONGEST_LABEL - len(more)) + more


def _named(latent: int, *, names: Mapping[int, str]) -> str:
    return f"{latent} {names.get(latent, '')}".rstrip()


def draw_trees(made: Mapping[str, Any], *, names: Mapping[int, str] | None = None) -> Figure:
    """The largest families, from the parent, left, to those below; not all of a large one."""
    grown = family_trees(made, names=names or {})
    depth = max(map(_depth, grown), default=1)
    heads = ["parent", "its children", "below these", "below these"][:depth]
    return trees.draw(grown, heads=heads)


def _depth(tree: Node) -> int:
    return 1 + max(map(_depth, tree.children), default=0)


def family_trees(made: Mapping[str, Any], *, names: Mapping[int, str]) -> list[Node]:
    """A latent with two parents stands below each. Those with most below them come first."""
    found = []
    for one in made["families"][:MOST_TREES]:
        below = _below(made, within={one["parent"], *one["children"]})
        rank = {
            latent: (-len(below.get(latent, ())), place)
            for place, latent in enumerate(one["children"])
        }
        ordered = {latent: sorted(own, key=rank.__getitem__) for latent, own in below.items()}
        found.append(_grow(one["parent"], below=ordered, names=names, generation=1))
    return found


def _grow(
    latent: int,
    *,
    below: Mapping[int, list[int]],
    names: Mapping[int, str],
    generation: int,
) -> Node:
    children = below.get(latent, [])
    most = MOST_BELOW_ROOT if generation == 1 else MOST_BELOW
    shown = children[: most if generation < GENERATIONS else 0]
    nodes = [_grow(i, below=below, names=names, generation=generation + 1) for i in shown]
    return Node(_named(latent, names=names), LINE, nodes, len(children) - len(shown))
