"""Figures of labels' scores, from what `sae-jax label` has written as JSON lines.

lines = pathlib.Path("runs/first/features/CORPUS/labels.jsonl").read_text().splitlines()
label_figures.draw_scores([json.loads(line) for line in lines]).savefig("labels.png")
"""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from sae_jax.analysis.drawing import NULL, REAL, STYLE
from sae_jax.analysis.label_tables import Record, score_of, scores_of

BINS = np.linspace(0, 1, 21)


def draw_scores(records: Sequence[Record]) -> Figure:
    """How many labels reach which F1: easy and hard, or as a language model's judge has it."""
    names = [name for name in scores_of(records) if name.startswith("F1")]
    looks: tuple[dict[str, Any], ...] = (
        {"color": NULL, "fill": True},
        {"color": REAL, "linewidth": 1.6},
    )
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3), layout="constrained")
        axes = figure.subplots()
        for name, look in zip(names, looks[2 - len(names) :], strict=True):
            known = [value for one in records if (value := score_of(one, name)) is not None]
            mean = f", mean {np.mean(known):.3f}" if known else ""
            axes.stairs(np.histogram(known, BINS)[0], BINS, label=f"{name}{mean}", **look)
        axes.set(xlim=(0, 1), xlabel="F1 of a label on rows that did not name it")
        axes.set_ylabel("latents")
        figure.legend(loc="outside upper left", ncols=2)
    return figure
