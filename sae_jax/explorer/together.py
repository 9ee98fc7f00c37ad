"""How often the members of a family are on together, and in which order that is seen best."""

import numpy as np
from jaxtyping import Float
from scipy import sparse  # type: ignore[import-untyped]

from sae_jax.analysis import family_metrics
from sae_jax.analysis.codes import StoredCodes
from sae_jax.analysis.families import Family


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
