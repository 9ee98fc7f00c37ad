"""A run opened for search, in a notebook or behind a page.

search = Search.open("runs/first")
query = search.text("a large animal that is ridden")
hits = search.hits(search.steer(query, {417: 140, 88: -50}), k=10)
"""

import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from sae_jax.analysis import encode, feature_tables
from sae_jax.analysis.label_names import read_labels
from sae_jax.data.shards import ShardReader
from sae_jax.embed.encoder import Encoder
from sae_jax.errors import UsageError
from sae_jax.notebook import load, open_corpus
from sae_jax.search import index as indexes
from sae_jax.search import query as queries
from sae_jax.search import steer as steering
from sae_jax.search.columns import Columns
from sae_jax.search.dictionary import Dictionary
from sae_jax.search.encoders import check_same, encoder_of
from sae_jax.search.explain import Explanation, explain
from sae_jax.search.families import FamilyFile
from sae_jax.search.index import ExactIndex, Hits, Index, best
from sae_jax.search.query import Query
from sae_jax.search.steer import Mode, Steered

# More directions that are not kept cost more than one product with their sum: on two cores
# and 117,791 rows of 384, 4 columns take 56 ms and one takes 24.
MOST_COLUMNS_AT_ONCE = 4
N_NEUTRAL = (
    100  # rows, or k, whose place without sliders an index that is not exact is asked for
)


class Hit(NamedTuple):
    row: int
    score: float  # q'·x / ‖q‖; of a neutral query the cosine
    neutral_rank: int | None  # from 1, of the same query without sliders; None: not known
    record: dict[str, Any] | None  # text and metadata, where the corpus has them
    explanation: Explanation


class Strength(NamedTuple):
    """Of one feature in a query."""

    latent: int
    value: float
    percent: float  # of its highest value on the corpus
    label: str | None


