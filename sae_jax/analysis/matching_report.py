"""All that is said of runs matched with one another: as numbers, as tables and in words."""

import csv
import functools
import hashlib
import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sae_jax.analysis import matching, splitting
from sae_jax.analysis.concepts import Concepts
from sae_jax.analysis.label_names import read_labels
from sae_jax.analysis.matching import WAYS, Nearest, Pair
from sae_jax.analysis.matching_runs import Run
from sae_jax.analysis.splitting import Step, Tree
from sae_jax.data.numbers import without_nan

FORMAT = 1
BINS = np.linspace(0, 1, 41).round(3)  # of the histograms of similarity
SHOWN = 5  # trees
LONGEST_NAME = 120  # of a file, before its hash
MEASURES = {"activation": "correlation", "decoder": "cosine"}


class Compared(NamedTuple):
    """The first run matched with each other; and from size to size, where all differ.

    Two runs of one size make a step, too: what training anew does without growing.
    """

    runs: list[Run]
    pairs: list[Pair]
    steps: list[Step]  # of splitting; empty where two of three or more runs are of one size
    direct: Step | None  # from the smallest size to the largest, of three or more


def compare(
    runs: Sequence[Run], *, seed: int = 0, say: Callable[[str], None] = print
) -> Compared:
    @functools.cache
    def pair(one: int, other: int) -> Pair:
        say(f"{runs[one].name} and {runs[other].name}")
        return matching.match(runs[one], runs[other], seed=seed)

    sizes = [run.stored.manifest.n_latents for run in runs]
    pairs = [pair(0, other) for other in range(1, len(runs))]
    if len(runs) > 2 and len(set(sizes)) < len(sizes):
        return Compared(list(runs), pairs, [], None)
    order = np.argsort(sizes).tolist()
    steps = [splitting.find_step(pair(*two)) for two in itertools.pairwise(order)]
    direct = splitting.find_step(pair(order[0], order[-1])) if len(runs) > 2 else None
    return Compared(list(runs), pairs, steps, direct)


def labels_of(run: Run) -> dict[int, str]:
    """Where `sae-jax label` has made them of this corpus."""
    return read_labels(
        run.folder / "features" / run.stored.folder.name,
        run_fingerprint=run.stored.manifest.run_fingerprint,
    )


def file_name(runs: Sequence[Run]) -> str:
    """Of what is written beside the first: the others' names, and a hash of where they lie.

    So runs of one name in two folders have files of their own.
    """
    others = [run.folder.absolute() for run in runs[1:]]
    digest = hashlib.sha256("\n".join(map(str, others)).encode()).hexdigest()[:8]
    return f"{'+'.join(folder.name for folder in others)[:LONGEST_NAME]}-{digest}"


def make(compared: Compared, *, concepts: Concepts | None, seed: int = 0) -> dict[str, Any]:
    """As the file has it: with null in the place of what is not known."""
    first, *others = compared.runs
    steps = compared.steps
    made = {
        "format": FORMAT,
        "data_fingerprint": first.stored.manifest.data_fingerprint,
        "seed": seed,
        **_who(first),
        "pairs": [
            _who(run) | {way: _matched(pair, way=way, seed=seed) for way in WAYS}
            for run, pair in zip(others, compared.pairs, strict=True)
        ],
        "universality": {"least": matching.SAME}
        | {way: matching.universality(compared.pairs, way=way, seed=seed) for way in WAYS},
        "splitting": _splitting(compared, concepts=concepts, seed=seed) if steps else None,
    }
    return dict(without_nan(made))


def _who(run: Run) -> dict[str, Any]:
    manifest = run.stored.manifest
    return {
        "run": run.name,
        "folder": str(run.folder),
        "run_fingerprint": manifest.run_fingerprint,
        "n_latents": manifest.n_latents,
        "k": manifest.k,
    }


def _matched(pair: Pair, *, way: str, seed: int) -> dict[str, Any]:
    real, null = pair.real[way], pair.null[way]
    return {"measure": MEASURES[way]} | {
        direction: matching.summarise(
            getattr(real, direction), getattr(null, direction), seed=seed
        )._asdict()
        | {"histogram": _histogram(getattr(real, direction), getattr(null, direction))}
        for direction in ("forward", "backward")
    }


