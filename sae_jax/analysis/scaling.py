"""Scaling laws: how the held-out error falls with dictionary size, k and compute."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import optimize, stats  # type: ignore[import-untyped]

Numbers = Sequence[float | int] | np.ndarray
CONFIDENCE = 0.95
# Exponents that arXiv 2408.00657 finds, figure 2: of training error, by corpus and k.
PAPER_ALPHA = {
    "astro-ph": {16: 0.123, 32: 0.130, 64: 0.148, 128: 0.129},
    "cs.LG": {16: 0.134, 32: 0.142, 64: 0.174, 128: 0.179},
}
ADAM_FLOPS = 14  # of one parameter in one step, with projection, clip and unit rows


class PowerLaw(NamedTuple):
    """loss = c · n^−alpha, fitted on logarithms."""

    c: float
    alpha: float
    low: float  # the 95 % interval of alpha; NaN with fewer than three points
    high: float
    r_squared: float
    n_points: int

    def __call__(self, n: Numbers | float | int) -> Float[np.ndarray, "..."]:
        return np.asarray(self.c * np.asarray(n, float) ** -self.alpha)


def fit_power_law(n: Numbers, loss: Numbers) -> PowerLaw:
    """By least squares on log n and log loss. Several losses of one n are several points.

    The interval is Student's, from how the points scatter about the line: it knows nothing
    of how a law would bend beyond them. Source of the form: arXiv 2408.00657, figure 2.

    Raises:
        ValueError: fewer than two sizes, or a loss that is not positive and finite.
    """
    x, y = np.log(np.asarray(n, float)), _log_losses(loss)
    if len(x) != len(y) or len(set(np.asarray(n).tolist())) < 2:
        raise ValueError(
            f"{len(y)} losses of {len(set(np.asarray(n).tolist()))} sizes; expected a loss for "
            "each point, and at least two different sizes."
        )
    line = stats.linregress(x, y)
    spare = len(x) - 2
    t = stats.t.ppf((1 + CONFIDENCE) / 2, spare) if spare else math.nan
    half = float(t * line.stderr)
    alpha, explained = -float(line.slope), float(line.rvalue) ** 2
    c = math.exp(line.intercept)
    return PowerLaw(c, alpha, alpha - half, alpha + half, explained, len(x))


class JointLaw(NamedTuple):
    """L(n, k) = exp(a + b_k ln k + b_n ln n + g ln k ln n) + exp(z + e ln k).

    The second term is what no dictionary size removes. Source: Gao et al. 2024, section 3.
    """

    a: float
    b_k: float
    b_n: float
    g: float
    z: float
    e: float
    rms_error: float  # of ln L, over the points that were fitted

    def __call__(
        self, n: Numbers | float | int, k: Numbers | float | int
    ) -> Float[np.ndarray, "..."]:
        log_n, log_k = (np.asarray(np.log(np.asarray(of, float))) for of in (n, k))
        return np.asarray(np.exp(_log_joint(np.asarray(self[:6]), log_n, log_k)))


def _log_joint(
    parameters: Float[np.ndarray, " 6"],
    log_n: Float[np.ndarray, "..."],
    log_k: Float[np.ndarray, "..."],
) -> Float[np.ndarray, "..."]:
    a, b_k, b_n, g, z, e = parameters
    falling = a + b_k * log_k + b_n * log_n + g * log_k * log_n
    return np.asarray(np.logaddexp(falling, z + e * log_k))


def fit_joint_law(n: Numbers, k: Numbers, loss: Numbers) -> JointLaw | None:
    """By least squares on log loss, from several starts; None with too few points.

    Six numbers need at least seven points with three sizes and two k.

    Raises:
        ValueError: a loss that is not positive and finite.
    """
    log_n, log_k, y = (
        np.log(np.asarray(n, float)),
        np.log(np.asarray(k, float)),
        _log_losses(loss),
    )
    if len(y) < 7 or len(set(log_n.tolist())) < 3 or len(set(log_k.tolist())) < 2:
        return None
    # Without the second term the law is linear in its numbers: that is where the search starts.
    terms = np.stack([np.ones_like(y), log_k, log_n, log_k * log_n], axis=1)
    linear = np.linalg.lstsq(terms, y, rcond=None)[0]
    fits = [
        optimize.least_squares(
            lambda p: _log_joint(p, log_n, log_k) - y,
            np.array([*linear, y.min() + math.log(share), slope]),
            method="trf",
            max_nfev=5_000,
        )
        for share in (0.01, 0.3, 0.9)
        for slope in (-0.5, 0.0)
    ]
    best = min(fits, key=lambda fit: fit.cost)
    a, b_k, b_n, g, z, e = map(float, best.x)
    return JointLaw(a, b_k, b_n, g, z, e, rms_error=float(np.sqrt(np.mean(best.fun**2))))


def _log_losses(loss: Numbers) -> Float[np.ndarray, " points"]:
    losses = np.asarray(loss, float)
    if not (np.isfinite(losses) & (losses > 0)).all():
        raise ValueError(f"losses {losses.tolist()}; expected positive, finite numbers.")
    return np.log(losses)


def step_flops(*, d_in: int, n_latents: int, k: int, batch_size: int) -> float:
    """Multiplications and additions of one step as it is computed here, without AuxK.

    One dense product, the encoder's; decode and three gradients over the active latents;
    Adam over all parameters. Selecting the top k is not counted.
    """
    dense = 2.0 * batch_size * d_in * n_latents
    active = 4 * 2.0 * batch_size * d_in * k
    return dense + active + ADAM_FLOPS * 2.0 * d_in * n_latents


def paper_step_flops(*, d_in: int, n_latents: int, k: int) -> float:
    """What arXiv 2408.00657 counts a step: one example's forward pass."""
    return 2.0 * d_in * n_latents + 2.0 * d_in * k + n_latents * math.log2(k)


def on_frontier(
    flops: Float[np.ndarray, " points"], loss: Float[np.ndarray, " points"]
) -> Bool[np.ndarray, " points"]:
    """Points that no other reaches with as little compute and as little loss."""
    order = np.lexsort((loss, flops))
    best_before = np.minimum.accumulate(np.concatenate([[np.inf], loss[order][:-1]]))
    found = np.zeros(len(loss), bool)
    found[order] = loss[order] < best_before
    return found
