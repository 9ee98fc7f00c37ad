"""What the labels of a run are worth, and some of them, as tables.

lines = pathlib.Path("runs/first/features/CORPUS/labels.jsonl").read_text().splitlines()
label_tables.scores(label_tables.summarise([json.loads(line) for line in lines]))
"""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sae_jax.analysis.intervals import mean_with_interval
from sae_jax.analysis.tables import Table, number, with_interval
from sae_jax.data.numbers import without_nan

Record = Mapping[str, Any]  # a line of labels.jsonl or llm-labels.jsonl
SHOWN = 10  # labels drawn at random
SEED = 0  # of that, and of intervals
# Each score by where it stands in a record. What of "scores" has intervals is from a model.
KEYWORDS = {
    "F1, easy": ("easy", "f1"),
    "AUROC, easy": ("easy", "auroc"),
    "F1, hard": ("hard", "f1"),
    "AUROC, hard": ("hard", "auroc"),
}
LLM = {
    "F1": ("scores", "f1"),
    "Pearson": ("scores", "pearson"),
    "AUROC": ("scores", "auroc"),
}


class Mean(NamedTuple):
    """Of a score over latents, with its interval by bootstrap over them."""

    n: int  # latents that have it
    value: float
    low: float  # NaN: of too few latents
    high: float


class Summary(NamedTuple):
    """Of all labels of one method."""

    n_latents: int
    states: dict[str, int]  # how many latents are in each, the most first
    scores: dict[str, Mean]


def score_of(record: Record, score: str) -> float | None:
    """None where this label has none."""
    part, name = (KEYWORDS | LLM)[score]
    found = (record.get(part) or {}).get(name)
    value = found["value"] if isinstance(found, Mapping) else found
    return None if value is None else float(value)


def scores_of(records: Sequence[Record]) -> Sequence[str]:
    """The scores that labels of this method have."""
    return list(LLM if any(record["method"] == "llm" for record in records) else KEYWORDS)


def summarise(records: Sequence[Record]) -> Summary:
    """Of the lines of labels.jsonl, or of llm-labels.jsonl."""
    states = Counter(record["state"] for record in records)
    means = {}
    for name in scores_of(records):
        known = [value for one in records if (value := score_of(one, name)) is not None]
        if known:
            means[name] = Mean(len(known), *mean_with_interval(np.array(known), seed=SEED))
    return Summary(len(records), dict(states.most_common()), means)


def scores(summary: Summary) -> Table:
    """The mean of each score over latents, with its interval."""
    rows = [
        [name, with_interval(without_nan(one)), f"{one.n:,}"]
        for name, one in summary.scores.items()
    ]
    return Table(["score", "mean over latents", "latents"], rows)


def states(summary: Summary) -> str:
    """How many latents are labelled, and why the others are not."""
    return f"{summary.n_latents:,} latents: " + ", ".join(
        f"{n:,} {state}" for state, n in summary.states.items()
    )


def models(records: Sequence[Record]) -> str:
    """Who named the latents and who judged the names; empty where no model did."""
    found = {
        f"{one['model']}, judged by {one['judge_model']}" for one in records if "model" in one
    }
    return "; ".join(sorted(found))


def drawn(records: Sequence[Record], *, most: int = SHOWN) -> list[Record]:
    """Some that are labelled, drawn at random; the same ones each time."""
    named = [record for record in records if record["state"] == "ok"]
    chosen = np.random.default_rng(SEED).permutation(len(named))[:most]
    return [named[i] for i in sorted(chosen.tolist())]


def examples(records: Sequence[Record]) -> Table:
    """Labels drawn at random, good and bad, with their scores."""
    names = scores_of(records)
    rows = [
        [str(one["latent"]), one["text"], *(number(score_of(one, name)) for name in names)]
        for one in drawn(records)
    ]
    return Table(["latent", "label", *names], rows, n_text_columns=2)


def to_csv(records: Sequence[Record]) -> str:
    """A line for each latent and method."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [*KEYWORDS, *LLM]
    writer.writerow(["latent", "method", "state", "label", *names])
    for record in records:
        own = ["" if (value := score_of(record, name)) is None else value for name in names]
        writer.writerow(
            [record["latent"], record["method"], record["state"], record["text"], *own]
        )
    return text.getvalue()
