"""Linear probes: how much of the rows' classes can be read off a representation.

Multinomial logistic regression; its penalty is chosen on a tenth of the training rows.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import optimize, sparse, special  # type: ignore[import-untyped]

from sae_jax.analysis.intervals import Interval, mean_with_interval
from sae_jax.train.statistics import spread_positions

MOST_ROWS = 32_768  # that a probe is fitted to, spread over the training rows
PENALTIES = (1e-6, 1e-5, 1e-4, 1e-3)  # on squared weights, of vectors of mean square norm 1
ROWS_AT_ONCE = 8_192  # scored
LEAST_GAIN = 1e-5  # of the loss in a step, relative
MOST_STEPS = 100  # of L-BFGS, each penalty from where the one before ended

# The vectors of some rows: an array, or a sparse array.
Vectors = Callable[[Int[np.ndarray, " rows"]], Any]


class Probe(NamedTuple):
    """Scores are vectors · scale @ weights + bias; the class of the highest is said."""

    weights: Float[np.ndarray, "width n_classes"]
    bias: Float[np.ndarray, " n_classes"]
    scale: float

    def right(self, vectors: Any, of_row: Int[np.ndarray, " rows"]) -> np.ndarray:
        """Of each row, whether its class is the one said."""
        weights = (self.weights * self.scale).astype(vectors.dtype)
        said = np.argmax(vectors @ weights + self.bias, axis=1)
        return np.asarray(said == of_row)


def fit(
    vectors: Vectors,
    *,
    row_ids: Int[np.ndarray, " rows"],
    of_row: Int[np.ndarray, " n_rows"],
    n_classes: int,
) -> Probe:
    """On training rows with a class; every tenth of them chooses the penalty."""
    rows = row_ids[of_row[row_ids] >= 0]
    rows = rows[spread_positions(len(rows), most=MOST_ROWS)]
    choosing = np.arange(len(rows)) % 10 == 0
    x, labels = vectors(rows), of_row[rows]
    scale = 1 / max(float(np.sqrt(_squares(x).mean())), 1e-12)
    fitting, checking = np.flatnonzero(~choosing), np.flatnonzero(choosing)
    best, most_right, start = None, -1.0, np.zeros((x.shape[1] + 1) * n_classes)
    for penalty in sorted(PENALTIES, reverse=True):
        start = _minimise(
            x[fitting] * scale,
            labels[fitting],
            n_classes=n_classes,
            penalty=penalty,
            start=start,
        )
        weights = start.reshape(-1, n_classes)
        probe = Probe(weights[:-1], weights[-1], scale)
        right = float(probe.right(x[checking], labels[checking]).mean())
        if right > most_right:
            best, most_right = probe, right
    assert best is not None, "some penalty is the best"
    return best


def _squares(x: Any) -> np.ndarray:
    squares = x.multiply(x) if sparse.issparse(x) else x * x
    return np.asarray(squares.sum(axis=1))


def _minimise(
    x: Any,
    labels: Int[np.ndarray, " rows"],
    *,
    n_classes: int,
    penalty: float,
    start: Float[np.ndarray, " parameters"],
) -> Float[np.ndarray, " parameters"]:
    """Mean cross-entropy plus penalty · Σ weights²; the bias is free."""
    n, transposed = len(labels), x.T.tocsr() if sparse.issparse(x) else x.T
    rows = np.arange(n)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(-1, n_classes)
        scores = x @ weights[:-1].astype(x.dtype) + weights[-1].astype(x.dtype)
        log_p = special.log_softmax(scores, axis=1)
        over = np.exp(log_p)
        over[rows, labels] -= 1
        over /= n
        gradient = np.concatenate([transposed @ over, over.sum(axis=0)[None]])
        gradient[:-1] += 2 * penalty * weights[:-1]
        value = -log_p[rows, labels].mean() + penalty * np.sum(weights[:-1] ** 2)
        return float(value), gradient.astype(np.float64).ravel()

    found = optimize.minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": MOST_STEPS, "ftol": LEAST_GAIN},
    )
    return np.asarray(found.x)


def accuracy(
    probe: Probe,
    vectors: Vectors,
    *,
    row_ids: Int[np.ndarray, " rows"],
    of_row: Int[np.ndarray, " n_rows"],
    seed: int,
) -> Interval:
    """On those of the rows that have a class, with its 95 % interval over them."""
    rows = row_ids[of_row[row_ids] >= 0]
    right = np.concatenate(
        [np.zeros(0, bool)]
        + [
            probe.right(vectors(part), of_row[part])
            for part in np.array_split(rows, -(-len(rows) // ROWS_AT_ONCE))
        ]
        if len(rows)
        else [np.zeros(0, bool)]
    )
    return mean_with_interval(right.astype(np.float64), seed=seed)
