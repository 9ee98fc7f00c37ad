"""What runs matched with one another show, as tables; in words, matching_words.py says it.

made = json.loads(pathlib.Path("runs/a/matching/CORPUS/b-0123abcd.json").read_text())
matching_tables.similarities(made)
"""

from collections.abc import Mapping
from typing import Any

from sae_jax.analysis.matching import WAYS
from sae_jax.analysis.matching_words import MOST_BY_NUMBER
from sae_jax.analysis.tables import Table, number, with_interval, with_null

STEPS = {
    "split": "split into two or more",
    "one": "go on as one",
    "vanished": "vanish",
    "novel": "of the larger's: new",
    "rows_shared": "rows of a child that its parent is on for",
}


def similarities(made: Mapping[str, Any]) -> Table:
    """To the nearest latent, in both directions of each pair; in brackets by chance."""
    levels = list(made["pairs"][0][WAYS[0]]["forward"]["mutual"])
    rows = []
    for pair in made["pairs"]:
        for direction, source, target in (("forward", made, pair), ("backward", pair, made)):
            for way in WAYS:
                own = pair[way][direction]
                median = own["median"]
                rows.append(
                    [
                        f"{source['run']} to {target['run']}", way,
                        f"{own['n_latents']:,} of {own['n_latents'] + own['n_dead']:,}",
                        f"{with_interval(median)}; {median['null']:.3f}",
                        *(_share(own["mutual"][level]) for level in levels),
                    ]
                )  # fmt: skip
    return Table(
        ["", "by", "latents on", "median; by chance"]
        + [f"mutual ≥ {level}" for level in levels],
        rows,
        n_text_columns=2,
    )


def begun_alike(made: Mapping[str, Any]) -> dict[str, float]:
    """Runs that began with the same directions: the share of matches with one number in both.

    How alike they are comes in part of that.
    """
    shares = {pair["run"]: pair["decoder"]["forward"]["same_number"] for pair in made["pairs"]}
    return {run: share for run, share in shares.items() if share > MOST_BY_NUMBER}


def _share(one: Mapping[str, float]) -> str:
    return f"{100 * one['value']:.1f} % ({100 * one['null']:.1f} %)"


def universality(made: Mapping[str, Any]) -> Table | None:
    """Which latents are in every other run, or in any; None where there is one other."""
    if len(made["pairs"]) < 2:
        return None
    found = made["universality"]
    rows = [[way, *(with_null(found[way][of]) for of in ("every", "any"))] for way in WAYS]
    head = f"mutual match from {found['least']} on, % of latents"
    return Table([head, f"in all {len(made['pairs'])} runs", "in any"], rows)


def splitting(made: Mapping[str, Any]) -> Table | None:
    """What becomes of latents from each size to the next; None where no sizes follow."""
    found = made["splitting"]
    if not found:
        return None
    rows = [
        [f"{said}, %", *(with_null(step[name]) for step in found["steps"])]
        for name, said in STEPS.items()
    ]
    rows += [
        [f"{STEPS[name]}, links scattered at random, %"]
        + [f"{100 * step['scattered'][name]:.1f}" for step in found["steps"]]
        for name in ("split", "one", "vanished")
    ]
    rows.append(
        ["children, mean"]
        + [number(s["children"]["value"], form=".2f") for s in found["steps"]]
    )
    rows.append(["children, most"] + [str(s["most_children"]) for s in found["steps"]])
    truths = [step["truth"] or {"n_links": 0} for step in found["steps"]]
    if any(truth["n_links"] for truth in truths):
        rows += [
            ["links between concepts", *(f"{truth['n_links']:,}" for truth in truths)],
            ["of these the same, or one above to one below, %", *map(_right, truths)],
        ]
    heads = [f"{step['smaller']} to {step['larger']}" for step in found["steps"]]
    return Table(["share (by chance)", *heads], rows)


def _right(truth: Mapping[str, Any]) -> str:
    if not truth["n_links"]:
        return ""
    return f"{100 * (truth['same'] + truth['above']):.1f} ({100 * truth['null']:.1f})"
