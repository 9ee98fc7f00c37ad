"""Do families say what is true? Edges between latents against the corpus's own hierarchy.

A latent stands for the concept that it tells best from the rest; an edge is right where the
parent's concept is above the child's. Beside it: the same edges between latents that have
traded concepts at random, and edges from clusters of decoder rows.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster import hierarchy, vq  # type: ignore[import-untyped]

from sae_jax.analysis.codes import StoredCodes
from sae_jax.analysis.concepts import Concepts

LEAST_F1 = 0.2  # with which a latent stands for a concept
DRAWS = 100  # of the null


class Standing(NamedTuple):
    """What each latent stands for."""

    concept: Int[np.ndarray, " n_latents"]  # −1: for none
    f1: Float[np.ndarray, " n_latents"]


class Agreement(NamedTuple):
    """Of edges between latents that stand for different concepts."""

    n_edges: int
    precision: float  # share of them that are right
    null: float  # the same after trading concepts, mean over draws
    null_high: float  # 97.5 % quantile of the draws
    recall: float  # share of the latent pairs that could be an edge and are right, that are one


def stand_for(
    stored: StoredCodes, concepts: Concepts, *, least_f1: float = LEAST_F1
) -> Standing:
    """The concept that each latent tells best, by F1 over all rows at its best threshold."""
    n = stored.manifest.n_latents
    concept, best = np.full(n, -1), np.zeros(n)
    sizes = concepts.sizes
    for latent in range(n):
        rows = np.asarray(stored.rows_of(latent))
        found, f1 = best_cuts(rows, concepts=concepts, sizes=sizes)
        if len(found) and f1.max() >= least_f1:
            concept[latent], best[latent] = found[np.argmax(f1)], f1.max()
    return Standing(concept, best)


def best_cuts(
    rows: Int[np.ndarray, " n"], *, concepts: Concepts, sizes: Int[np.ndarray, " n_concepts"]
) -> tuple[Int[np.ndarray, " found"], Float[np.ndarray, " found"]]:
    """The concepts met in these rows, and the best F1 of the first so many of them for each.

    F1 can be highest only at a row that belongs to the concept: the r-th of them at place p
    gives 2 r / (p + 1 + size).
    """
    members = concepts.members
    counts = np.diff(members.indptr)[rows]
    if not counts.sum():
        return np.zeros(0, np.int64), np.zeros(0)
    places = np.repeat(np.arange(len(rows)), counts)
    within = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
    of = members.indices[np.repeat(members.indptr[rows], counts) + within].astype(np.int64)
    keys = np.sort(of * len(rows) + places)  # by concept, then by place
    of, places = keys // len(rows), keys % len(rows)
    starts = np.flatnonzero(np.diff(of, prepend=-1))
    rank = np.arange(len(of)) - np.repeat(starts, np.diff(starts, append=len(of))) + 1
    f1 = 2 * rank / (places + 1 + sizes[of])
    return of[starts], np.maximum.reduceat(f1, starts)


def agree(
    edges: Int[np.ndarray, "edges 2"],
    concept: Int[np.ndarray, " n_latents"],
    *,
    concepts: Concepts,
    seed: int = 0,
) -> Agreement:
    above = concepts.above.toarray().astype(bool)  # [concept, what is above it]
    known = np.flatnonzero(concept >= 0)
    own = edges[(concept[edges] >= 0).all(axis=1)]
    n_edges, right = _right(own, concept, above=above)
    rng, nulls = np.random.default_rng(seed), []
    for _ in range(DRAWS):
        traded = concept.copy()
        traded[known] = concept[rng.permutation(known)]
        n_traded, right_traded = _right(own, traded, above=above)
        nulls.append(right_traded / max(n_traded, 1))
    counts = np.bincount(concept[known], minlength=len(above)).astype(float)
    possible = float(counts @ above.astype(float) @ counts)
    return Agreement(
        n_edges=n_edges,
        precision=right / max(n_edges, 1),
        null=float(np.mean(nulls)),
        null_high=float(np.quantile(nulls, 0.975)),
        recall=right / max(possible, 1.0),
    )


def _right(
    edges: Int[np.ndarray, "edges 2"],
    concept: Int[np.ndarray, " n_latents"],
    *,
    above: np.ndarray,
) -> tuple[int, int]:
    """How many edges join different concepts, and how many of these the higher to the lower."""
    parents, children = concept[edges[:, 0]], concept[edges[:, 1]]
    differ = parents != children
    return int(differ.sum()), int(above[children[differ], parents[differ]].sum())


def clusters_by_kmeans(
    directions: Float[np.ndarray, "n_latents d_in"], *, n_clusters: int, seed: int = 0
) -> Int[np.ndarray, " n_latents"]:
    _, clusters = vq.kmeans2(
        directions.astype(np.float64),
        n_clusters,
        minit="points",
        seed=seed,
        missing="warn",
        iter=20,
    )
    return np.asarray(clusters, np.int64)


def clusters_by_linkage(
    directions: Float[np.ndarray, "n_latents d_in"], *, n_clusters: int
) -> Int[np.ndarray, " n_latents"]:
    """Agglomerative, by the average cosine distance."""
    tree = hierarchy.linkage(directions, method="average", metric="cosine")
    return np.asarray(hierarchy.fcluster(tree, n_clusters, criterion="maxclust") - 1, np.int64)


def edges_of_clusters(
    clusters: Int[np.ndarray, " n_latents"], *, n_on: Int[np.ndarray, " n_latents"]
) -> Int[np.ndarray, "edges 2"]:
    """From the member of each cluster that is on most often to the others."""
    order = np.lexsort((np.arange(len(clusters)), -n_on, clusters))
    _, starts = np.unique(clusters[order], return_index=True)
    heads = order[starts]
    parents = heads[np.searchsorted(clusters[heads], clusters)]
    children = np.flatnonzero(parents != np.arange(len(clusters)))
    return np.stack([parents[children], children], axis=1)
