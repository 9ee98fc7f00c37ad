"""Moves a query along its features: q' = q + Σ (v − z) d_f, the residual kept.

z is a latent's value in the query, v the one that its slider asks for. A slider's unit is the
percentage of the latent's highest value on the corpus; without a slider v = z, so that
neutral sliders leave the query as it is.
"""

import enum
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sae_jax.errors import UsageError
from sae_jax.search.dictionary import Dictionary
from sae_jax.search.families import Family, values_of_members
from sae_jax.search.query import Query

LEAST_PERCENT, MOST_PERCENT = -100, 300
SNAP = 1e-5  # of the maximum: a slider so near the query's own value is neutral
N_ITERATIONS = 10  # of re-encoding, as in the paper's figure
LEAST_LEFT = 1e-6  # of the query's length
ERROR_REACHED = 1e-8
N_HALVINGS = 5  # of a step that does not lower the error


class Mode(enum.StrEnum):
    """What becomes of the rest of the query."""

    ADJUST = "adjust"  # it stays: the query moves along the features of the sliders alone
    ONLY = "only"  # it goes: the decoded code, and no residual
    RE_ENCODE = "re-encode"  # it changes, until the code of the query is the wanted one


class Steered(NamedTuple):
    """A query after its sliders."""

    query: Query
    mode: Mode
    vector: Float[np.ndarray, " d_in"]
    deltas: dict[int, float]  # v − z of each latent that changes
    errors: list[float]  # of re-encoding: ‖code − wanted‖² / ‖wanted‖² before each step, last

    @property
    def code(self) -> dict[int, float]:
        """The wanted one."""
        return self.query.code | {
            latent: self.query.code.get(latent, 0.0) + delta
            for latent, delta in self.deltas.items()
        }

    @property
    def fidelity(self) -> float:
        """cos(q, q'): 1 is the same question, below .5 it is another one."""
        norms = np.linalg.norm(self.vector) * np.linalg.norm(self.query.vector)
        return float(self.vector @ self.query.vector / norms) if norms else 0.0


def steer(
    query: Query,
    sliders: Mapping[int, float | int],
    *,
    dictionary: Dictionary,
    families: Sequence[tuple[Family, float | int]] = (),
    mode: Mode = Mode.ADJUST,
) -> Steered:
    """`sliders` sets latents, `families` families; a member's own slider wins.

    A member of several families follows the one that moves it furthest.

    Raises:
        UsageError: a value out of range, or a latent that is not there or never on.
    """
    deltas = _deltas(query, sliders, dictionary=dictionary, families=families)
    moved = query.vector + dictionary.directions(deltas) if deltas else query.vector
    steered = Steered(query, mode, moved, deltas, [])
    if mode is Mode.ADJUST:
        return _checked(steered)
    if mode is Mode.ONLY:
        decoded = dictionary.directions(steered.code)
        if query.bias:
            decoded = decoded + dictionary.b_dec
        return _checked(steered._replace(vector=decoded))
    wanted = _reachable(steered.code, asked=deltas, k=dictionary.sae.k)
    vector, errors = re_encode(moved, wanted, dictionary=dictionary)
    every = query.code.keys() | wanted.keys()
    deltas = {i: wanted.get(i, 0.0) - query.code.get(i, 0.0) for i in sorted(every)}
    deltas = {latent: delta for latent, delta in deltas.items() if delta}
    return _checked(Steered(query, mode, vector, deltas, errors))


def _checked(steered: Steered) -> Steered:
    """Raises UsageError where the sliders have left nothing to search with."""
    if np.linalg.norm(steered.vector) < LEAST_LEFT * steered.query.norm:
        raise UsageError(
            f"the sliders leave nothing of {steered.query.origin}: its vector is zero, which "
            "is near to no row. Set another feature, or keep one of its own."
        )
    return steered


