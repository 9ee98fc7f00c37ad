"""The classes of a corpus's rows: one of a few for each, such as WordNet's lexical files."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from scipy import sparse  # type: ignore[import-untyped]

from sae_jax.analysis.concepts import LEAST_ROWS, Concepts
from sae_jax.analysis.records import all_records
from sae_jax.data.shards import ShardReader
from sae_jax.errors import UsageError

FIELDS = ("lexname", "ontology", "class", "label", "category")  # looked for in this order
MOST_CLASSES = 1_000  # a field with more values is an id and no class


class Classes(NamedTuple):
    """With enough rows, the largest first."""

    field: str
    names: list[str]
    of_row: Int[np.ndarray, " n_rows"]  # −1: of none of them

    def as_concepts(self) -> Concepts:
        """Each class a concept of its own, none above another."""
        rows = np.flatnonzero(self.of_row >= 0)
        shape, n = (len(self.of_row), len(self.names)), len(self.names)
        ones = np.ones(len(rows), np.int32)
        members = sparse.csr_array((ones, (rows, self.of_row[rows])), shape=shape)
        return Concepts(self.names, self.names, members, sparse.csr_array((n, n), dtype=int))


def read_classes(
    reader: ShardReader, *, field: str = "", least_rows: int = LEAST_ROWS
) -> Classes:
    """From a field of the records; without a name, from the first of FIELDS that is there.

    Raises:
        UsageError: there are no records, or no such field, or it has no classes.
    """
    chosen, found = "", []
    for record in all_records(reader, wanted="classes"):
        if not chosen:
            chosen = next((name for name in _wanted(field) if name in record), "")
            if not chosen:
                raise UsageError(
                    f"{reader.folder}: its records have the fields {', '.join(record)}; "
                    f"expected {' or '.join(_wanted(field))}, the class of each row. Name one "
                    "with --classes."
                )
        found.append(str(record.get(chosen)))
    values = np.array(found)
    names, of_row, sizes = np.unique(values, return_inverse=True, return_counts=True)
    kept = np.flatnonzero((sizes >= least_rows) & (names != "None"))
    if not 2 <= len(kept) <= MOST_CLASSES:
        raise UsageError(
            f"{reader.folder}: the field {chosen} has {len(kept):,} values with at least "
            f"{least_rows} rows; expected 2 to {MOST_CLASSES:,} classes. Name another field "
            "with --classes."
        )
    kept = kept[np.argsort(-sizes[kept], kind="stable")]
    place = np.full(len(names), -1)
    place[kept] = np.arange(len(kept))
    return Classes(chosen, [str(names[i]) for i in kept], place[of_row])


def _wanted(field: str) -> tuple[str, ...]:
    return (field,) if field else FIELDS