class Search:
    """Queries, sliders and hits of one run on one corpus."""

    def __init__(
        self,
        *,
        dictionary: Dictionary,
        reader: ShardReader,
        index: Index,
        run: pathlib.Path,
    ) -> None:
        self.dictionary, self.reader, self.index = dictionary, reader, index
        self.columns = Columns(index)
        self.families = FamilyFile(run, dictionary.stored)
        self._run = run
        self._encoder: Encoder | None = None

    @classmethod
    def open(
        cls,
        run: str | pathlib.Path,
        *,
        shards: str | pathlib.Path = "",
        engine: str = "exact",
        say: Callable[[str], None] = print,
    ) -> "Search":
        """A run that `sae-jax encode` has encoded, on its corpus or that of `shards`.

        `engine` is "exact" or "usearch".

        Raises:
            ShardError: there are no codes of this corpus, or they are of other weights.
        """
        folder, sae = pathlib.Path(run), load(run)
        reader = open_corpus(folder, sae, shards=shards)
        stored = encode.open_run_codes(folder, sae, reader)
        out = indexes.folder_for(folder, reader)
        index: Index = indexes.open_exact(reader, out=out, say=say)
        if engine == "usearch":
            from sae_jax.search.hnsw import open_hnsw

            assert isinstance(index, ExactIndex)
            index = open_hnsw(index, fingerprint=reader.fingerprint, out=out, say=say)
        elif engine != "exact":
            raise UsageError(f"engine={engine!r}: expected 'exact' or 'usearch'.")
        dictionary = Dictionary(sae=sae, stored=stored)
        return cls(dictionary=dictionary, reader=reader, index=index, run=folder)

    @functools.cached_property
    def labels(self) -> dict[int, str]:
        stored = self.dictionary.stored
        folder = feature_tables.folder_for(self._run, stored)
        return read_labels(folder, run_fingerprint=stored.manifest.run_fingerprint)

    @property
    def encoder(self) -> Encoder:
        """Found and loaded when it is first asked for; raises UsageError where none is."""
        if self._encoder is None:
            self._encoder = encoder_of(self.reader)
        return self._encoder

    def use_encoder(self, encoder: Encoder) -> None:
        """In place of the one that the manifest names, if any; raises UsageError on another."""
        check_same(encoder, self.reader)
        self._encoder = encoder

    def text(self, text: str) -> Query:
        return queries.of_text(text, encoder=self.encoder, dictionary=self.dictionary)

    def row(self, row: int) -> Query:
        return queries.of_row(row, reader=self.reader, dictionary=self.dictionary)

    def latent(self, latent: int) -> Query:
        return queries.of_latent(latent, dictionary=self.dictionary)

    def family(self, number: int) -> Query:
        return queries.of_family(self.families.family(number), dictionary=self.dictionary)

    def steer(
        self,
        query: Query,
        sliders: Mapping[int, float | int],
        *,
        families: Mapping[int, float | int] | None = None,
        mode: Mode | str = Mode.ADJUST,
    ) -> Steered:
        """Latents, and families by number, in percent of their maximum, −100 to 300."""
        chosen = (families or {}).items()
        return steering.steer(
            query,
            sliders,
            dictionary=self.dictionary,
            families=[(self.families.family(number), percent) for number, percent in chosen],
            mode=named_mode(mode),
        )

    def hits(
        self,
        asked: Query | Steered,
        *,
        k: int = 10,
        among: Bool[np.ndarray, " n_rows"] | None = None,
        with_records: bool = True,
    ) -> list[Hit]:
        """The k best rows of those that `among` marks, with their records and reasons.

        Records are read by one thread at a time only; all else by any number of them.
        """
        if isinstance(asked, Query):
            asked = self.steer(asked, {})
        found, ranks = self.ranked(asked, k=k, among=among)
        records: Sequence[dict[str, Any] | None] | None
        records = self.reader.records(found.rows) if with_records else None
        vectors = self.index.vectors(found.rows)
        reasons = explain(asked, vectors, dictionary=self.dictionary)
        records = [None] * len(found.rows) if records is None else records
        fields = found.rows.tolist(), found.scores.tolist(), ranks, records, reasons
        return [Hit(*own) for own in zip(*fields, strict=True)]

    def ranked(
        self, asked: Steered, *, k: int, among: Bool[np.ndarray, " n_rows"] | None
    ) -> tuple[Hits, list[int | None]]:
        """The best rows, and of each its place without sliders; not their reasons."""
        query = asked.query
        if isinstance(self.index, ExactIndex):
            neutral = self.neutral_scores(query)
            found = best(self.scores(asked), k=k, among=among)
            shown = neutral if among is None else np.where(among, neutral, -np.inf)
            return found, [_rank(shown, row) for row in found.rows.tolist()]
        unit = asked.vector / query.norm
        found = self.index.search(unit, k=k, among=among)
        before = self.index.search(query.vector / query.norm, k=max(N_NEUTRAL, k), among=among)
        places = {row: i + 1 for i, row in enumerate(before.rows.tolist())}
        return found, [places.get(row) for row in found.rows.tolist()]

    def neutral_scores(self, query: Query) -> Float[np.ndarray, " n_rows"]:
        """The cosine of every row with the query."""
        (scores,) = self.columns.of({query.vector.tobytes(): query.vector / query.norm})
        return scores

    def scores(self, steered: Steered) -> Float[np.ndarray, " n_rows"]:
        """Of every row: the query's, and a column for each latent that moved."""
        query, W_dec = steered.query, self.dictionary.W_dec
        missing = [latent for latent in steered.deltas if latent not in self.columns]
        if steered.mode is not Mode.ADJUST or len(missing) > MOST_COLUMNS_AT_ONCE:
            return self.index.scores((steered.vector / query.norm)[None])[0]
        scores = self.neutral_scores(query)
        columns = self.columns.of({latent: W_dec[latent] for latent in steered.deltas})
        for delta, column in zip(steered.deltas.values(), columns, strict=True):
            scores = scores + np.float32(delta / query.norm) * column
        return scores

    def strengths(self, query: Query, *, most: int | None = None) -> list[Strength]:
        """The query's own features, strongest first."""
        highest = self.dictionary.highest
        found = [
            Strength(i, value, 100 * value / float(highest[i]), self.labels.get(i))
            for i, value in query.code.items()
            if highest[i]
        ]
        return sorted(found, key=lambda one: (-one.value, one.latent))[:most]


def named_mode(name: Mode | str) -> Mode:
    if name not in list(Mode):
        raise UsageError(f"mode {name!r}: expected {', '.join(Mode)}.")
    return Mode(name)


def _rank(scores: Float[np.ndarray, " n_rows"], row: int) -> int:
    """From 1; of equal scores the earlier row comes first."""
    before = np.count_nonzero(scores > scores[row])
    return int(before + np.count_nonzero(scores[:row] == scores[row])) + 1
