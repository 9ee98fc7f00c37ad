"""Draws a time-to-quality file: python -m harness.plot FILE.json FILE.svg.

It needs matplotlib alone, and runs in the peers' environment, which has it.
"""

import json
import pathlib
import sys
from typing import Any

OURS, PAPER, PEERS = "#1b6ca8", "#c8553d", ("#8a8a8a", "#b08f4f", "#6b8f71", "#8d6a9f")
DASHES = ("-", "--", ":", "-.")


def draw(found: dict[str, Any], *, picture: pathlib.Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    runs = {name: run for name, run in found["runs"].items() if "points" in run}
    figure, axes = plt.subplots(figsize=(9, 4.4), layout="constrained")
    n_peers = 0
    for name, run in sorted(runs.items(), key=lambda item: item[1]["fvu"]):
        style: dict[str, Any] = {"color": PEERS[n_peers % 4], "linewidth": 1.3}
        if name.startswith("ours"):
            style = {"color": OURS, "linewidth": 2.2}
        elif name == "dense_paper":
            style = {"color": PAPER, "linewidth": 2.2}
        else:
            style["linestyle"] = DASHES[n_peers // 4 % 4]
            n_peers += 1
        x = [point["seconds"] for point in run["points"]]
        y = [point["fvu"] for point in run["points"]]
        axes.plot(x, y, label=f"{name}: {y[-1]:.3f} in {x[-1]:.0f} s", **style)
    if "dense_paper" in runs:
        axes.axhline(runs["dense_paper"]["fvu"], color=PAPER, linewidth=0.8, linestyle=":")
    axes.set(
        xscale="log",
        xlabel="seconds of training (without evaluation and compilation)",
        ylabel="held-out fvu",
        ylim=(0, 1),
        title="WordNet glosses, 3,072 latents, k 32: quality against time",
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(picture, facecolor="white", metadata={"Date": None})


if __name__ == "__main__":
    source, target = map(pathlib.Path, sys.argv[1:3])
    draw(json.loads(source.read_text()), picture=target)
