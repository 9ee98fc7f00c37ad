"""Feature families: general latents with the specific ones that are on where they are.

Ours is a directed graph without loops, in which a latent may have several parents. The
algorithm of arXiv 2408.00657 is in paper_families.py.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from scipy import sparse, special  # type: ignore[import-untyped]

from sae_jax.analysis import cooccurrence
from sae_jax.analysis.cooccurrence import Pairs

# Of a child's rows on which its parent is on, too. Chosen on WordNet (3,072 latents, k 32) by
# agreement with its hypernyms: edges right at .2, .3, .4 and .5: 32, 45, 61 and 75 %.
LEAST_SHARE = 0.4
LEAST_RATIO = 2.0  # a parent is on for so many times more rows than its child
MOST_CHANCE = 0.01  # that the rows of a third latent explain an edge
LEAST_MEMBERS = 4  # of a family, its parent among them
LARGEST_SHARED = 0.6  # of two families that have more in common the larger is kept


class Family(NamedTuple):
    """A general latent and those below it."""

    parent: int
    children: list[int]  # all below it, most often on first


class Families(NamedTuple):
    """The edges from general to specific, and the families that they make."""

    edges: Int[np.ndarray, "edges 2"]  # parent, child
    families: list[Family]  # the largest first


def find_families(
    on: sparse.csc_array,
    *,
    pairs: Pairs | None = None,
    least_share: float = LEAST_SHARE,
    least_ratio: float | int = LEAST_RATIO,
) -> Families:
    """Families of significant co-occurrence.

    A child is on together with its parent significantly often, and the parent is on for at
    least `least_share` of the child's rows and for `least_ratio` times as many in all. Left
    out is an edge that a third latent explains, above both, on whose rows the two are
    together as seldom as chance has it; and one that a path of two edges spans.
    """
    n_on = np.diff(on.indptr)
    pairs = cooccurrence.significant_pairs(on) if pairs is None else pairs
    first_is_parent = n_on[pairs.first] >= n_on[pairs.second]
    parent = np.where(first_is_parent, pairs.first, pairs.second)
    child = np.where(first_is_parent, pairs.second, pairs.first)
    kept = pairs.n_both >= least_share * n_on[child]
    kept &= n_on[parent] >= least_ratio * n_on[child]
    n_both = dict(
        zip(
            zip(parent[kept].tolist(), child[kept].tolist(), strict=True),
            pairs.n_both[kept].tolist(),
            strict=True,
        )
    )
    edges = _unexplained(n_both, n_on=n_on)
    edges = _without_spanned(edges, n_latents=on.shape[1])
    return Families(edges, families_of(edges, n_on=n_on))


def _unexplained(
    n_both: Mapping[tuple[int, int], int], *, n_on: Int[np.ndarray, " n_latents"]
) -> Int[np.ndarray, "edges 2"]:
    """The edges of which no latent above both ends says as much as the parent does.

    Where P(parent | child) is no more than P(parent | third), the parent adds nothing.
    """
    above: dict[int, set[int]] = {}
    for parent, child in n_both:
        above.setdefault(child, set()).add(parent)
    kept = []
    for (parent, child), both in n_both.items():
        thirds = above.get(parent, set()) & above[child]
        expected = [n_on[child] * n_both[third, parent] / n_on[third] for third in thirds]
        if not expected or special.pdtrc(both - 1, max(expected)) <= MOST_CHANCE:
            kept.append((parent, child))
    return np.array(sorted(kept), np.int64).reshape(-1, 2)


def _without_spanned(
    edges: Int[np.ndarray, "edges 2"], *, n_latents: int
) -> Int[np.ndarray, "kept 2"]:
    shape = n_latents, n_latents
    graph = sparse.csr_array((np.ones(len(edges), np.int32), tuple(edges.T)), shape=shape)
    spanned = (graph @ graph).astype(bool)
    kept = graph.astype(np.int32) - graph.multiply(spanned).astype(np.int32)
    kept.eliminate_zeros()
    rows, columns = kept.nonzero()
    order = np.lexsort((columns, rows))
    return np.stack([rows[order], columns[order]], axis=1).astype(np.int64)


def families_of(
    edges: Int[np.ndarray, "edges 2"], *, n_on: Int[np.ndarray, " n_latents"]
) -> list[Family]:
    """What lies below each latent without a parent, if it is enough."""
    below: dict[int, list[int]] = {}
    for parent, child in edges.tolist():
        below.setdefault(parent, []).append(child)
    roots = sorted(set(below) - set(edges[:, 1].tolist()))
    found = [
        Family(root, _often_first(descendants(root, below=below), n_on=n_on)) for root in roots
    ]
    return largest_first([one for one in found if len(one.children) + 1 >= LEAST_MEMBERS])


def _often_first(latents: set[int], *, n_on: Int[np.ndarray, " n_latents"]) -> list[int]:
    return sorted(latents, key=lambda latent: (-int(n_on[latent]), latent))


def descendants(root: int, *, below: dict[int, list[int]]) -> set[int]:
    found, waiting = set[int](), [root]
    while waiting:
        for child in below.get(waiting.pop(), ()):
            if child not in found and child != root:
                found.add(child)
                waiting.append(child)
    return found


def largest_first(families: Sequence[Family]) -> list[Family]:
    """Without those that share most of their children with a larger one."""
    kept: list[Family] = []
    for one in sorted(families, key=lambda one: (-len(one.children), one.parent)):
        own = set(one.children)
        if all(_shared(own, set(other.children)) <= LARGEST_SHARED for other in kept):
            kept.append(one)
    return kept


def _shared(one: set[int], other: set[int]) -> float:
    """The size of their intersection over that of their union."""
    return len(one & other) / len(one | other)
