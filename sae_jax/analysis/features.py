"""Everything there is to see of one feature, in under a millisecond.

pages = open_pages("runs/first")
page = pages.page(417)
page.top.rows, page.near.rows, page.together
"""

import itertools
import pathlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sae_jax.analysis import encode, feature_tables
from sae_jax.analysis.codes import StoredCodes
from sae_jax.analysis.feature_tables import Tables
from sae_jax.notebook import load, open_corpus

N_TOP = 20
N_DECILES = 10
N_PER_DECILE = 5
N_RANDOM = 10  # rows on which it is on, whatever its value


class Examples(NamedTuple):
    """Rows of the corpus, and the latent's value there; of near misses its pre-activation."""

    rows: Int[np.ndarray, " n"]
    values: Float[np.ndarray, " n"]


class Likeness(NamedTuple):
    latent: int
    cosine: float  # of the two decoder rows


class Company(NamedTuple):
    """A latent that is on together with this one beyond chance."""

    latent: int
    n_rows: int  # on which both are on
    lift: float  # that, over what independence expects
    share: float  # of this latent's rows


class Page(NamedTuple):
    """Of one latent."""

    latent: int
    n_on: int  # rows on which it is on
    density: float  # their share of all rows
    highest: float  # its highest value; 0 of a latent that is never on
    histogram: Int[np.ndarray, " n_bins"]  # rows by value, from 0 to the highest
    top: Examples
    deciles: list[Examples]  # drawn from each tenth of its rows, the strongest tenth first
    random: Examples  # drawn from all of its rows
    near: Examples  # it is off on these, though nearly on
    alike: list[Likeness]
    unlike: list[Likeness]
    together: list[Company]


class FeaturePages:
    """The pages of a run's features on one corpus; opened once."""

    def __init__(self, stored: StoredCodes, tables: Tables, *, seed: int = 0) -> None:
        self.stored, self.seed = stored, seed
        self.n_latents, self.n_rows = stored.manifest.n_latents, stored.manifest.n_rows
        self.n_on = stored.n_on
        # Plain views of the mapped files: a slice of np.memmap takes ten times as long.
        self.rows, self.values = (
            np.asarray(stored.latent_rows),
            np.asarray(stored.latent_values),
        )
        self.near = np.asarray(stored.near_rows), np.asarray(stored.near_pre_acts)
        self.tables = Tables(*map(np.asarray, tables))

    def page(self, latent: int) -> Page:
        """The same each time: draws depend on the seed and on the latent alone.

        Raises:
            IndexError: there is no such latent.
        """
        if not 0 <= latent < self.n_latents:
            raise IndexError(f"latent {latent}: expected 0 to {self.n_latents - 1}")
        rng, tables, n = (
            np.random.default_rng((self.seed, latent)),
            self.tables,
            self._n(latent),
        )
        top = self._examples(latent, np.arange(min(N_TOP, n)))
        edges = [n * i // N_DECILES for i in range(N_DECILES + 1)]
        return Page(
            latent=latent,
            n_on=n,
            density=n / self.n_rows,
            highest=float(top.values[0]) if n else 0.0,
            histogram=tables.histograms[latent],
            top=top,
            deciles=[
                self._examples(latent, start + _spread(end - start, N_PER_DECILE, rng=rng))
                for start, end in itertools.pairwise(edges)
            ],
            random=self._examples(latent, _spread(n, N_RANDOM, rng=rng)),
            near=self._near(latent),
            alike=_likeness(tables.alike[latent], tables.alike_cosines[latent]),
            unlike=_likeness(tables.unlike[latent], tables.unlike_cosines[latent]),
            together=self._company(latent),
        )

    def _n(self, latent: int) -> int:
        return int(self.n_on[latent])

    def _examples(self, latent: int, places: Int[np.ndarray, " n"]) -> Examples:
        """At these places of its rows, the strongest being 0."""
        at = self.stored.latent_starts[latent] + places
        return Examples(self.rows[at], self.values[at])

    def _near(self, latent: int) -> Examples:
        rows, pre_acts = (one[latent] for one in self.near)
        known = rows >= 0
        return Examples(rows[known], pre_acts[known])

    def _company(self, latent: int) -> list[Company]:
        others, n_both = self.tables.together[latent], self.tables.together_rows[latent]
        n, known = self._n(latent), others >= 0
        others, n_both = others[known], n_both[known]
        lift = n_both * self.n_rows / (n * self.n_on[others])
        fields = others.tolist(), n_both.tolist(), lift.tolist(), (n_both / n).tolist()
        return [Company(*own) for own in zip(*fields, strict=True)]


def _spread(n: int, most: int, *, rng: np.random.Generator) -> Int[np.ndarray, " drawn"]:
    """Places below n in ascending order, one drawn from each of `most` equal parts.

    In a time that does not grow with n, as a draw without replacement would.
    """
    if n <= most:
        return np.arange(n)
    edges = np.arange(most + 1) * n // most
    return edges[:-1] + (rng.random(most) * np.diff(edges)).astype(int)


def _likeness(
    latents: Int[np.ndarray, " n"], cosines: Float[np.ndarray, " n"]
) -> list[Likeness]:
    found = zip(latents.tolist(), cosines.tolist(), strict=True)
    return [Likeness(latent, cosine) for latent, cosine in found if latent >= 0]


def open_pages(
    run: str | pathlib.Path, *, shards: str | pathlib.Path = "", seed: int = 0
) -> FeaturePages:
    """Of a run that `sae-jax encode` has encoded, on its own corpus or that of `shards`.

    Raises:
        ShardError: codes or tables are not there, or of other weights.
    """
    folder, sae = pathlib.Path(run), load(run)
    stored = encode.open_run_codes(folder, sae, open_corpus(folder, sae, shards=shards))
    out = feature_tables.folder_for(folder, stored)
    return FeaturePages(stored, feature_tables.open_tables(stored, out=out), seed=seed)
