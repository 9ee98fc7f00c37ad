"""What is left when rows come with noise, or without some of their coordinates: curves.

Held-out rows are corrupted; what they are compared with, and all that was fitted, is clean.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sae_jax.analysis import coverage, retrieval
from sae_jax.analysis.concepts import Concepts
from sae_jax.analysis.intervals import Interval, mean_with_interval, ratio_with_interval
from sae_jax.analysis.probes import Probe
from sae_jax.analysis.scorers import (
    Directions,
    Features,
    LatentsOf,
    Weighted,
    scores_of_rows,
)
from sae_jax.data.shards import ShardReader
from sae_jax.model.sparse import Codes
from sae_jax.notebook import Sae
from sae_jax.train.statistics import spread_positions

NOISE = (0.1, 0.2, 0.4, 0.8)  # its length, over the root mean square of ‖x − mean‖
DROPPED = (0.05, 0.1, 0.2, 0.4)  # share of the coordinates, set to their means
MOST_ROWS = 4_096
N_QUERIES = 200


class Corruption(NamedTuple):
    kind: str  # "noise" or "dropped"
    level: float  # 0: none

    def __call__(
        self, x: np.ndarray, *, mean: np.ndarray, spread: float, rng: np.random.Generator
    ) -> np.ndarray:
        if self.kind == "noise":
            scale = self.level * spread / np.sqrt(x.shape[1])
            noisy = x + scale * rng.standard_normal(x.shape)
            return noisy.astype(np.float32)
        dropped = rng.random(x.shape) < self.level
        return np.where(dropped, mean, x).astype(np.float32)


CORRUPTIONS = (
    Corruption("noise", 0.0),
    *(Corruption("noise", level) for level in NOISE),
    *(Corruption("dropped", level) for level in DROPPED),
)


class Rows(NamedTuple):
    """Some held-out rows under one corruption."""

    corruption: Corruption
    x: Float[np.ndarray, "rows d_in"]
    codes: Codes


class Single(NamedTuple):
    """Of each concept the best single feature and its threshold, from clean training rows."""

    feature: list[Weighted]
    threshold: Float[np.ndarray, " n_concepts"]


class Curves:
    """Measures of the same rows under every corruption, the first of them clean."""

    def __init__(
        self, sae: Sae, reader: ShardReader, *, mean: Float[np.ndarray, " d_in"], seed: int
    ) -> None:
        self.sae, self.reader, self.seed = sae, reader, seed
        self.mean = mean.astype(np.float32)
        rng, held_out = np.random.default_rng(seed), reader.held_out_ids
        n = min(MOST_ROWS, len(held_out))
        self.row_ids = np.sort(rng.choice(held_out, n, replace=False))
        clean = reader.read(self.row_ids).astype(np.float32)
        spread = float(np.sqrt(_squared(clean - self.mean).mean()))
        self.rows = []
        for corruption in CORRUPTIONS:
            x = corruption(clean, mean=self.mean, spread=spread, rng=rng)
            self.rows.append(Rows(corruption, x, sae.encode(x)))

    @property
    def query_places(self) -> Int[np.ndarray, " queries"]:
        """Of the rows those that ask for neighbours: spread over all, which lie in order."""
        return spread_positions(len(self.row_ids), most=N_QUERIES)

    def reconstruction(self) -> dict[str, list[Interval]]:
        """The error to the clean rows over their variance, with and without the autoencoder."""
        clean = self.rows[0].x
        wholes = _squared(clean - self.mean)

        def fvu(x_hat: np.ndarray) -> Interval:
            parts = _squared(clean - x_hat)
            return ratio_with_interval(parts, wholes, seed=self.seed)

        return {
            "reconstruction": [
                fvu(np.asarray(self.sae.decode(rows.codes))) for rows in self.rows
            ],
            "embeddings": [fvu(rows.x) for rows in self.rows],
        }

    def latents_kept(self) -> list[Interval]:
        """The share of a clean row's latents that are on for the corrupted one, too."""
        clean = self._vectors(self.rows[0].codes) > 0
        made = []
        for rows in self.rows:
            both = clean.multiply(self._vectors(rows.codes) > 0).sum(axis=1)
            share = both / np.maximum(clean.sum(axis=1), 1)
            made.append(mean_with_interval(np.asarray(share, np.float64), seed=self.seed))
        return made

    def recall(self, spaces: Mapping[str, retrieval.Vectors]) -> dict[str, list[Interval]]:
        """Of clean rows' neighbours, found with corrupted queries in each space."""
        places = self.query_places
        own = self.row_ids[places]
        asked = {
            "embeddings": [rows.x[places] for rows in self.rows],
            "reconstruction": [
                np.asarray(self.sae.decode(Codes(*(part[places] for part in rows.codes))))
                for rows in self.rows
            ],
            "codes": [self._vectors(rows.codes)[places] for rows in self.rows],
        }
        found = {
            name: retrieval.nearest_of_all(
                spaces[name], asked=parts, itself=own, n_rows=self.reader.n_rows
            )
            for name, parts in asked.items()
        }
        truth = found["embeddings"][0]
        return {
            name: [retrieval.compare(ids, truth, seed=self.seed).recall for ids in own_ids]
            for name, own_ids in found.items()
        }

    def accuracy(
        self, fitted: Mapping[str, Probe], *, of_row: Int[np.ndarray, " n_rows"]
    ) -> dict[str, list[Interval]]:
        """Of probes that were fitted to clean rows; by "embeddings" and "codes"."""
        vectors: Mapping[str, Callable[[Rows], Any]] = {
            "embeddings": lambda rows: rows.x,
            "codes": lambda rows: self._vectors(rows.codes),
        }
        known = of_row[self.row_ids] >= 0
        return {
            name: [
                mean_with_interval(
                    probe.right(vectors[name](rows)[known], of_row[self.row_ids[known]]).astype(
                        np.float64
                    ),
                    seed=self.seed,
                )
                for rows in self.rows
            ]
            for name, probe in fitted.items()
            if name in vectors
        }

    def concepts(
        self,
        chosen: Mapping[str, Single],
        *,
        directions: Mapping[str, Float[np.ndarray, "n d_in"]],
        concepts: Concepts,
    ) -> dict[str, list[Interval]]:
        """The F1 of these features; by "latents" and by name of the directions."""
        mask = self._mask()
        made: dict[str, list[Interval]] = {name: [] for name in chosen}
        for rows in self.rows:
            kinds: dict[str, Features] = {
                name: Directions(scores_of_rows(rows.x, self.row_ids), own)
                for name, own in directions.items()
            }
            kinds["latents"] = LatentsOf(
                rows.codes, n_latents=self.sae.n_latents, row_ids=self.row_ids
            )
            for name, own in chosen.items():
                f1 = coverage.judge(
                    kinds[name].summed(own.feature),
                    concepts=concepts,
                    held_out=mask,
                    threshold=own.threshold,
                ).f1
                made[name].append(coverage.summarise(f1, seed=self.seed).f1)
        return made

    def _mask(self) -> Bool[np.ndarray, " n_rows"]:
        mask = np.zeros(self.reader.n_rows, bool)
        mask[self.row_ids] = True
        return mask

    def _vectors(self, codes: Codes) -> Any:
        # Copies: SciPy sorts entries in place, and arrays of JAX are not to be written.
        values, indices = np.array(codes.values), np.array(codes.indices)
        return retrieval.as_vectors(values, indices, n_latents=self.sae.n_latents)


def _squared(vectors: Float[np.ndarray, "rows d_in"]) -> Float[np.ndarray, " rows"]:
    """The square of each one's length."""
    return np.asarray(np.sum(vectors**2, axis=1, dtype=np.float64))