def _histogram(real: Nearest, null: Nearest) -> dict[str, Any]:
    """Of the similarity to the nearest: how many latents in each bin."""
    counts = {
        name: np.histogram(np.clip(one.similarity[one.latent >= 0], 0, 1), BINS)[0].tolist()
        for name, one in (("n_latents", real), ("n_null", null))
    }
    return {"edges": BINS.tolist()} | counts


def _splitting(compared: Compared, *, concepts: Concepts | None, seed: int) -> dict[str, Any]:
    steps, direct = compared.steps, compared.direct
    runs = [step.smaller for step in steps] + [steps[-1].larger]
    labels = [labels_of(run) for run in runs]
    split = np.flatnonzero(steps[0].n_children(steps[0].parent) >= 2)
    drawn = np.random.default_rng(seed).permutation(split)[:SHOWN].tolist()
    return {
        "way": splitting.WAY,
        "least": splitting.LEAST[splitting.WAY],
        "sizes": [run.stored.manifest.n_latents for run in runs],
        "steps": [
            {
                "smaller": step.smaller.name,
                "larger": step.larger.name,
                **splitting.measure(step, seed=seed)._asdict(),
                "truth": splitting.follow_truth(step, concepts, seed=seed)
                if concepts
                else None,
            }
            for step in steps
        ],
        "consistency": splitting.consistency(steps, direct, seed=seed) if direct else None,
        # Drawn at random from the latents of the smallest run that have split.
        "trees": [
            _tree(splitting.grow(root, steps), runs=runs, labels=labels) for root in drawn
        ],
    }


def _tree(
    tree: Tree, *, runs: Sequence[Run], labels: Sequence[Mapping[int, str]]
) -> dict[str, Any]:
    return {
        "latent": tree.latent,
        "label": labels[0].get(tree.latent, ""),
        "n_on": int(runs[0].stored.n_on[tree.latent]),
        "similarity": tree.similarity,
        "children": [_tree(child, runs=runs[1:], labels=labels[1:]) for child in tree.children],
    }


def matches_as_csv(compared: Compared) -> str:
    """A line for each latent of the first run and each other run."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    ways = [f"{way}_{field}" for way in WAYS for field in ("latent", MEASURES[way], "mutual")]
    writer.writerow(["latent", "label", "n_on", "other", *ways])
    labels = labels_of(compared.runs[0])
    n_on = compared.runs[0].stored.n_on.tolist()
    for pair in compared.pairs:
        columns = [column for way in WAYS for column in _columns(pair.real[way].forward)]
        for latent, matched in enumerate(zip(*columns, strict=True)):
            head = latent, labels.get(latent, ""), n_on[latent], pair.other.name
            writer.writerow([*head, *matched])
    return out.getvalue()


def _columns(nearest: Nearest) -> tuple[list[str], list[str], list[str]]:
    """Empty where the latent is never on."""
    on = (nearest.latent >= 0).tolist()
    return (
        [str(i) if alive else "" for i, alive in zip(nearest.latent, on, strict=True)],
        [f"{x:.4f}" if alive else "" for x, alive in zip(nearest.similarity, on, strict=True)],
        [str(int(x)) if alive else "" for x, alive in zip(nearest.mutual, on, strict=True)],
    )


def links_as_csv(compared: Compared) -> str:
    """A line for each latent of a larger run that has a parent in the next smaller one."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    measure = MEASURES[splitting.WAY]
    writer.writerow(
        ["smaller", "parent", "parent_label", "larger", "child", "child_label", measure,
         "rows_shared"]
    )  # fmt: skip
    for step in compared.steps:
        over, under = labels_of(step.smaller), labels_of(step.larger)
        shares = splitting.rows_shared(step.links, step.smaller.stored, step.larger.stored)
        for (parent, child), shared in zip(step.links.tolist(), shares.tolist(), strict=True):
            writer.writerow(
                [step.smaller.name, parent, over.get(parent, ""), step.larger.name, child,
                 under.get(child, ""), f"{step.similarity[child]:.4f}", f"{shared:.4f}"]
            )  # fmt: skip
    return out.getvalue()
