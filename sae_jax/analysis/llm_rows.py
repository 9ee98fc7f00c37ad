"""Which rows a language model sees of a latent: those that name it, and those that judge.

Half of the corpus names and the other half judges, so no row does both. Among both are rows
on which the latent is on at all strengths, rows on which it nearly is, and random ones.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sae_jax.analysis.codes import StoredCodes
from sae_jax.analysis.labels import LEAST_ROWS, off_rows
from sae_jax.analysis.records import texts_at
from sae_jax.data.shards import ShardReader

N_STRONGEST, N_WEAKER = 10, 9  # that name: the strongest, and one of each tenth of the others
N_OFF_SHOWN = 5  # that name: near misses, and as many random ones
N_ON_JUDGED = 20  # at most; as many on which it is off, half of them near misses
ON, NEAR, ZERO = "on", "near", "zero"


class Rows(NamedTuple):
    """Of one latent."""

    latent: int
    strongest: Int[np.ndarray, " n_strongest"]
    weaker: Int[np.ndarray, " n_weaker"]  # from strong to weak
    strengths: Float[np.ndarray, " n_shown"]  # of both, 10 for the strongest of all
    near: Int[np.ndarray, " n_near"]
    zeros: Int[np.ndarray, " n_zeros"]
    judged: Int[np.ndarray, " n_judged"]  # shuffled
    kinds: list[str]  # of each that is judged: ON, NEAR or ZERO

    @property
    def on(self) -> Bool[np.ndarray, " n_judged"]:
        return np.array([kind == ON for kind in self.kinds])

    def all_rows(self) -> Int[np.ndarray, " n"]:
        return np.concatenate([self.strongest, self.weaker, self.near, self.zeros, self.judged])


def why_skipped(stored: StoredCodes, naming: Bool[np.ndarray, " n_rows"]) -> list[str]:
    """Of each latent why it cannot be labelled and judged; "" where it can."""
    names = np.concatenate([[0], np.cumsum(naming[stored.latent_rows])])
    n_naming = np.diff(names[stored.latent_starts])
    n_judging = stored.n_on - n_naming
    n_off_naming = naming.sum() - n_naming
    n_off_judging = (~naming).sum() - n_judging
    few = (n_naming < LEAST_ROWS) | (n_judging < LEAST_ROWS)
    everywhere = (n_off_naming < 2 * N_OFF_SHOWN) | (
        n_off_judging < np.minimum(n_judging, N_ON_JUDGED)
    )
    return np.select(
        [stored.n_on == 0, few, everywhere],
        ["never on", "too few rows", "on nearly everywhere"],
        "",
    ).tolist()


def rows_of(
    stored: StoredCodes, latent: int, *, naming: Bool[np.ndarray, " n_rows"], seed: int
) -> Rows:
    """Of a latent that is not to be skipped; the same for the same seed."""
    rng = np.random.default_rng((seed, latent))
    rows, values = np.asarray(stored.rows_of(latent)), np.asarray(stored.values_of(latent))
    named = np.flatnonzero(naming[rows])
    weaker = named[N_STRONGEST:]
    shown = np.concatenate([named[:N_STRONGEST], weaker[_spread(len(weaker), N_WEAKER)]])
    near, zeros = _off(stored, latent, among=naming, n=(N_OFF_SHOWN, N_OFF_SHOWN), rng=rng)
    on = rows[~naming[rows]]
    on = on[_spread(len(on), N_ON_JUDGED)]
    half = len(on) // 2
    near_judged, zeros_judged = _off(
        stored, latent, among=~naming, n=(half, len(on) - half), rng=rng
    )
    judged = np.concatenate([on, near_judged, zeros_judged])
    kinds = [ON] * len(on) + [NEAR] * len(near_judged) + [ZERO] * len(zeros_judged)
    order = rng.permutation(len(judged))
    return Rows(
        latent=latent,
        strongest=rows[shown[:N_STRONGEST]],
        weaker=rows[shown[N_STRONGEST:]],
        strengths=10 * values[shown] / values[0],
        near=near,
        zeros=zeros,
        judged=judged[order],
        kinds=[kinds[i] for i in order],
    )


def _spread(n: int, most: int) -> Int[np.ndarray, " places"]:
    """Places from first to last, evenly: the middles of as many equal parts."""
    n_parts = min(n, most)
    return ((np.arange(n_parts) + 0.5) * n / max(n_parts, 1)).astype(int)


def _off(
    stored: StoredCodes,
    latent: int,
    *,
    among: Bool[np.ndarray, " n_rows"],
    n: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[Int[np.ndarray, " n_near"], Int[np.ndarray, " n_zeros"]]:
    """The nearest misses, and random rows; where misses lack, more of the others."""
    near = np.asarray(stored.near_rows[latent])
    near = near[near >= 0]
    near = near[among[near]][: n[0]]
    others = among.copy()
    others[near] = False
    return near, off_rows(stored, latent, among=others, n=sum(n) - len(near), rng=rng)


def read_texts(reader: ShardReader, chosen: list[Rows]) -> dict[int, str]:
    """The texts that are to be shown, by row.

    Raises:
        UsageError: the embeddings come without texts.
    """
    parts = [rows.all_rows() for rows in chosen]
    return texts_at(reader, np.concatenate([*parts, np.zeros(0, np.int64)]).astype(np.int64))
