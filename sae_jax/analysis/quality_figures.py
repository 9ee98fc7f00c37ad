"""Figures of a run's quality, from what `sae-jax evaluate` has written as JSON.

made = json.loads(pathlib.Path("runs/first/quality/CORPUS.json").read_text())
quality_figures.draw_robustness(made).savefig("robustness.png")
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from sae_jax.analysis.drawing import (
    LOOKS,
    NULL,
    REAL,
    STYLE,
    label_ends,
    log_ticks,
    plain_log_y,
    said,
)
from sae_jax.analysis.quality_headline import trained_k

LEAST_TARGETS = 10  # concepts or classes; of fewer a share says little
DENSE = 0.1  # density from which a latent is no longer sparse
BINS = 60  # of the histogram of density
MEASURES = {
    "fvu": "fvu, to clean rows",
    "recall": "recall@10",
    "latents_kept": "latents kept",
    "accuracy": "probe accuracy",
    "concepts": "F1 of concepts",
}
CORRUPTIONS = {
    "noise": "noise, as a share of the rows' spread",
    "dropped": "share of coordinates dropped",
}


def draw_progressive(made: Mapping[str, Any]) -> Figure:
    """Held-out fvu when more or fewer latents are kept than in training."""
    progressive = made["progressive"]
    k = progressive["k"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.8), layout="constrained")
        axes = figure.subplots()
        own = {name: found for name, found in progressive.items() if name != "k"}
        for name, found in own.items():
            _line(axes, k, found, name=name)
        axes.set(
            xscale="log", yscale="log", xlim=(k[0], k[-1]), ylabel="held-out fvu",
            xlabel="k′: latents kept, or principal directions",
        )  # fmt: skip
        log_ticks(axes.xaxis, k)
        plain_log_y(axes)
        axes.axvline(trained_k(made), color=NULL, linewidth=0.8, linestyle=":")
        axes.set_title(f"dotted: k {trained_k(made)} of training", loc="left", fontsize=9)
        label_ends(axes, [(name, found[-1]["value"]) for name, found in own.items()])
    return figure


def _line(
    axes: Axes,
    x: Sequence[float | int],
    found: Sequence[Mapping[str, float | None]],
    *,
    name: str,
) -> None:
    """With its interval, which often is as thin as the line."""
    look = LOOKS[name.partition("_")[0]]
    # As floats: what a JSON file has null for is NaN, and leaves a gap.
    value, low, high = (
        np.array([one[part] for one in found], float) for part in ("value", "low", "high")
    )
    axes.fill_between(x, low, high, color=look.color, alpha=0.2, linewidth=0)
    axes.plot(x, value, **look.line(), clip_on=False)


def draw_robustness(made: Mapping[str, Any]) -> Figure:
    """What is left of each measure under noise, and without some of the coordinates."""
    robustness = made["robustness"]
    corruptions = robustness["corruptions"]
    measures = [name for name in MEASURES if name in robustness]
    places = {
        # The first is clean rows, where both begin.
        kind: [0] + [i for i, one in enumerate(corruptions) if i and one["kind"] == kind]
        for kind in CORRUPTIONS
    }
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 1.55 * len(measures) + 0.6), layout="constrained")
        panels = figure.subplots(
            len(measures), len(places), sharex="col", sharey="row", squeeze=False
        )
        for axes_of_row, measure in zip(panels, measures, strict=True):
            by_name = robustness[measure]
            for axes, kept in zip(axes_of_row, places.values(), strict=True):
                levels = [corruptions[i]["level"] for i in kept]
                for name, found in by_name.items():
                    _line(axes, levels, [found[i] for i in kept], name=name)
                axes.set_xlim(levels[0], levels[-1])
            axes_of_row[0].set_ylim(bottom=0)
            axes_of_row[0].set_ylabel(MEASURES[measure])
            last = places["dropped"][-1]
            ends = [(name, own[last]["value"]) for name, own in by_name.items()]
            label_ends(axes_of_row[-1], ends)
        for axes, kind in zip(panels[-1], places, strict=True):
            axes.set_xlabel(CORRUPTIONS[kind])
    return figure


def draw_coverage(made: Mapping[str, Any]) -> Figure | None:
    """The share of concepts, and of classes, that some features reach a held-out F1 for.

    None where there are too few of both.
    """
    rows = [
        targets
        for targets in ("concepts", "classes")
        if targets in made and _n(made[targets]) >= LEAST_TARGETS
    ]
    if not rows:
        return None
    numbers = list(made[rows[0]]["latents"])
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 2.6 * len(rows) + 0.3), layout="constrained")
        panels = figure.subplots(
            len(rows), len(numbers), sharex=True, sharey=True, squeeze=False
        )
        for axes_of_row, targets in zip(panels, rows, strict=True):
            for axes, number in zip(axes_of_row, numbers, strict=True):
                _coverage(axes, made[targets], number=number)
                features = "feature" if number == "1" else "features"
                axes.set_title(f"{number} {features}", loc="left", fontsize=9)
            axes_of_row[0].set_ylabel(f"share of {_n(made[targets]):,} {targets}")
        for axes in panels[-1]:
            axes.set_xlabel("held-out F1 of at least")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper")
    return figure


def _n(found: Mapping[str, Any]) -> int:
    (first, *_) = found["latents"].values()
    return int(first["n_concepts"])


def _coverage(axes: Axes, found: Mapping[str, Any], *, number: str) -> None:
    for kind, by_number in found.items():
        covered = by_number.get(number, by_number.get("all"))["covered"]
        axes.plot(
            [float(level) for level in covered], list(covered.values()),
            **LOOKS[kind].line(), label=said(kind),
        )  # fmt: skip
    axes.set(ylim=(0, 1), xlim=(0.1, 0.9), xticks=[0.2, 0.4, 0.6, 0.8])
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def draw_density(density: Float[np.ndarray, " n_latents"]) -> Figure:
    """How many latents are on for what share of the rows; those never on are in no bar.

    stored = codes.open_codes("runs/first/codes/CORPUS")
    quality_figures.draw_density(stored.density).savefig("density.png")
    """
    on = density[density > 0]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3), layout="constrained")
        axes = figure.subplots()
        axes.set(xscale="log", xlabel="share of rows a latent is on for", ylabel="latents")
        if len(on):
            edges = np.geomspace(on.min() / 1.01, min(1.0, on.max() * 1.01), BINS + 1)
            axes.stairs(np.histogram(on, edges)[0], edges, fill=True, color=REAL, alpha=0.85)
            axes.set_xlim(edges[0], max(edges[-1], DENSE * 1.2))
            axes.axvline(float(np.median(on)), color="black", linewidth=0.9, linestyle="--")
            axes.axvline(DENSE, color=NULL, linewidth=0.9, linestyle=":")
        axes.set_title(
            f"dashed: the median; right of the dotted line: dense, over {DENSE:g}",
            loc="left", fontsize=9,
        )  # fmt: skip
    return figure
