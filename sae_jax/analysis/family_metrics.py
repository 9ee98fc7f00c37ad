"""How much families say: the measures of arXiv 2408.00657, computed right, beside a null.

The paper's program counts the diagonal in R, leaves out the first block, and takes latents
in no family for blocks of their own; here neither is done (appendix, tables of families).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse  # type: ignore[import-untyped]

from sae_jax.analysis.codes import StoredCodes
from sae_jax.analysis.families import Family

DRAWS = 20  # of the null


class Measured(NamedTuple):
    """A number, and what it is when the latents trade places at random."""

    value: float
    null: float  # mean over draws
    null_high: float  # 97.5 % quantile of the draws


class FamilyMetrics(NamedTuple):
    n_families: int
    mean_size: float  # children
    membership: float  # share of the latents that are ever on and in at least one family
    parent_ratio: Measured  # R: overlap of parent and child, over that of two children
    block_ratio: Measured  # overlap inside of blocks, over that between them
    block_ratio_activations: Measured  # the same of the cosine of activations


def measure(
    families: Sequence[Family], *, stored: StoredCodes, on: sparse.csc_array, seed: int = 0
) -> FamilyMetrics:
    alive = np.flatnonzero(stored.n_on)
    members = {latent for one in families for latent in (one.parent, *one.children)}
    likeness = overlaps(on), cosines(stored)
    rng = np.random.default_rng(seed)
    values = _ratios(families, *likeness)
    nulls = []
    for _ in range(DRAWS):
        other = np.arange(on.shape[1])
        other[alive] = rng.permutation(alive)
        nulls.append(_ratios([_renamed(one, other) for one in families], *likeness))
    sizes = [len(one.children) for one in families]
    return FamilyMetrics(
        len(families),
        float(np.mean(sizes)) if sizes else 0.0,
        len(members) / max(len(alive), 1),
        *(
            _with_null(value, list(of))
            for value, of in zip(values, zip(*nulls, strict=True), strict=True)
        ),
    )


def _ratios(
    families: Sequence[Family], overlap: sparse.csr_array, cosine: sparse.csr_array
) -> tuple[float, float, float]:
    blocks = exclusive_blocks(families, n_latents=overlap.shape[0])
    return (
        parent_ratio(overlap, families),
        block_ratio(overlap, blocks),
        block_ratio(cosine, blocks),
    )


def _renamed(one: Family, other: Int[np.ndarray, " n_latents"]) -> Family:
    return Family(int(other[one.parent]), other[one.children].tolist())


def _with_null(value: float, nulls: Sequence[float]) -> Measured:
    known = np.array([one for one in nulls if np.isfinite(one)])
    if not len(known):
        return Measured(value, float("nan"), float("nan"))
    return Measured(value, float(known.mean()), float(np.quantile(known, 0.975)))


def overlaps(on: sparse.csc_array) -> sparse.csr_array:
    """Rows on which both are on, over the rows of the rarer; without the diagonal."""
    n_on = np.diff(on.indptr)
    both = (on.T @ on).tocoo()
    rarer = np.minimum(n_on[both.row], n_on[both.col])
    return _off_diagonal(both, both.data / np.maximum(rarer, 1))


def cosines(stored: StoredCodes) -> sparse.csr_array:
    """Of the latents' activations over all rows; without the diagonal."""
    values = np.asarray(stored.latent_values, np.float64)
    norms = np.sqrt(stored.totals(values**2))
    unit = stored.matrix(values / np.repeat(norms, stored.n_on))
    both = (unit.T @ unit).tocoo()
    return _off_diagonal(both, both.data)


def _off_diagonal(
    both: sparse.coo_array, data: Float[np.ndarray, " entries"]
) -> sparse.csr_array:
    off = both.row != both.col
    entries = data[off].astype(np.float32), (both.row[off], both.col[off])
    return sparse.csr_array(entries, shape=both.shape)


def parent_ratio(overlap: sparse.csr_array, families: Sequence[Family]) -> float:
    """Mean over families of the mean overlap parent–child over the mean child–child."""
    chosen = [one for one in families if len(one.children) > 1]
    if not chosen:
        return float("nan")
    n_latents = overlap.shape[0]
    children = _indicator([one.children for one in chosen], n_latents=n_latents)
    parents = _indicator([[one.parent] for one in chosen], n_latents=n_latents)
    to_children = overlap @ children
    n = np.array([len(one.children) for one in chosen])
    between = children.multiply(to_children).sum(axis=0) / (n * (n - 1))
    from_parent = parents.multiply(to_children).sum(axis=0) / n
    known = between > 0
    return float(np.mean(from_parent[known] / between[known])) if known.any() else float("nan")


def _indicator(sets: Sequence[Sequence[int]], *, n_latents: int) -> sparse.csr_array:
    """[n_latents, n_sets], 1 where the latent is in the set."""
    rows = np.array([latent for own in sets for latent in own], int)
    columns = np.repeat(np.arange(len(sets)), [len(own) for own in sets])
    ones = np.ones(len(rows), np.float32)
    return sparse.csr_array((ones, (rows, columns)), shape=(n_latents, len(sets)))


def exclusive_blocks(
    families: Sequence[Family], *, n_latents: int
) -> Int[np.ndarray, " n_latents"]:
    """The first family that claims each latent; −1: none does."""
    blocks = np.full(n_latents, -1)
    for place, one in reversed(list(enumerate(families))):
        blocks[[one.parent, *one.children]] = place
    return blocks


def block_ratio(likeness: sparse.csr_array, blocks: Int[np.ndarray, " n_latents"]) -> float:
    """Mean likeness of two latents of one block over that of two of different blocks.

    Of latents in blocks alone; no latent is compared with itself.
    """
    sizes = np.bincount(blocks[blocks >= 0]).astype(float)
    n = sizes.sum()
    n_inside = float((sizes * (sizes - 1)).sum())
    n_between = float(n * (n - 1) - n_inside)
    if not n_inside or not n_between:
        return float("nan")
    members = [np.flatnonzero(blocks == place).tolist() for place in range(len(sizes))]
    block = _indicator(members, n_latents=len(blocks))
    to_blocks = likeness @ block
    inside = float(block.multiply(to_blocks).sum())
    between = float(to_blocks[blocks >= 0].sum()) - inside
    return inside / n_inside / (between / n_between) if between > 0 else float("inf")
