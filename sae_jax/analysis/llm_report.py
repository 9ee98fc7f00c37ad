"""The file of labels by a language model, and what is said of them."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from sae_jax.analysis.answers import KeptChat
from sae_jax.analysis.intervals import mean_with_interval
from sae_jax.analysis.llm_labels import LlmLabel
from sae_jax.data.manifest import write_atomically
from sae_jax.data.numbers import to_json

FILE = "llm-labels.jsonl"
YES_TO_ALL = 2 / 3  # F1 of a judge who says yes to each text: half of them are on
WHICH = ("run_fingerprint", "data_fingerprint")


def write(folder: pathlib.Path, labels: Sequence[LlmLabel], *, of: dict[str, Any]) -> int:
    """A line for each latent, in their order; `of` says of which weights, rows and models.

    Lines of other latents stay where all that `of` says holds for them, too, so that a mean
    is never of two models; and so does one that is ok where the new one only failed. How many
    of the same weights and rows, but asked for otherwise, went is returned.
    """
    path = folder / FILE
    read = map(json.loads, path.read_text().splitlines() if path.exists() else ())
    lines = [line for line in read if all(line[name] == of[name] for name in WHICH)]
    records = {
        line["latent"]: line for line in lines if all(line.get(name) == of[name] for name in of)
    }
    n_left_out = len(lines) - len(records)
    for label in labels:
        old = records.get(label.latent)
        if not (label.state == "failed" and old and old["state"] == "ok"):
            records[label.latent] = label.as_json() | of
    text = "".join(to_json(records[latent]) for latent in sorted(records))
    write_atomically(path, text.encode())
    return n_left_out


def describe_left_out(n: int) -> str:
    return (
        f"{n:,} labels of another model, endpoint, seed or parameters were left out of {FILE}; "
        "with those the same command makes them again, from kept answers."
    )


def describe(labels: Sequence[LlmLabel], chat: KeptChat, *, most: int, seed: int) -> str:
    """How many have a label, how well these hold, what it took, and some drawn at random."""
    states = [label.state for label in labels]
    counts = ", ".join(f"{states.count(state):,} {state}" for state in sorted(set(states)))
    lines = [f"{len(labels):,} latents: {counts}", *_problems(labels), *_means(labels)]
    lines.append(chat.describe())
    named = [label for label in labels if label.scores]
    drawn = np.random.default_rng(seed).permutation(len(named))[:most].tolist()
    lines.append(f"{len(drawn)} of them, drawn at random:")
    for label in (named[i] for i in drawn):
        assert label.scores, "chosen so"
        f1, auroc = label.scores.f1.value, label.scores.auroc.value
        lines.append(f"  latent {label.latent}: {label.text} (F1 {f1:.2f}, AUROC {auroc:.2f})")
    return "\n".join(lines)


def _problems(labels: Sequence[LlmLabel]) -> list[str]:
    """One reason of each state that is not ok, and what can be done."""
    lines = []
    for state in sorted({label.state for label in labels} - {"ok"}):
        first = next(label for label in labels if label.state == state)
        again = " The same command asks for them again." if state == "failed" else ""
        lines.append(f"  {state}, such as latent {first.latent}: {first.reason}.{again}")
    return lines


def _means(labels: Sequence[LlmLabel]) -> list[str]:
    known = [label.scores for label in labels if label.scores]
    lines = []
    for name, said in (
        ("f1", f"F1 (yes to every text: {YES_TO_ALL:.3f})"),
        ("pearson", "Pearson"),
        ("auroc", "AUROC"),
    ):
        values = [one.value for scores in known if (one := getattr(scores, name))]
        if not values:
            continue
        mean = mean_with_interval(np.array(values), seed=0)
        n = len(known) - len(values)
        alike = f"; {n:,} have none: their judge said the same of all texts" if n else ""
        lines.append(f"  {said} {mean}, mean of {len(values):,}{alike}")
    return lines
