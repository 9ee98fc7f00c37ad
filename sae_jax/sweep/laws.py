"""What the finished members of a sweep say together: laws, the compute frontier, seeds."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from scipy import stats  # type: ignore[import-untyped]

from sae_jax.analysis import scaling
from sae_jax.analysis.scaling import CONFIDENCE, JointLaw, PowerLaw
from sae_jax.sweep.results import Finished, Result, step_costs

Key = TypeVar("Key")


class KLaw(NamedTuple):
    """How fvu falls with the dictionary's size at one k; None with fewer than two sizes."""

    k: int
    held_out: PowerLaw | None
    train: PowerLaw | None


class Seeds(NamedTuple):
    """Members that differ in their seed alone."""

    n_latents: int
    k: int
    variant: str
    n_seeds: int
    fvu: float  # mean, held out
    low: float  # its 95 % interval, Student's
    high: float


class Spent(NamedTuple):
    """A point of a learning curve, by the compute that it took."""

    flops: float
    paper_flops: float
    fvu: float  # held out
    name: str  # of the member


class Corpus(NamedTuple):
    """All that is said of the members trained on one data set."""

    name: str
    members: list[Finished]
    best: list[
        Finished
    ]  # of these, at each size and k the best variant: what laws are fitted to
    by_k: list[KLaw]
    joint: JointLaw | None
    seeds: list[Seeds]
    spent: list[Spent]  # all points of all curves
    frontier: list[Spent]  # those that no cheaper one matches


def corpora(members: Iterable[Finished], *, results: Sequence[Result]) -> list[Corpus]:
    return [
        _corpus(name, own, results=results)
        for name, own in _grouped(members, by=lambda one: one.corpus).items()
    ]


def _grouped(
    members: Iterable[Finished], *, by: Callable[[Finished], Key]
) -> dict[Key, list[Finished]]:
    groups: dict[Key, list[Finished]] = {}
    for one in members:
        groups.setdefault(by(one), []).append(one)
    return groups


def _corpus(name: str, members: list[Finished], *, results: Sequence[Result]) -> Corpus:
    best = best_variants(members)
    spent = _spent([one for one in results if one.name in {member.name for member in members}])
    flops = np.array([point.flops for point in spent])
    on = scaling.on_frontier(flops, np.array([point.fvu for point in spent]))
    return Corpus(
        name=name,
        members=members,
        best=best,
        by_k=[
            KLaw(k, _power_law(own, of="fvu"), _power_law(own, of="fvu_train"))
            for k, own in sorted(_grouped(best, by=lambda one: one.k).items())
        ],
        joint=scaling.fit_joint_law(
            [one.n_latents for one in best],
            [one.k for one in best],
            [one.fvu for one in best],
        ),
        seeds=_over_seeds(members),
        spent=spent,
        frontier=sorted(point for point, kept in zip(spent, on, strict=True) if kept),
    )


def best_variants(members: Iterable[Finished]) -> list[Finished]:
    """At each size and k all seeds of the variant whose held-out fvu is lowest in the mean."""
    best = []
    for group in _grouped(members, by=lambda one: (one.n_latents, one.k)).values():
        variants = _grouped(group, by=lambda one: one.variant).values()
        best += min(variants, key=lambda own: np.mean([one.fvu for one in own]))
    return best


def _power_law(members: Sequence[Finished], *, of: str) -> PowerLaw | None:
    sizes = [one.n_latents for one in members]
    if len(set(sizes)) < 2:
        return None
    return scaling.fit_power_law(sizes, [getattr(one, of) for one in members])


def _over_seeds(members: Iterable[Finished]) -> list[Seeds]:
    found = []
    alike = _grouped(members, by=lambda one: (one.n_latents, one.k, one.variant))
    for (n_latents, k, variant), group in alike.items():
        if (n := len(group)) < 2:
            continue
        fvu = np.array([one.fvu for one in group])
        half = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * fvu.std(ddof=1) / math.sqrt(n)
        mean = float(fvu.mean())
        found.append(Seeds(n_latents, k, variant, n, mean, mean - half, mean + half))
    return found


def _spent(results: Iterable[Result]) -> list[Spent]:
    found = []
    for result in results:
        assert result.config is not None, "of finished members"
        flops, paper_flops = step_costs(result.config)
        found += [
            Spent(point.step * flops, point.step * paper_flops, point.fvu, result.name)
            for point in result.curves.get("held_out", [])
        ]
    return found
