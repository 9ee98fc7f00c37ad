"""Families by the algorithm of arXiv 2408.00657, section 4.2, step by step.

For comparison. What the authors' program does beside the text is kept: of the two weights
of a pair the one below the diagonal counts, all roots leave after a round, and the
threshold falls from 0.1 to 0.07 after the first.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse  # type: ignore[import-untyped]
from scipy.sparse import csgraph  # type: ignore[import-untyped]

from sae_jax.analysis import cooccurrence
from sae_jax.analysis.families import Families, Family, descendants, largest_first

THRESHOLDS = (0.1, 0.07, 0.07, 0.07)  # of P(second | first), a round each
LEAST_CHILDREN = 4
LEAST_CHILDREN_OF_A_ROOT = 3


def find_paper_families(
    on: sparse.csc_array, *, latents: Int[np.ndarray, " n"] | None = None
) -> Families:
    """Of these latents (the paper takes those with a clean label); default: all that are on."""
    n_on = np.diff(on.indptr)
    chosen = np.flatnonzero(n_on) if latents is None else np.sort(latents)
    n_both = cooccurrence.counts(on, chosen)
    frequency = n_on[chosen].astype(float)
    left = np.ones(len(chosen), bool)
    found, edges = list[Family](), set[tuple[int, int]]()
    for threshold in THRESHOLDS:
        tree = _tree(n_both, frequency, left=left, threshold=threshold)
        below: dict[int, list[int]] = {}
        for parent, child in tree.tolist():
            below.setdefault(parent, []).append(child)
        roots = _roots(below, within=set(below) | {c for own in below.values() for c in own})
        for root in roots:
            children = sorted(descendants(root, below=below))
            children.sort(key=lambda place: -frequency[place])
            if len(children) >= LEAST_CHILDREN:
                named = [int(chosen[place]) for place in children]
                found.append(Family(int(chosen[root]), named))
        edges |= {(int(chosen[a]), int(chosen[b])) for a, b in tree.tolist()}
        left[sorted(roots)] = False
    listed = np.array(sorted(edges), np.int64).reshape(-1, 2)
    return Families(listed, largest_first(found))


def _tree(
    n_both: sparse.csr_array,
    frequency: Float[np.ndarray, " n"],
    *,
    left: Bool[np.ndarray, " n"],
    threshold: float,
) -> Int[np.ndarray, "edges 2"]:
    """The maximum spanning tree of P(second | first), its edges from often to seldom on."""
    both = n_both.tocoo()
    share = both.data / (frequency[both.row] + 1)
    kept = (both.row != both.col) & (share >= threshold) & left[both.row] & left[both.col]
    weights: dict[tuple[int, int], float] = {}
    for first, second, weight in zip(
        both.row[kept].tolist(), both.col[kept].tolist(), share[kept].tolist(), strict=True
    ):
        pair = min(first, second), max(first, second)
        if first > second or pair not in weights:
            weights[pair] = weight
    if not weights:
        return np.zeros((0, 2), np.int64)
    ends = np.array(list(weights), np.int64)
    graph = sparse.csr_array((-np.array(list(weights.values())), ends.T), shape=n_both.shape)
    tree = csgraph.minimum_spanning_tree(graph).tocoo()
    first, second = tree.row.astype(np.int64), tree.col.astype(np.int64)
    # Of equals the one that comes second in the pair is the parent.
    turned = frequency[first] <= frequency[second]
    return np.stack([np.where(turned, second, first), np.where(turned, first, second)], axis=1)


def _roots(below: dict[int, list[int]], *, within: set[int]) -> set[int]:
    """Those without a parent and with enough children; and so on in what lies below each."""
    children = {child for root in within for child in below.get(root, ()) if child in within}
    found = {
        root
        for root in within - children
        if sum(child in within for child in below.get(root, ())) >= LEAST_CHILDREN_OF_A_ROOT
    }
    for root in list(found):
        found |= _roots(below, within=descendants(root, below=below) & within)
    return found
