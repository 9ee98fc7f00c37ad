"""How latents split as the dictionary grows, from run to run of growing size.

A latent of the larger run is the child of the one in the next smaller that it is most like,
if it is enough like it. With two children or more a latent has split.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sae_jax.analysis import agreement
from sae_jax.analysis.codes import StoredCodes
from sae_jax.analysis.concepts import Concepts
from sae_jax.analysis.intervals import mean_with_interval
from sae_jax.analysis.matching import Estimate, Pair, share
from sae_jax.analysis.matching_runs import Run

# By activation: where a child has the same parent on for as large a share of its rows as by
# decoder (WordNet, 1,536 to 3,072 to 6,144 latents: .52 and .46 against .54 and .49), a tenth
# more latents have a parent (1,714 and 3,010 against 1,527 and 2,647).
WAY = "activation"
# A child that is on for a tenth of its parent's rows, equally strongly, correlates by .32.
LEAST = {"activation": 0.3, "decoder": 0.5}


class Step(NamedTuple):
    """From one size to the next: of each latent of the larger run its parent."""

    smaller: Run
    larger: Run
    parent: Int[np.ndarray, " n_larger"]  # −1: none
    similarity: Float[np.ndarray, " n_larger"]  # to the nearest, be it a parent or not
    null_parent: Int[np.ndarray, " n_larger"]  # by chance, as `matching.match` has it

    @property
    def links(self) -> Int[np.ndarray, "n 2"]:
        """Parent, child."""
        children = np.flatnonzero(self.parent >= 0)
        return np.stack([self.parent[children], children], axis=1)

    def n_children(self, parent: Int[np.ndarray, " n_larger"]) -> Int[np.ndarray, " n_smaller"]:
        """Of each latent of the smaller run, if these are the parents."""
        n = self.smaller.stored.manifest.n_latents
        return np.bincount(parent[parent >= 0], minlength=n)


class Statistics(NamedTuple):
    """Of one step; by chance: with the null's parents, but for `rows_shared`."""

    n_parents: int  # latents of the smaller run that are ever on
    n_larger: int  # of the larger
    split: Estimate  # share of the former with two children or more
    one: Estimate  # with one
    vanished: Estimate  # with none
    scattered: dict[str, float]  # the same three, if each link went to a random parent
    children: Estimate  # mean number
    most_children: int
    novel: Estimate  # share of the larger run's latents without a parent
    rows_shared: Estimate  # mean share of a child's rows on which its parent is on; by chance:
    # when the children have traded parents


class Truth(NamedTuple):
    """Of links between latents that both stand for a concept, how these lie."""

    n_links: int
    same: float  # share with the same concept
    above: float  # share in which the parent's is above the child's
    below: float  # or below it
    null: float  # of same or above, when the smaller run's latents have traded concepts
    null_high: float  # 97.5 % quantile of the draws


class Tree(NamedTuple):
    """A latent and those that it becomes in the next larger run."""

    latent: int
    similarity: float  # to its parent; 1 of the root
    children: "list[Tree]"  # the most similar first


def find_step(pair: Pair, *, way: str = WAY, least: float | None = None) -> Step:
    """From the first run of the pair, the smaller, to the other."""
    least = LEAST[way] if least is None else least
    real, null = pair.real[way].backward, pair.null[way].backward
    return Step(
        pair.one,
        pair.other,
        np.where(real.similarity >= least, real.latent, -1),
        real.similarity,
        np.where(null.similarity >= least, null.latent, -1),
    )


def measure(step: Step, *, seed: int = 0) -> Statistics:
    parents, larger = step.smaller.stored.n_on > 0, step.larger.stored.n_on > 0
    n, n_null = step.n_children(step.parent), step.n_children(step.null_parent)
    children = mean_with_interval(n[parents].astype(float), seed=seed)
    return Statistics(
        int(parents.sum()),
        int(larger.sum()),
        share(n >= 2, n_null >= 2, of=parents, seed=seed),
        share(n == 1, n_null == 1, of=parents, seed=seed),
        share(n == 0, n_null == 0, of=parents, seed=seed),
        _scattered(int(parents.sum()), n_links=int(n.sum())),
        Estimate(*children, float(n_null[parents].mean())),
        int(n.max()),
        share(step.parent < 0, step.null_parent < 0, of=larger, seed=seed),
        _rows_shared(step, seed=seed),
    )


