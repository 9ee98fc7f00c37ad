"""Which latents are on together more often than chance has it.

Sparse throughout: never rows × latents dense. The entries that are on lie in memory, some
50 bytes each.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse, special  # type: ignore[import-untyped]

from sae_jax.analysis.codes import StoredCodes

LATENTS_AT_ONCE = 512
FALSE_DISCOVERIES = 0.01  # most of the pairs that are called significant, by expectation


class Pairs(NamedTuple):
    """Pairs of latents, first < second, that are on together significantly often."""

    first: Int[np.ndarray, " pairs"]
    second: Int[np.ndarray, " pairs"]
    n_both: Int[np.ndarray, " pairs"]  # rows on which both are on
    lift: Float[np.ndarray, " pairs"]  # that, over what independence expects


def active(stored: StoredCodes) -> sparse.csc_array:
    """[n_rows, n_latents], 1 where the latent is on."""
    return stored.matrix(np.ones(stored.manifest.n_on, np.int32))


def significant_pairs(
    on: sparse.csc_array, *, false_discoveries: float = FALSE_DISCOVERIES
) -> Pairs:
    """By lift, with the share of false discoveries bounded over all pairs of latents.

    The tail is Poisson's, which for counts of a fixed number of rows is above the exact,
    hypergeometric one: no pair is called significant that is not. Source of the bound:
    Benjamini and Hochberg 1995.
    """
    n_rows, n_latents = on.shape
    n_on = np.diff(on.indptr).astype(float)
    by_row = on.tocsr()
    parts = []
    for start in range(0, n_latents, LATENTS_AT_ONCE):
        block = on[:, start : start + LATENTS_AT_ONCE]
        both = (block.T @ by_row).tocoo()
        first, second, n_both = both.row + start, both.col, both.data
        kept = first < second
        first, second, n_both = first[kept], second[kept], n_both[kept]
        expected = n_on[first] * n_on[second] / n_rows
        p = special.pdtrc(n_both - 1, expected)  # of so many or more
        kept = (p <= false_discoveries) & (n_both > expected)
        fields = first, second, n_both, n_both / expected, p
        parts.append([field[kept] for field in fields])
    first, second, n_both, lift, p = (
        np.concatenate(field) for field in zip(*parts, strict=True)
    )
    n_tests = n_latents * (n_latents - 1) / 2
    chosen = _discoveries(p, n_tests=n_tests, false_discoveries=false_discoveries)
    return Pairs(
        first[chosen].astype(np.int64),
        second[chosen].astype(np.int64),
        n_both[chosen].astype(np.int64),
        lift[chosen],
    )


def _discoveries(
    p: Float[np.ndarray, " tests"], *, n_tests: float | int, false_discoveries: float | int
) -> Bool[np.ndarray, " tests"]:
    """Those below the largest p of which p ≤ its rank / n_tests · false_discoveries.

    Tests that are not listed have larger p, and are none.
    """
    ordered = np.sort(p)
    below = ordered <= np.arange(1, len(p) + 1) / n_tests * false_discoveries
    if not below.any():
        return np.zeros(len(p), bool)
    return p <= ordered[np.flatnonzero(below)[-1]]


def counts(on: sparse.csc_array, latents: Int[np.ndarray, " n"]) -> sparse.csr_array:
    """[n, n], on how many rows both of two of these latents are on; all pairs, and itself."""
    chosen = on[:, latents]
    return (chosen.T @ chosen).tocsr()
