"""How figures look: dark on light, for screen and paper, told apart without colour too."""

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "sae_jax",  # the same numbers give the same file
    "figure.facecolor": "white",
}
PIXELS_PER_INCH = 160
REAL, NULL = "#31688e", "#9a9a9a"  # what was found, and what chance gives
LABEL_GAP = 0.17  # inches between the middles of two labels beside an axis


class Look(NamedTuple):
    """Of one kind of vectors or features, the same in every figure."""

    color: str
    marker: str
    dashes: str

    def line(self) -> dict[str, Any]:
        """What `Axes.plot` takes."""
        return {
            "color": self.color, "marker": self.marker, "linestyle": self.dashes,
            "linewidth": 1.3, "markersize": 4,
        }  # fmt: skip


# Colours that the colour-blind tell apart, by Okabe and Ito; dashes and marks for print.
_OURS = Look("#0072b2", "o", "-")
LOOKS = {
    "autoencoder": _OURS,
    "latents": _OURS,
    "codes": _OURS,
    "reconstruction": Look("#009e73", "s", "-"),
    "embeddings": Look("#000000", "x", ":"),
    "supervised": Look("#000000", "", "-"),
    "untrained": Look("#d55e00", "^", "--"),
    "pca": Look("#b07a00", "D", "-."),
    "coordinates": Look("#aa4a84", "v", ":"),
    "random": Look("#777777", "P", "--"),
}


def said(name: str) -> str:
    """A kind as a reader knows it: "pca_32" is PCA of 32 directions."""
    kind, _, n = name.partition("_")
    text = {
        "pca": "PCA",
        "coordinates": "single coordinates",
        "random": "random directions",
        "mean": "the mean",
    }
    return text.get(kind, kind) + (f", {n}" if n else "")


def shorten(text: str, *, most: int) -> str:
    """With its end left out where it has more characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def label_ends(axes: Axes, ends: Sequence[tuple[str, float | None]]) -> None:
    """Writes each kind's name right of the axes, at the height where its line ends.

    Names that would overlap are moved apart. To be called once scale and limits are final.
    """
    known = [(name, value) for name, value in ends if value is not None]
    scaled = axes.yaxis.get_transform().transform
    low, high = scaled(np.array(axes.get_ylim()))
    heights = (scaled(np.array([value for _, value in known])) - low) / (high - low)
    figure = axes.get_figure(root=True)
    assert figure is not None, "axes are drawn in one"
    inches = figure.get_figheight() * axes.get_position().height
    for (name, _), height in zip(known, spread(heights, gap=LABEL_GAP / inches), strict=True):
        axes.annotate(
            said(name), (1, height), xycoords="axes fraction", xytext=(7, 0),
            textcoords="offset points", color=LOOKS[name.partition("_")[0]].color,
            va="center", fontsize=8, annotation_clip=False,
        )  # fmt: skip


def spread(heights: Float[np.ndarray, " n"], *, gap: float) -> Float[np.ndarray, " n"]:
    """The same in their order, within 0 to 1 and no two nearer than `gap`, moved least."""
    order = np.argsort(heights, kind="stable")
    shifted = heights[order] - gap * np.arange(len(heights))
    # Neighbours too near one another become a group around the mean of its members.
    groups: list[list[float]] = []
    for value in shifted.tolist():
        groups.append([value])
        while len(groups) > 1 and np.mean(groups[-2]) > np.mean(groups[-1]):
            last = groups.pop()
            groups[-1] += last
    placed = np.repeat([float(np.mean(own)) for own in groups], [len(own) for own in groups])
    placed = np.clip(placed, 0, max(0.0, 1 - gap * (len(heights) - 1)))
    moved = np.empty(len(heights))
    moved[order] = placed + gap * np.arange(len(heights))
    return moved


def log_ticks(axis: Any, values: Sequence[int]) -> None:
    """Of a logarithmic axis, at these values alone."""
    axis.set_ticks(sorted(set(values)), [f"{value:,}" for value in sorted(set(values))])
    axis.set_minor_locator(ticker.NullLocator())


def plain_log_y(axes: Axes) -> None:
    """Numbers such as 0.2 on a logarithmic axis that spans less than two decades."""
    low, high = axes.get_ylim()
    if high / low < 100:
        axes.yaxis.set_minor_formatter(ticker.FormatStrFormatter("%.2g"))
        axes.yaxis.set_major_formatter(ticker.FormatStrFormatter("%.2g"))


def as_svg(figure: Figure) -> str:
    """The picture as an element of a page."""
    text = io.StringIO()
    with _saving():  # its salt makes equal figures equal files
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def as_png(figure: Figure) -> bytes:
    picture = io.BytesIO()
    with _saving():
        figure.savefig(picture, format="png", dpi=PIXELS_PER_INCH)
    return picture.getvalue()


@contextlib.contextmanager
def _saving() -> Iterator[None]:
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # Labels may be in a script that the font has not; the tables show them as they are.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield
