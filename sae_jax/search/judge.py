"""A judge that needs no LLM: it reads the hits of steered queries against the true concepts."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sae_jax.analysis.codes import StoredCodes
from sae_jax.search.index import Index
from sae_jax.search.trials import N_HITS, Cases, Targets, nearest

SIDES = {"up": ("up",), "down": ("down",), "both": ("up", "down")}  # what an edit moves


class Trial(NamedTuple):
    """One way of steering at one strength: the queries of all cases."""

    edit: str  # up, down, both
    way: str
    at: str  # "cosine 0.7", "slider 100 %", "as written"
    vectors: Float[np.ndarray, "n d_in"]  # of unit length


class Side(NamedTuple):
    """What became of the concept to raise, or of that to lower, among the hits of each case."""

    precision: Float[np.ndarray, " n"]  # share of the hits that belong to it
    change: Float[np.ndarray, " n"]  # of the precision, by steering
    active: Float[np.ndarray, " n"]  # change of the share on which its latent is on
    identified: Float[np.ndarray, " n"]  # 1 where the judge names it; of m equals 1 / m


class Outcome(NamedTuple):
    """Of one trial, case by case."""

    trial: Trial
    hits: Int[np.ndarray, "n hits"]  # best first
    cosine: Float[np.ndarray, " n"]  # of the steered query to the query
    overlap: Float[np.ndarray, " n"]  # share of the hits that are hits of the query, too
    sides: dict[str, Side]


class Judge:
    """Knows of each case the hits without steering."""

    def __init__(
        self, cases: Cases, targets: Targets, *, index: Index, stored: StoredCodes
    ) -> None:
        self.cases, self.targets = cases, targets
        self.index, self.stored = index, stored
        self.counts = self.count(cases.neutral)
        self.before = self.counts / N_HITS
        self.concept = {"up": cases.up, "down": cases.down}
        self.active_before = {side: self.active(cases.neutral, side) for side in self.concept}

    def outcome(self, trial: Trial) -> Outcome:
        cases = self.cases
        hits = nearest(self.index, trial.vectors, without=cases.rows)
        return Outcome(
            trial,
            hits,
            cosine=np.asarray((trial.vectors * cases.queries).sum(axis=1), np.float64),
            overlap=(hits[:, :, None] == cases.neutral[:, None]).any(axis=2).mean(axis=1),
            sides={side: self._side(hits, side) for side in SIDES[trial.edit]},
        )

    def _side(self, hits: Int[np.ndarray, "n hits"], side: str) -> Side:
        counts = self.count(hits)
        # Whole numbers: of equals the judge must see that they are.
        rise = counts - self.counts
        place = 0 if side == "up" else 1  # among the options
        return Side(
            counts[:, place] / N_HITS,
            rise[:, place] / N_HITS,
            self.active(hits, side) - self.active_before[side],
            named(rise if side == "up" else -rise, place=place),
        )

    def count(self, hits: Int[np.ndarray, "n hits"]) -> Int[np.ndarray, "n options"]:
        """Of the hits of each case, how many belong to each of its options."""
        return self.targets.belongs[hits[:, :, None], self.cases.options[:, None]].sum(axis=1)

    def active(self, hits: Int[np.ndarray, "n hits"], side: str) -> Float[np.ndarray, " n"]:
        """Share of the hits on which the latent of the concept is on."""
        latents = self.targets.latents[self.concept[side]][:, None, None]
        on = (self.stored.indices[hits] == latents) & (self.stored.values[hits] > 0)
        return on.any(axis=2).mean(axis=1)


def named(rise: Int[np.ndarray, "n options"], *, place: int) -> Float[np.ndarray, " n"]:
    """The judge names the option that rose most; of several it draws one."""
    highest = rise.max(axis=1, keepdims=True)
    return (rise[:, place] == highest[:, 0]) / (rise == highest).sum(axis=1)
