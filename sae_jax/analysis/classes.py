"""The classes of a corpus's rows: one of a few for each, such as WordNet's lexical files."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from scipy import sparse  # type: ignore[import-untyped]

from sae_jax.analysis.concepts import LEAST_ROWS, Concepts
from sae_jax.analysis.records import all_records
from sae_jax.data.shards import ShardReader
from sae_jax.errors import UsageError

FIELDS = ("lexname", "ontology", "class", "label", "category")  # looked for in this order
MOST_CLASSES = 200  # a field with more values is an id and no class


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
    """From a field of the records; without a name, from the first of FIELDS that has classes.

    Raises:
        UsageError: there are no records, or no such field, or it has no classes.
    """
    wanted = (field,) if field else FIELDS
    values = _read(reader, wanted=wanted)
    tried = []
    for name, (names, of_row) in values.items():
        sizes = np.bincount(of_row[of_row >= 0], minlength=len(names))
        kept = np.flatnonzero(sizes >= least_rows)
        tried.append(f"the field {name} has {len(kept):,} values")
        if 2 <= len(kept) <= MOST_CLASSES:
            kept = kept[np.argsort(-sizes[kept], kind="stable")]
            place = np.full(len(names) + 1, -1)  # the last for rows of none
            place[kept] = np.arange(len(kept))
            return Classes(name, [names[i] for i in kept], place[of_row])
    raise UsageError(
        f"{reader.folder}: {' and '.join(tried)} with at least {least_rows} rows; expected 2 "
        f"to {MOST_CLASSES:,} classes. Name another field with --classes."
    )


def _read(
    reader: ShardReader, *, wanted: Sequence[str]
) -> dict[str, tuple[list[str], Int[np.ndarray, " n_rows"]]]:
    """Of each of these fields its values, and by row which of them it has; −1: none.

    By number, since one long text among the values would make an array of texts as wide.
    """
    numbers: dict[str, dict[str, int]] = {}
    found: dict[str, list[int]] = {}
    for record in all_records(reader, wanted="classes"):
        if not numbers:
            numbers = {name: {} for name in wanted if name in record}
            found = {name: [] for name in numbers}
            if not numbers:
                raise UsageError(
                    f"{reader.folder}: its records have the fields {', '.join(record)}; "
                    f"expected {' or '.join(wanted)}, the class of each row. Name one with "
                    "--classes."
                )
        for name, known in numbers.items():
            value = record.get(name)
            number = -1 if value is None else known.setdefault(str(value), len(known))
            found[name].append(number)
    return {name: (list(known), np.array(found[name])) for name, known in numbers.items()}
