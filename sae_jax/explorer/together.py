"""How often the members of a family are on together, and in which order that is seen best."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse  # type: ignore[import-untyped]

from sae_jax.analysis import family_metrics
from sae_jax.analysis.codes import StoredCodes
from sae_jax.analysis.families import Family


class Sums(NamedTuple):
    """Rows on which a family is on at all, and the sum of its members' values there."""

    rows: Int[np.ndarray, " n"]
    sums: Float[np.ndarray, " n"]


def overlap(stored: StoredCodes, members: list[int]) -> sparse.csr_array:
    """Of each two of them the rows on which both are on, over the rows of the rarer."""
    rows = [stored.rows_of(latent) for latent in members]
    starts = np.cumsum([0, *map(len, rows)])
    ones = np.ones(starts[-1], np.int32)
    shape = stored.manifest.n_rows, len(rows)
    on = sparse.csc_array((ones, np.concatenate(rows), starts), shape=shape)
    return family_metrics.overlaps(on)


def ratio(stored: StoredCodes, members: list[int]) -> float:
    """R of one family, its parent first; NaN where no two of its children are ever together."""
    places = Family(0, list(range(1, len(members))))
    return family_metrics.parent_ratio(overlap(stored, members), [places])


def ordered(likeness: Float[np.ndarray, "n n"]) -> list[int]:
    """Places so that what is alike stands together: leaves of a tree of averages."""
    from scipy.cluster import hierarchy  # type: ignore[import-untyped]
    from scipy.spatial import distance  # type: ignore[import-untyped]

    if len(likeness) < 3:
        return list(range(len(likeness)))
    apart = 1 - np.clip(np.asarray(likeness, np.float64), 0, 1)
    np.fill_diagonal(apart, 0)
    tree = hierarchy.linkage(
        distance.squareform(apart, checks=False), method="average", optimal_ordering=True
    )
    return [int(place) for place in hierarchy.leaves_list(tree)]


def sums(stored: StoredCodes, members: list[int]) -> Sums:
    # Plain views of the mapped files: a slice of np.memmap takes ten times as long.
    all_rows, all_values = np.asarray(stored.latent_rows), np.asarray(stored.latent_values)
    starts = stored.latent_starts
    spans = [slice(int(starts[latent]), int(starts[latent + 1])) for latent in members]
    rows = np.concatenate([all_rows[span] for span in spans])
    values = np.concatenate([all_values[span] for span in spans])
    found = np.bincount(rows, weights=values, minlength=1)
    on = np.flatnonzero(found)
    return Sums(on, found[on])