def check_percent(percent: float | int, *, of: str) -> None:
    if not LEAST_PERCENT <= percent <= MOST_PERCENT:  # nor NaN
        raise UsageError(
            f"{of} is set to {percent:g} %; expected {LEAST_PERCENT} to {MOST_PERCENT}, in "
            "percent of its highest value on the corpus; 0 is off."
        )


def _deltas(
    query: Query,
    sliders: Mapping[int, float | int],
    *,
    dictionary: Dictionary,
    families: Sequence[tuple[Family, float | int]],
) -> dict[int, float]:
    deltas: dict[int, float] = {}
    for family, percent in families:
        check_percent(percent, of=f"family {family.number}")
        values = values_of_members(
            family, float(percent), natural=query.code, dictionary=dictionary
        )
        for latent, value in values.items():
            delta = value - query.code.get(latent, 0.0)
            if abs(delta) > abs(deltas.get(latent, 0.0)):
                deltas[latent] = delta
    dictionary.check(list(sliders))
    for latent, percent in sliders.items():
        check_percent(percent, of=f"latent {latent}")
        value = percent / 100 * float(dictionary.highest[latent])
        deltas[latent] = value - query.code.get(latent, 0.0)
    return {
        latent: delta
        for latent, delta in sorted(deltas.items())
        if abs(delta) > SNAP * dictionary.highest[latent]
    }


def _reachable(
    code: Mapping[int, float], *, asked: Mapping[int, float], k: int
) -> dict[int, float]:
    """The code with at most k latents on: those of the sliders, then the strongest.

    Raises UsageError where a value is negative, which no code has.
    """
    below = [f"{latent} ({value:.3g})" for latent, value in code.items() if value < -1e-9]
    if below:
        raise UsageError(
            f"re-encode looks for a query whose code is the wanted one, and codes have no "
            f"values below 0, as is asked of latent {', '.join(below[:5])}. Set 0 or more, or "
            "use adjust."
        )
    on = [latent for latent, value in code.items() if value > 0]
    kept = sorted(on, key=lambda latent: (latent not in asked, -code[latent], latent))[:k]
    return {latent: code[latent] for latent in kept}


def re_encode(
    x: Float[np.ndarray, " d_in"], wanted: Mapping[int, float], *, dictionary: Dictionary
) -> tuple[Float[np.ndarray, " d_in"], list[float]]:
    """The vector near x whose code is the wanted one, and the errors on the way.

    Each step is the smallest that would set the pre-activations of the wanted latents to
    their values, and those of others that were on so far to 0 or less, were no other to turn
    on by it (Gauss and Newton's). It is halved where the error would grow. The paper's own
    iteration (figures alone are published) reaches .04 to .11 in ten steps.
    """
    seen = set(wanted)
    best, code = x, dictionary.encode(x)
    errors = [code_error(code, wanted)]
    for _ in range(N_ITERATIONS):
        if errors[-1] <= ERROR_REACHED:
            break
        seen |= code.keys()
        latents = sorted(seen)
        rows = dictionary.W_enc_rows[latents]
        pre_acts = rows @ (best - dictionary.b_dec) + dictionary.b_enc[latents]
        target = np.array([wanted.get(latent, 0.0) for latent in latents])
        gap = np.where(target > 0, target - pre_acts, np.minimum(-pre_acts, 0))
        step = np.linalg.lstsq(rows, gap.astype(np.float32), rcond=1e-3)[0]
        for halved in range(N_HALVINGS):
            tried = (best + step / 2**halved).astype(np.float32)
            found = dictionary.encode(tried)
            error = code_error(found, wanted)
            if error < errors[-1]:
                break
        else:
            break  # no step lowers it
        best, code = tried, found
        errors.append(error)
    return best, errors


def code_error(code: Mapping[int, float], wanted: Mapping[int, float]) -> float:
    """‖code − wanted‖² / ‖wanted‖²."""
    every = code.keys() | wanted.keys()
    missed = sum((code.get(i, 0.0) - wanted.get(i, 0.0)) ** 2 for i in every)
    return missed / max(sum(value**2 for value in wanted.values()), 1e-12)
