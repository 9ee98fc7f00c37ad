"""The main measures of a run's quality beside their baselines, as tables.

made = json.loads(pathlib.Path("runs/first/quality/CORPUS.json").read_text())
quality_headline.headline(made)
"""

from collections.abc import Mapping
from typing import Any

from sae_jax.analysis.drawing import said
from sae_jax.analysis.tables import Table, with_interval

LEVEL = "0.5"  # of F1: a concept that features reach so much for is said to be covered


def trained_k(made: Mapping[str, Any]) -> int:
    """The k of training: as many principal directions are a baseline."""
    (name,) = (name for name in made["reconstruction"] if name.startswith("pca_"))
    return int(name.removeprefix("pca_"))


def headline(made: Mapping[str, Any]) -> Table:
    """Reconstruction, neighbours and probes: of the autoencoder and of baselines."""
    reconstruction = dict(made["reconstruction"])
    reconstruction["reconstruction"] = reconstruction.pop("autoencoder")
    retrieval = {name: one for name, one in made["retrieval"].items() if isinstance(one, dict)}
    found = {
        "fvu": {name: one["fvu"] for name, one in reconstruction.items()},
        "cosine": {name: one["cosine"] for name, one in reconstruction.items()},
        "recall@10": {name: one["recall"] for name, one in retrieval.items()},
        "nDCG@10": {name: one["ndcg"] for name, one in retrieval.items()},
    }
    if "probes" in made:
        probes = made["probes"]
        found[f"probe accuracy, {probes['field']}"] = probes["accuracy"]
    kinds = (
        "reconstruction",
        "codes",
        "untrained",
        f"pca_{trained_k(made)}",
        "mean",
        "embeddings",
    )
    rows = [
        [
            said(kind),
            *(with_interval(own[kind]) if kind in own else "" for own in found.values()),
        ]
        for kind in kinds
        if any(kind in own for own in found.values())
    ]
    return Table(["held-out rows", *found], rows)


def sparsity(made: Mapping[str, Any]) -> Table:
    """How many latents are on, how often each is, and how its two directions agree."""
    own = made["sparsity"]
    density, alignment = own["density_quantiles"], own["encoder_decoder_cosine"]
    rows = [
        ["L0", with_interval(own["l0"], form=".1f")],
        ["dead", f"{100 * own['dead_fraction']:.2f} %"],
        ["density: 5 %, median, 95 %", _three(density, form=".5f")],
        ["encoder–decoder cosine: mean", f"{alignment['mean']:.3f}"],
        ["encoder–decoder cosine: 5 %, median, 95 %", _three(alignment["quantiles"])],
    ]
    return Table(["sparsity", ""], rows)


def _three(quantiles: Mapping[str, float], *, form: str = ".3f") -> str:
    return ", ".join(format(quantiles[q], form) for q in ("0.05", "0.5", "0.95"))


def features(made: Mapping[str, Any], *, targets: str) -> Table:
    """Held-out F1 of "concepts" or "classes" by kind and number of features."""
    found = made[targets]
    numbers = list(found["latents"])
    rows = []
    for kind, by_number in found.items():
        only = by_number.get("all")
        shown = [by_number.get(number) for number in numbers]
        # A direction fitted to each has one number, however many features there are.
        values = [with_interval(one["f1"]) if one else "" for one in shown] + [
            with_interval(only["f1"]) if only else ""
        ]
        shares = [
            f"{100 * one['covered'][LEVEL]:.1f} %" if one else ""
            for one in (shown[0] or only, shown[-1] or only)
        ]
        rows.append([said(kind), *values, *shares])
    heads = [f"{n} {'feature' if n == '1' else 'features'}" for n in numbers]
    covered = f"F1 ≥ {LEVEL} with"
    return Table(
        [
            "kind",
            *heads,
            "fitted to each",
            f"{covered} {numbers[0]}",
            f"{covered} {numbers[-1]}",
        ],
        rows,
    )
