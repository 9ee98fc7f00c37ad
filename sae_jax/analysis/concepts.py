"""The true concepts of a corpus whose rows stand in a hierarchy: WordNet, or an ontology.

A row belongs to the concept that it is, and to all concepts above it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int
from scipy import sparse  # type: ignore[import-untyped]

from sae_jax.analysis.records import all_records
from sae_jax.data.shards import ShardReader
from sae_jax.errors import UsageError

LEAST_ROWS = 20  # of a concept that features are measured by
# A record's own id, and the ids of what is above it: directly, or all of it.
HIERARCHIES = (("synset", "hypernym_ids"), ("id", "parents"))


class Concepts(NamedTuple):
    """Concepts with enough rows, the largest first."""

    ids: list[str]
    names: list[str]
    members: sparse.csr_array  # [n_rows, n_concepts], 1 where the row belongs to the concept
    above: sparse.csr_array  # [n_concepts, n_concepts], 1 where the second is above the first

    @property
    def sizes(self) -> Int[np.ndarray, " n_concepts"]:
        """How many rows belong to each."""
        return np.asarray(self.members.sum(axis=0)).ravel().astype(np.int64)


def read_concepts(reader: ShardReader, *, least_rows: int = LEAST_ROWS) -> Concepts:
    """From the records beside the embeddings.

    Raises:
        UsageError: there are none, or they name no hierarchy.
    """
    ids, names, parents = [], [], {}
    for record in all_records(reader, wanted="concepts"):
        own, over = _fields(record, reader=reader)
        ids.append(str(record[own]))
        names.append(_name(record))
        parents[ids[-1]] = [str(parent) for parent in record[over] or ()]
    return make_concepts(ids, names=names, parents=parents, least_rows=least_rows)


def _fields(record: Mapping[str, Any], *, reader: ShardReader) -> tuple[str, str]:
    for own, over in HIERARCHIES:
        if own in record and isinstance(record.get(over), list):
            return own, over
    known = " or ".join(f"{own} and {over}" for own, over in HIERARCHIES)
    raise UsageError(
        f"{reader.folder}: its records have the fields {', '.join(record)}; a hierarchy needs "
        f"{known}, a list of ids."
    )


def _name(record: Mapping[str, Any]) -> str:
    return str(record.get("name") or str(record.get("text", "")).split(":", 1)[0])


def make_concepts(
    ids: Sequence[str],
    *,
    names: Sequence[str],
    parents: Mapping[str, Sequence[str]],
    least_rows: int,
) -> Concepts:
    """Of rows with these ids; parents may be the direct ones or all that are above."""
    row_of = {concept: row for row, concept in enumerate(ids)}
    over = _closure(parents, known=row_of)
    pairs = [(row, row_of[concept]) for row, own in enumerate(ids) for concept in over[own]]
    pairs += [(row, row) for row in range(len(ids))]
    rows, columns = np.array(sorted(set(pairs))).T
    shape = len(ids), len(ids)
    belongs = sparse.csr_array((np.ones(len(rows), np.int32), (rows, columns)), shape=shape)
    sizes = np.asarray(belongs.sum(axis=0)).ravel()
    kept = np.flatnonzero(sizes >= least_rows)
    kept = kept[np.argsort(-sizes[kept], kind="stable")]
    named = kept.tolist()
    members = belongs[:, kept]
    above = members[kept].tolil()
    above.setdiag(0)
    return Concepts(
        [ids[i] for i in named], [names[i] for i in named], members.tocsr(), above.tocsr()
    )


def _closure(
    parents: Mapping[str, Sequence[str]], *, known: Mapping[str, int]
) -> dict[str, set[str]]:
    """Of each id all that is above it, of what has a row of its own."""
    found: dict[str, set[str]] = {}

    def above(start: str) -> set[str]:
        waiting, seen = [start], set[str]()
        while waiting:
            for parent in parents.get(waiting.pop(), ()):
                if parent in seen or parent not in known:
                    continue
                seen.add(parent)
                if parent in found:
                    seen |= found[parent]
                else:
                    waiting.append(parent)
        return seen - {start}

    for concept in known:
        found[concept] = above(concept)
    return found


def together(one: Concepts, other: Concepts) -> Concepts:
    """Those of one, then those of the other, as if of one hierarchy."""
    return Concepts(
        one.ids + other.ids,
        one.names + other.names,
        sparse.hstack([one.members, other.members]).tocsr(),
        sparse.block_diag([one.above, other.above]).tocsr(),
    )


def none(reader: ShardReader) -> Concepts:
    """Of a corpus without a hierarchy."""
    return Concepts([], [], sparse.csr_array((reader.n_rows, 0)), sparse.csr_array((0, 0)))


def held_out_mask(reader: ShardReader) -> Bool[np.ndarray, " n_rows"]:
    mask = np.zeros(reader.n_rows, bool)
    mask[reader.held_out_ids] = True
    return mask
