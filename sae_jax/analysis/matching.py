"""Which latents of two runs are the same: mutual nearest neighbours, beside what chance gives.

Latents are compared by their decoder rows (cosine) and by what they do on a corpus that both
runs have encoded (correlation of their values over its rows: by cosine latents would be alike
for being on nearly everywhere). Latents that are never on in that corpus are left out of both.

  runs, reader = matching_runs.open_runs(["runs/a", "runs/b"])
  pair = match(*runs)
  pair.real["decoder"].forward.similarity  # of each latent of a to its nearest in b
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse  # type: ignore[import-untyped]

from sae_jax.analysis.intervals import mean_with_interval, median_with_interval
from sae_jax.analysis.matching_runs import Run, check_comparable

WAYS = ("activation", "decoder")
THRESHOLDS = (0.5, 0.7, 0.9)
SAME = 0.7  # from this similarity on a mutual match counts as the same latent
LATENTS_AT_ONCE = 512  # of which the similarities to all latents of the other run are dense


class Nearest(NamedTuple):
    """To each latent of a run the one of another run that is most like it."""

    latent: Int[np.ndarray, " n_latents"]  # −1: it is never on itself
    similarity: Float[np.ndarray, " n_latents"]  # NaN there
    mutual: Bool[np.ndarray, " n_latents"]  # it is that one's nearest, too

    def same(self, *, least: float) -> Bool[np.ndarray, " n_latents"]:
        """Which have a mutual match of at least this similarity."""
        return self.mutual & (self.similarity >= least)


class Match(NamedTuple):
    forward: Nearest  # from the first run to the second
    backward: Nearest


class Pair(NamedTuple):
    """Two runs matched in each of WAYS, and what chance gives in each."""

    one: Run
    other: Run
    real: dict[str, Match]
    null: dict[str, Match]


class Estimate(NamedTuple):
    """A number with its 95 % interval over latents, and what it is by chance."""

    value: float
    low: float
    high: float
    null: float


class Summary(NamedTuple):
    """Of the latents of one run, matched to another."""

    n_latents: int  # that are ever on
    n_dead: int
    median: Estimate  # of the similarity to the nearest
    mutual: dict[str, Estimate]  # by threshold: share with a mutual match from there on
    same_number: float  # of the mutual matches from SAME on: share with one number in both runs


def match(one: Run, other: Run, *, seed: int = 0) -> Pair:
    """Both ways, and the same against what has nothing to do with the first run.

    By decoder: rows of the same mean and covariance as the other's (`alike`). By activation:
    the other's codes after the rows of the corpus have traded places, all latents' together.
    Each latent keeps its values and the latents that it is on with; only the tie between the
    runs is cut. (WordNet: a trade for each latent alone gives the same median to .0002.)

    Raises:
        UsageError: they are not codes of one corpus, or not rows of one width.
    """
    check_comparable(one, other)
    rng = np.random.default_rng(seed)
    directions, others = _directions(one), _directions(other)
    profiles = _profiles(one)
    traded = rng.permutation(other.stored.manifest.n_rows)
    found = {
        "activation": (
            _correlations(profiles, _profiles(other)),
            _correlations(profiles, _profiles(other, rows=traded)),
        ),
        "decoder": (
            _cosines(directions, others),
            _cosines(directions, alike(others, rng=rng)),
        ),
    }
    return Pair(
        one,
        other,
        {way: _nearest(real, one=one, other=other) for way, (real, _) in found.items()},
        {way: _nearest(null, one=one, other=other) for way, (_, null) in found.items()},
    )


def alike(
    directions: Float[np.ndarray, "n d_in"], *, rng: np.random.Generator
) -> Float[np.ndarray, "n d_in"]:
    """As many unit rows drawn from a Gaussian with the mean and the covariance of these.

    Embeddings fill their space unevenly, and so do decoder rows: two of them are alike by
    chance more than two directions of the sphere, or than one and a rotated one.
    """
    drawn = rng.multivariate_normal(
        directions.mean(axis=0), np.cov(directions.T), size=len(directions), method="eigh"
    )
    return _unit(drawn.astype(np.float32))


def _directions(run: Run) -> Float[np.ndarray, "n_alive d_in"]:
    return _unit(run.W_dec[run.alive])


def _unit(rows: Float[np.ndarray, "n d_in"]) -> Float[np.ndarray, "n d_in"]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _cosines(
    ours: Float[np.ndarray, "n d_in"], theirs: Float[np.ndarray, "n_other d_in"]
) -> Iterator[Float[np.ndarray, "block n_other"]]:
    for start in range(0, len(ours), LATENTS_AT_ONCE):
        yield ours[start : start + LATENTS_AT_ONCE] @ theirs.T


class _Profiles(NamedTuple):
    """Latents' values over the rows, scaled so that products less means' are correlations."""

    values: sparse.csc_array  # [n_rows, n_alive]
    means: Float[np.ndarray, " n_alive"]  # times sqrt(n_rows)


def _profiles(run: Run, *, rows: Int[np.ndarray, " n_rows"] | None = None) -> _Profiles:
    """`rows` says where each row of the corpus goes, if not to its own place."""
    stored = run.stored
    n_rows = stored.manifest.n_rows
    values = np.asarray(stored.latent_values, np.float64)
    totals, squares = stored.totals(values), stored.totals(values**2)
    spread = squares - totals**2 / n_rows
    varies = spread > 1e-9 * squares  # else it is on everywhere alike, and like nothing
    scale = np.where(varies, 1 / np.sqrt(np.where(varies, spread, 1)), 0)
    places = None if rows is None else rows[stored.latent_rows]
    scaled = stored.matrix(values * np.repeat(scale, stored.n_on), rows=places)
    return _Profiles(scaled[:, run.alive], (totals * scale / np.sqrt(n_rows))[run.alive])


def _correlations(
    ours: _Profiles, theirs: _Profiles
) -> Iterator[Float[np.ndarray, "block n_other"]]:
    by_row = theirs.values.tocsr()
    for start in range(0, len(ours.means), LATENTS_AT_ONCE):
        own = slice(start, start + LATENTS_AT_ONCE)
        products = (ours.values[:, own].T @ by_row).toarray()
        yield products - np.outer(ours.means[own], theirs.means)


def _nearest(blocks: Iterator[np.ndarray], *, one: Run, other: Run) -> Match:
    """In both directions, from similarities that come a few of one's latents at a time."""
    ours, theirs = one.alive, other.alive
    there, high = np.zeros(len(ours), int), np.zeros(len(ours))
    here, back_high = np.zeros(len(theirs), int), np.full(len(theirs), -np.inf)
    start = 0
    for block in blocks:
        own = slice(start, start + len(block))
        there[own], high[own] = block.argmax(axis=1), block.max(axis=1)
        places, highest = block.argmax(axis=0), block.max(axis=0)
        better = highest > back_high
        here[better], back_high[better] = start + places[better], highest[better]
        start += len(block)
    return Match(
        _placed(one, theirs[there], high, here[there] == np.arange(len(ours))),
        _placed(other, ours[here], back_high, there[here] == np.arange(len(theirs))),
    )


