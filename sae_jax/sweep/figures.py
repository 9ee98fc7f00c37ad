"""The figures of a report, for screen and paper: dark on light, marks beside colours."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sae_jax.analysis.drawing import STYLE, log_ticks, plain_log_y
from sae_jax.sweep.laws import Corpus
from sae_jax.sweep.results import Finished, Result

MARKS = "os^Dv*PX"
MOST_PANELS_IN_A_ROW = 3


def styled(values: Sequence[int]) -> dict[int, dict[str, Any]]:
    """A colour and a mark for each value, from dark to light in their order."""
    ordered = sorted(set(values))
    colours = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.8, max(len(ordered), 2)))
    return {
        value: {"color": colours[i], "marker": MARKS[i % len(MARKS)], "markersize": 4.5}
        for i, value in enumerate(ordered)
    }


def draw(corpus: Corpus, *, results: Sequence[Result]) -> dict[str, Figure]:
    """All figures of one data set, by name, but for those that take more runs."""
    own = {one.name: one for one in corpus.members}
    mine = [result for result in results if result.name in own]
    with matplotlib.rc_context(STYLE):
        figures = {}
        if len({one.n_latents for one in corpus.members}) > 1:
            figures["fvu-and-size"] = _sizes(corpus)
        if len({one.k for one in corpus.members}) > 1:
            figures["fvu-and-k"] = _ks(corpus)
        figures["compute"] = _compute(corpus)
        figures["learning-curves"] = _panels(own, mine, draw_one=_curve, finish=_finish_curves)
        figures["learning-curves"].supxlabel("examples seen", fontsize=9)
        if any("density_histogram" in (result.summary or {}) for result in mine):
            figures["density"] = _panels(own, mine, draw_one=_density, finish=_finish_density)
            figures["density"].supxlabel("density, as a power of ten", fontsize=9)
        return figures


def _sizes(corpus: Corpus) -> Figure:
    """Held-out fvu against the dictionary's size, with the fitted law of each k."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    styles = styled([law.k for law in corpus.by_k])
    sizes = [one.n_latents for one in corpus.best]
    reach = np.geomspace(min(sizes), max(sizes), 50)
    for law in corpus.by_k:
        own = [one for one in corpus.best if one.k == law.k]
        label = f"k {law.k}"
        if law.held_out:
            label += f": α {law.held_out.alpha:.3f}"
            axes.plot(reach, law.held_out(reach), color=styles[law.k]["color"], linewidth=1.2)
        x, y = [one.n_latents for one in own], [one.fvu for one in own]
        axes.plot(x, y, **styles[law.k], linestyle="none", label=label)
        if corpus.joint:
            axes.plot(
                reach,
                corpus.joint(reach, law.k),
                color=styles[law.k]["color"],
                linewidth=0.8,
                linestyle=":",
            )
    axes.set(xscale="log", yscale="log", xlabel="n_latents", ylabel="held-out fvu")
    log_ticks(axes.xaxis, sizes)
    plain_log_y(axes)
    joint = "; dotted: the joint law" if corpus.joint else ""
    axes.set_title(f"c · n^−α of each k{joint}", loc="left", fontsize=9)
    figure.legend(loc="outside right upper")
    return figure


def _ks(corpus: Corpus) -> Figure:
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    styles = styled([one.n_latents for one in corpus.best])
    for n_latents, style in styles.items():
        own = sorted((one.k, one.fvu) for one in corpus.best if one.n_latents == n_latents)
        axes.plot(*zip(*own, strict=True), **style, linewidth=1, label=f"{n_latents:,} latents")
    axes.set(xscale="log", yscale="log", xlabel="k", ylabel="held-out fvu")
    log_ticks(axes.xaxis, [one.k for one in corpus.best])
    plain_log_y(axes)
    figure.legend(loc="outside right upper")
    return figure


def _compute(corpus: Corpus) -> Figure:
    """Held-out fvu along training against its compute, counted in two ways."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    k_of = {one.name: one.k for one in corpus.members}
    styles = styled(list(k_of.values()))
    labelled = set[int]()
    for name, k in k_of.items():
        own = [point for point in corpus.spent if point.name == name]
        label = None if k in labelled else f"k {k}"
        labelled.add(k)
        y = [point.fvu for point in own]
        for axes, of in zip(panels, ("flops", "paper_flops"), strict=True):
            x = [getattr(point, of) for point in own]
            axes.plot(x, y, color=styles[k]["color"], linewidth=0.8, alpha=0.8, label=label)
            axes.plot(x[-1:], y[-1:], **styles[k])
            label = None
    panels[0].plot(
        [point.flops for point in corpus.frontier],
        [point.fvu for point in corpus.frontier],
        color="black", linewidth=1.4, drawstyle="steps-post", label="frontier",
    )  # fmt: skip
    panels[0].set(xlabel="training FLOPs", ylabel="held-out fvu")
    panels[1].set(xlabel="FLOPs as the paper counts them")
    for axes in panels:
        axes.set(xscale="log", yscale="log")
        axes.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
        plain_log_y(axes)
    figure.legend(loc="outside right upper")
    return figure


def _panels(
    members: Mapping[str, Finished],
    results: Sequence[Result],
    *,
    draw_one: Callable[..., None],
    finish: Callable[[Axes], None],
) -> Figure:
    """A panel for each dictionary size, a colour for each k."""
    sizes = sorted({one.n_latents for one in members.values()})
    columns = min(len(sizes), MOST_PANELS_IN_A_ROW)
    rows = math.ceil(len(sizes) / columns)
    figure = Figure(
        figsize=(max(3.1 * columns + 0.9, 5.4), 2.7 * rows + 0.4), layout="constrained"
    )
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    styles = styled([one.k for one in members.values()])
    for axes, size in zip(panels, sizes, strict=False):
        axes.set_title(f"{size:,} latents", loc="left", fontsize=9)
        for result in results:
            one = members[result.name]
            if one.n_latents == size:
                draw_one(axes, result, color=styles[one.k]["color"])
        finish(axes)
    for axes in panels[len(sizes) :]:
        axes.set_visible(False)
    for k, style in styles.items():
        panels[0].plot([], [], color=style["color"], label=f"k {k}")
    figure.legend(loc="outside right upper")
    return figure


def _curve(axes: Axes, result: Result, *, color: Any) -> None:
    assert result.config is not None, "of finished members"
    for split, line in (("held_out", "-"), ("train", ":")):
        points = result.curves.get(split, [])
        x = [point.step * result.config.batch_size for point in points if point.step]
        y = [point.fvu for point in points if point.step]
        axes.plot(x, y, color=color, linestyle=line, linewidth=1)


def _finish_curves(axes: Axes) -> None:
    axes.set(yscale="log", ylabel="fvu")
    axes.label_outer()
    axes.xaxis.set_major_formatter(matplotlib.ticker.EngFormatter())
    plain_log_y(axes)


def _density(axes: Axes, result: Result, *, color: Any) -> None:
    assert result.summary is not None, "of finished members"
    found = result.summary.get("density_histogram")  # runs of before 2026-11-23 have none
    if found:
        axes.stairs(found["n_latents"], found["log10_edges"], color=color, linewidth=1)


def _finish_density(axes: Axes) -> None:
    axes.set(ylabel="latents")
    axes.label_outer()
