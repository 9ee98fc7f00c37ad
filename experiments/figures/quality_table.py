"""The README's table of quality: what `sae-jax evaluate` and `label` wrote, run by run.

python experiments/figures/quality_table.py "WordNet, 3,072" runs/a "biomedical, 3,072" runs/b
Time: a second. Of each run the codes of its own corpus.
"""

import json
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from sae_jax.analysis import quality_table
from sae_jax.analysis.intervals import mean_with_interval
from sae_jax.data.numbers import without_nan

LEFT_OUT = "robust_"  # too many; they stand in the CSV
QUANTILES = ("quantile 0.05", "quantile 0.5", "quantile 0.95")
MEASURES = {
    "fvu": "fvu", "cosine": "cosine of row and reconstruction", "l0": "L0",
    "dead_fraction": "dead latents", "density": "density,",
    "encoder_decoder_cosine": "cosine of encoder and decoder",
    "progressive_fvu": "fvu of 2,048 rows at",
    "recall@10": "recall@10", "ndcg@10": "nDCG@10", "probe_accuracy": "linear probe, accuracy",
    "concepts_f1": "concepts, F1 of", "classes_f1": "classes, F1 of",
    "labelled": "latents with a label",
    "label_f1_easy": "label, F1 easy", "label_f1_hard": "label, F1 hard",
    "label_auroc_easy": "label, AUROC easy", "label_auroc_hard": "label, AUROC hard",
}  # fmt: skip
OF = {"autoencoder": "", "untrained": "untrained autoencoder"}


def main(arguments: list[str]) -> None:
    pairs = zip(arguments[::2], arguments[1::2], strict=True)
    columns = {name: read(pathlib.Path(run)) for name, run in pairs}
    order = list(MEASURES)
    known = dict.fromkeys(key for own in columns.values() for key in own)
    keys = sorted(known, key=lambda key: order.index(key[0]))
    print("| | | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 2) + "|")
    before = ""
    for key in keys:
        said = said_of(key)
        shown = [columns[name].get(key, "") for name in columns]
        name = said[0] if said[0] != before else ""
        print(f"| {name} | {said[1]} | {' | '.join(shown)} |")
        before = said[0]


def read(run: pathlib.Path) -> dict[tuple[str, str, str], str]:
    """Of each measure, what of, and number of features: the number as it is shown."""
    corpus = pathlib.Path(json.loads((run / "config.json").read_text())["shards"]).name
    (path,) = (run / "quality").glob(f"{corpus}-*.json")
    rows = quality_table.rows(json.loads(path.read_text()))
    found = {
        row[:3]: shown(row._asdict())
        for row in rows
        if not row.measure.startswith(LEFT_OUT)
        and ("quantile" not in row.at or row.at in QUANTILES)
    }
    labels = (run / "features" / path.stem / "labels.jsonl").read_text().splitlines()
    judged = [one for one in map(json.loads, labels) if one["state"] == "ok"]
    for measure in ("f1", "auroc"):
        for kind in ("easy", "hard"):
            scores = np.array([one[kind][measure] for one in judged])
            made = without_nan(mean_with_interval(scores, seed=0))
            found[f"label_{measure}_{kind}", "keywords", ""] = shown(made)
    found["labelled", "keywords", ""] = f"{len(judged):,} of {len(labels):,}"
    return found


def shown(one: Mapping[str, Any]) -> str:
    if one["low"] is None:
        return f"{one['value']:.3g}"
    if one["low"] == one["high"]:
        return f"{one['value']:.3f}"
    return f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})"


def said_of(key: tuple[str, str, str]) -> tuple[str, str]:
    measure, of, at = key
    of = OF.get(of, of.replace("_", "-"))
    n = "" if at in ("", "mean", "all") else at
    return MEASURES[measure] + (f" {n}" if n else ""), of


if __name__ == "__main__":
    main(sys.argv[1:])
