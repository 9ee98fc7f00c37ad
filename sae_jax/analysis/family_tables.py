"""Families of a run and how much they say, as tables.

made = json.loads(pathlib.Path("runs/first/families/CORPUS-ours.json").read_text())
family_tables.metrics(made)
"""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from sae_jax.analysis.tables import Table, number

SHOWN = 10  # families
MOST_CHILDREN = 12  # named of each
RATIOS = {
    "parent_ratio": "R: parent–child overlap over child–child",
    "block_ratio": "overlap inside over between families",
    "block_ratio_activations": "the same, of activations' cosine",
}


def metrics(made: Mapping[str, Any]) -> Table:
    """Each beside what latents that trade places at random give."""
    rows = []
    for name, said in RATIOS.items():
        one = made["metrics"][name]
        values = (number(one[part], form=".2f") for part in ("value", "null", "null_high"))
        rows.append([said, *values])
    return Table(["measure", "value", "null, mean", "null, 97.5 %"], rows)


def summary(made: Mapping[str, Any]) -> str:
    own = made["metrics"]
    return (
        f"{own['n_families']:,} families of {own['mean_size']:.1f} children on average; "
        f"{100 * own['membership']:.1f} % of the latents that are ever on are in one."
    )


def agreement(made: Mapping[str, Any]) -> Table | None:
    """With the corpus's own hierarchy; None where it has none."""
    found = made["agreement"]
    rows = [
        [
            name, f"{one['n_edges']:,}", f"{100 * one['precision']:.1f} %",
            f"{100 * one['null']:.1f} %", f"{100 * one['null_high']:.1f} %",
            f"{100 * one['recall']:.2f} %",
        ]
        for name, one in found.items()
        if isinstance(one, Mapping)
    ]  # fmt: skip
    head = ["edges of", "between concepts", "right", "null, mean", "null, 97.5 %", "recall"]
    return Table(head, rows) if rows else None


def largest(made: Mapping[str, Any], *, names: Mapping[int, str]) -> Table:
    """The largest families; `names` are latents' labels, as far as there are."""
    rows = []
    for one in made["families"][:SHOWN]:
        children = one["children"]
        shown = "; ".join(names.get(child, str(child)) for child in children[:MOST_CHILDREN])
        more = len(children) - MOST_CHILDREN
        rows.append(
            [
                f"{one['parent']} {names.get(one['parent'], '')}".rstrip(),
                shown + (f"; and {more:,} more" if more > 0 else ""),
                f"{len(children):,}",
            ]
        )
    return Table(["parent", "children, most often on first", "n"], rows, n_text_columns=2)


def to_csv(found: Sequence[Mapping[str, Any]], *, names: Mapping[int, str]) -> str:
    """A line for each latent of each family of these files; families are counted from 0."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "family", "role", "latent", "label"])
    for made in found:
        for place, one in enumerate(made["families"]):
            members = [("parent", one["parent"]), *(("child", i) for i in one["children"])]
            for role, latent in members:
                writer.writerow([made["method"], place, role, latent, names.get(latent, "")])
    return text.getvalue()