def _placed(
    run: Run, latent: np.ndarray, similarity: np.ndarray, mutual: np.ndarray
) -> Nearest:
    """Of all latents, from those that are ever on."""
    n = run.stored.manifest.n_latents
    nearest = Nearest(np.full(n, -1), np.full(n, np.nan), np.zeros(n, bool))
    for field, own in zip(nearest, (latent, similarity, mutual), strict=True):
        field[run.alive] = own
    return nearest


def summarise(real: Nearest, null: Nearest, *, seed: int = 0) -> Summary:
    alive, same = real.latent >= 0, real.same(least=SAME)
    median = median_with_interval(real.similarity[alive], seed=seed)
    mutual = {
        str(least): share(real.same(least=least), null.same(least=least), of=alive, seed=seed)
        for least in THRESHOLDS
    }
    numbers = real.latent[same] == np.flatnonzero(same)
    return Summary(
        int(alive.sum()),
        int((~alive).sum()),
        Estimate(*median, float(np.median(null.similarity[alive]))),
        mutual,
        float(numbers.mean()) if len(numbers) else 0.0,
    )


def share(
    real: Bool[np.ndarray, " n"],
    null: Bool[np.ndarray, " n"],
    *,
    of: Bool[np.ndarray, " n"],
    seed: int,
) -> Estimate:
    """Of the latents in `of` the share of which it is true."""
    return Estimate(
        *mean_with_interval(real[of].astype(float), seed=seed), float(null[of].mean())
    )


def universality(
    pairs: Sequence[Pair], *, way: str, least: float = SAME, seed: int = 0
) -> dict[str, Estimate]:
    """The share of the first run's latents that are in every other run, and in any.

    That is: have a mutual match of at least this similarity there. All pairs begin with the
    same run.
    """
    real = np.stack([pair.real[way].forward.same(least=least) for pair in pairs])
    null = np.stack([pair.null[way].forward.same(least=least) for pair in pairs])
    alive = pairs[0].real[way].forward.latent >= 0
    kinds = {"every": np.all(real, axis=0), "any": np.any(real, axis=0)}
    nulls = {"every": np.all(null, axis=0), "any": np.any(null, axis=0)}
    return {name: share(kinds[name], nulls[name], of=alive, seed=seed) for name in kinds}
