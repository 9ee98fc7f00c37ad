"""What a feature's page shows beside its rows: histogram, likeness to others, company.

Made once from the codes, so that any page is a few slices of mapped files.
"""

import json
import pathlib
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sae_jax.analysis import cooccurrence
from sae_jax.analysis.codes import StoredCodes
from sae_jax.data.manifest import write_atomically
from sae_jax.errors import ShardError

FORMAT = 1
MANIFEST = "tables.json"
N_BINS = 50  # of a histogram, from 0 to the latent's highest value
N_ALIKE, N_UNLIKE = 16, 8  # latents of the highest and of the lowest decoder cosine
N_TOGETHER = 32  # latents that are on together with it
LATENTS_AT_ONCE = 512


class Tables(NamedTuple):
    """Of each latent; a place left empty has latent −1."""

    histograms: Int[np.ndarray, "n_latents n_bins"]  # rows, from 0 to the highest value
    alike: Int[np.ndarray, "n_latents n_alike"]  # highest decoder cosine first
    alike_cosines: Float[np.ndarray, "n_latents n_alike"]
    unlike: Int[np.ndarray, "n_latents n_unlike"]  # lowest first
    unlike_cosines: Float[np.ndarray, "n_latents n_unlike"]
    together: Int[np.ndarray, "n_latents n_together"]  # highest correlation of being on first
    together_rows: Int[np.ndarray, "n_latents n_together"]  # on which both are on


def folder_for(run: pathlib.Path, stored: StoredCodes) -> pathlib.Path:
    return run / "features" / stored.folder.name


def make(
    stored: StoredCodes, *, W_dec: Float[np.ndarray, "n_latents d_in"], out: pathlib.Path
) -> Tables:
    """Computes the tables and writes them, the manifest last."""
    alike, unlike = _likeness(W_dec)
    made = Tables(_histograms(stored), *alike, *unlike, *_together(stored))
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)
    for name, table in made._asdict().items():
        np.save(out / f"{name}.npy", table)
    write_atomically(out / MANIFEST, json.dumps(_manifest(stored), indent=1).encode())
    return made


def are_of(stored: StoredCodes, *, out: pathlib.Path) -> bool:
    """Whether they are there, and of these codes."""
    path = out / MANIFEST
    return path.exists() and json.loads(path.read_text()) == _manifest(stored)


def _manifest(stored: StoredCodes) -> dict[str, Any]:
    manifest = stored.manifest
    return {"format": FORMAT, **manifest.fingerprints, "n_latents": manifest.n_latents}


def open_tables(stored: StoredCodes, *, out: pathlib.Path) -> Tables:
    """Maps them.

    Raises:
        ShardError: they are not there, or of other codes.
    """
    if not are_of(stored, out=out):
        raise ShardError(
            f"{out}: has no tables of features of these codes. Run `sae-jax encode` for this "
            "run; it makes them, and leaves codes that are there as they are."
        )
    return Tables(*(np.load(out / f"{name}.npy", mmap_mode="r") for name in Tables._fields))


def _histograms(stored: StoredCodes) -> Int[np.ndarray, "n_latents n_bins"]:
    n_latents, starts = stored.manifest.n_latents, stored.latent_starts
    counts = np.zeros((n_latents, N_BINS), np.int32)
    for first in range(0, n_latents, LATENTS_AT_ONCE):
        latents = np.arange(first, min(first + LATENTS_AT_ONCE, n_latents))
        span = slice(int(starts[first]), int(starts[latents[-1] + 1]))
        n_on = np.diff(starts[first : latents[-1] + 2])
        values, of = np.asarray(stored.latent_values[span]), np.repeat(latents - first, n_on)
        highest = np.zeros(len(latents), np.float32)
        np.maximum.at(highest, of, values)
        bins = np.minimum((values / highest[of] * N_BINS).astype(int), N_BINS - 1)
        here = np.bincount(of * N_BINS + bins, minlength=len(latents) * N_BINS)
        counts[latents] = here.reshape(-1, N_BINS)
    return counts


def _likeness(
    W_dec: Float[np.ndarray, "n_latents d_in"],
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Of each latent those of the highest and those of the lowest decoder cosine, and it."""
    n = len(W_dec)
    unit = W_dec / np.maximum(np.linalg.norm(W_dec, axis=1, keepdims=True), 1e-12)
    alike = np.full((n, N_ALIKE), -1, np.int32), np.zeros((n, N_ALIKE), np.float32)
    unlike = np.full((n, N_UNLIKE), -1, np.int32), np.zeros((n, N_UNLIKE), np.float32)
    for start in range(0, n, LATENTS_AT_ONCE):
        rows = slice(start, min(start + LATENTS_AT_ONCE, n))
        cosines = unit[rows] @ unit.T
        own = np.arange(rows.start, rows.stop)
        for (latents, values), sign in ((alike, -1), (unlike, 1)):
            others = sign * cosines
            others[own - start, own] = np.inf  # never itself
            most = min(latents.shape[1], n - 1)
            best = _smallest(others, most=most)
            latents[rows, :most] = best
            values[rows, :most] = np.take_along_axis(cosines, best, axis=1)
    return alike, unlike


def _smallest(
    values: Float[np.ndarray, "rows n"], *, most: int
) -> Int[np.ndarray, "rows most"]:
    """Where each row's smallest are, the smallest first."""
    places = np.argpartition(values, max(most - 1, 0), axis=1)[:, :most]
    order = np.argsort(np.take_along_axis(values, places, axis=1), axis=1, kind="stable")
    return np.take_along_axis(places, order, axis=1)


def _together(stored: StoredCodes) -> tuple[np.ndarray, np.ndarray]:
    """Those that are on together with each significantly often, by correlation.

    Not by lift, which is highest for pairs of the rarest latents, nor by number of rows,
    which is highest for latents that are on nearly everywhere.
    """
    n, n_rows = stored.manifest.n_latents, stored.manifest.n_rows
    pairs = cooccurrence.significant_pairs(cooccurrence.active(stored))
    one = np.concatenate([pairs.first, pairs.second])
    other = np.concatenate([pairs.second, pairs.first])
    n_both, share = np.tile(pairs.n_both, 2), stored.density
    expected = share[one] * share[other] * n_rows
    spread = np.sqrt(share[one] * (1 - share[one]) * share[other] * (1 - share[other]))
    correlation = (n_both - expected) / np.maximum(spread * n_rows, 1e-12)
    order = np.lexsort((other, -correlation, one))
    one, other, n_both = one[order], other[order], n_both[order]
    starts = np.searchsorted(one, np.arange(n))
    place = np.arange(len(one)) - starts[one]
    kept = place < N_TOGETHER
    latents = np.full((n, N_TOGETHER), -1, np.int32)
    rows = np.zeros((n, N_TOGETHER), np.int32)
    latents[one[kept], place[kept]] = other[kept]
    rows[one[kept], place[kept]] = n_both[kept]
    return latents, rows
