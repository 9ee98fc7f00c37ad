"""Draws docs/recipes.svg: held-out fvu over time, our defaults against the paper's recipe.

pip install matplotlib, then, in the same place and at a quiet moment:
for recipe in wordnet wordnet_paper; do sae-jax train --config=experiments/$recipe.py \
    --config.shards=DATA/wordnet-glosses --config.checkpoint_every_steps=64 \
    --workdir=runs/figure-$recipe; done
python experiments/figures/recipes.py runs/figure-wordnet runs/figure-wordnet_paper
"""

import json
import pathlib
import sys

import matplotlib.pyplot as plt

OUT = pathlib.Path(__file__).parents[2] / "docs" / "recipes.svg"


def curve(run: pathlib.Path) -> tuple[list[float], list[float]]:
    """Examples seen, in thousands, and held-out fvu."""
    batch_size = json.loads((run / "config.json").read_text())["batch_size"]
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    points = [(line["step"], line["fvu"]) for line in lines if line["split"] == "held_out"]
    return [step * batch_size / 1_000 for step, _ in points], [fvu for _, fvu in points]


def main() -> None:
    ours, paper = (pathlib.Path(word) for word in sys.argv[1:3])
    baselines = json.loads((ours / "summary.json").read_text())["baselines_held_out_fvu"]
    pca = baselines["pca_32"]
    figure, axes = plt.subplots(figsize=(7.2, 3.6), layout="constrained")
    for run, name, colour in (
        (ours, "sae_jax defaults", "#1b6ca8"),
        (paper, "the paper's recipe (lr 1e-4, constant)", "#c8553d"),
    ):
        x, y = curve(run)
        axes.plot(x, y, color=colour, linewidth=2)
        axes.annotate(
            f"{name}: {y[-1]:.3f}", (x[-1], y[-1]), xytext=(0, 18), color=colour,
            textcoords="offset points", ha="right",
        )  # fmt: skip
    axes.axhline(pca, color="#777777", linestyle="--", linewidth=1)
    axes.annotate(
        f"PCA with 32 directions: {pca:.3f}", (0, pca), xytext=(4, 4), color="#777777",
        textcoords="offset points",
    )  # fmt: skip
    axes.set(
        xlabel="examples seen, thousands (10 passes over the WordNet glosses)",
        ylabel="held-out fvu",
        ylim=(0, 0.72),
        xlim=(0, None),
        title="Variance that 32 of 3,072 latents leave unexplained",
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(OUT, facecolor="white")


if __name__ == "__main__":
    main()