def _scattered(n_parents: int, *, n_links: int) -> dict[str, float]:
    """What share of the parents is expected to have none, one or more (binomial)."""
    none = (1 - 1 / n_parents) ** n_links
    one = n_links / n_parents * (1 - 1 / n_parents) ** max(n_links - 1, 0)
    return {"split": 1 - none - one, "one": one, "vanished": none}


def _rows_shared(step: Step, *, seed: int) -> Estimate:
    links = step.links
    if not len(links):
        return Estimate(*[float("nan")] * 4)
    traded = links.copy()
    traded[:, 0] = np.random.default_rng(seed).permutation(links[:, 0])
    runs = step.smaller.stored, step.larger.stored
    shared = mean_with_interval(rows_shared(links, *runs), seed=seed)
    return Estimate(*shared, float(rows_shared(traded, *runs).mean()))


def rows_shared(
    links: Int[np.ndarray, "n 2"], smaller: StoredCodes, larger: StoredCodes
) -> Float[np.ndarray, " n"]:
    """Of each link the share of the child's rows on which the parent is on."""
    shares, on = np.zeros(len(links)), np.zeros(smaller.manifest.n_rows, bool)
    for place, (parent, child) in enumerate(links.tolist()):
        rows = smaller.rows_of(parent)
        on[rows] = True
        shares[place] = on[larger.rows_of(child)].mean()
        on[rows] = False
    return shares


def follow_truth(step: Step, concepts: Concepts, *, seed: int = 0) -> Truth:
    """Does a link go down the corpus's own hierarchy?"""
    over = agreement.stand_for(step.smaller.stored, concepts).concept
    under = agreement.stand_for(step.larger.stored, concepts).concept
    above = concepts.above.toarray().astype(bool)  # [concept, what is above it]
    links = step.links
    parents, children = links[(over[links[:, 0]] >= 0) & (under[links[:, 1]] >= 0)].T
    if not len(parents):
        return Truth(0, *[float("nan")] * 5)

    def shares(over: np.ndarray) -> tuple[float, float, float]:
        ours, theirs = over[parents], under[children]
        kinds = ours == theirs, above[theirs, ours], above[ours, theirs]
        same, up, down = (float(kind.mean()) for kind in kinds)
        return same, up, down

    rng, known, nulls = np.random.default_rng(seed), np.flatnonzero(over >= 0), []
    for _ in range(agreement.DRAWS):
        traded = over.copy()
        traded[known] = over[rng.permutation(known)]
        nulls.append(sum(shares(traded)[:2]))
    high = float(np.quantile(nulls, 0.975))
    return Truth(len(parents), *shares(over), float(np.mean(nulls)), high)


def grow(latent: int, steps: Sequence[Step], *, similarity: float = 1.0) -> Tree:
    """The tree below a latent of the smallest run, through all sizes."""
    if not steps:
        return Tree(latent, similarity, [])
    first, *rest = steps
    children = np.flatnonzero(first.parent == latent)
    children = children[np.argsort(-first.similarity[children], kind="stable")]
    below = [
        grow(child, rest, similarity=float(first.similarity[child]))
        for child in children.tolist()
    ]
    return Tree(latent, similarity, below)


def ancestors(steps: Sequence[Step]) -> Int[np.ndarray, " n_largest"]:
    """Of each latent of the largest run the one of the smallest that leads to it; −1: none."""
    found = steps[0].parent
    for step in steps[1:]:
        found = np.where(step.parent >= 0, found[step.parent], -1)
    return found


def consistency(steps: Sequence[Step], direct: Step, *, seed: int = 0) -> Estimate:
    """How often the way through all sizes leads to the parent in the smallest run itself.

    Of the largest run's latents that have both; by chance: when they trade parents.
    """
    by_steps = ancestors(steps)
    both = (by_steps >= 0) & (direct.parent >= 0)
    if not both.any():
        return Estimate(*[float("nan")] * 4)
    traded = by_steps.copy()
    traded[both] = np.random.default_rng(seed).permutation(by_steps[both])
    return share(by_steps == direct.parent, traded == direct.parent, of=both, seed=seed)
