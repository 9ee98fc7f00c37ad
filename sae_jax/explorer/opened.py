"""A run as the explorer has it open: what there is to show, and what is missing and why."""

import collections
import contextlib
import functools
import pathlib
import threading
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sae_jax.analysis import feature_tables
from sae_jax.analysis.features import FeaturePages
from sae_jax.embed.encoder import Encoder
from sae_jax.errors import SaeJaxError
from sae_jax.explorer import together
from sae_jax.explorer.filters import Filters
from sae_jax.explorer.labels import Labels
from sae_jax.explorer.parameters import is_whole, place
from sae_jax.search import index as indexes
from sae_jax.search.documents import Document, Documents, open_documents
from sae_jax.search.encoders import OPENAI_NAME
from sae_jax.search.families import Family
from sae_jax.search.query import Query
from sae_jax.search.session import Search

DENSE = 0.1  # density of a latent that is no longer sparse
MOST_QUERIES = 256
SNIPPET = 240  # characters of a text in a list


class Options(NamedTuple):
    """How the explorer was started."""

    run: pathlib.Path
    shards: str = ""
    encoder: Encoder | None = None  # in place of the one that the corpus names
    read_only: bool = False
    say: Callable[[str], None] = print


class Recent:
    """The queries asked last: a page asks for the same one each time that a slider moves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: collections.OrderedDict[Hashable, Query] = collections.OrderedDict()

    def of(self, name: Hashable, make: Callable[[], Query]) -> Query:
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        query = make()
        with self._lock:
            self._kept[name] = query
            while len(self._kept) > MOST_QUERIES:
                self._kept.popitem(last=False)
        return query


class Opened:
    """One run on one corpus. Read by several threads."""

    def __init__(self, search: Search, *, options: Options) -> None:
        self.search, self.options = search, options
        stored, reader = search.dictionary.stored, search.reader
        self.stored, self.dictionary = stored, search.dictionary
        self.n_rows, self.n_latents = reader.n_rows, stored.manifest.n_latents
        self.features = feature_tables.folder_for(options.run, stored)
        fingerprint = stored.manifest.run_fingerprint
        self.labels = Labels(self.features, run_fingerprint=fingerprint, say=options.say)
        out = indexes.folder_for(options.run, reader)
        self.documents: Documents | None = open_documents(reader, out=out, say=options.say)
        self.filters = Filters(self.documents, n_rows=self.n_rows)
        self.queries = Recent()
        self.stamp = self._stamp()
        self._encoder_lock = threading.Lock()
        self._ratios: dict[int, float] = {}
        self._ratios_lock = threading.Lock()

    @classmethod
    def open(cls, options: Options) -> "Opened":
        search = Search.open(options.run, shards=options.shards, say=options.say)
        if options.encoder is not None:
            search.use_encoder(options.encoder)
        return cls(search, options=options)

    @property
    def fingerprint(self) -> str:
        """Of the weights and the corpus, short: what a link was made on."""
        manifest = self.stored.manifest
        return f"{manifest.run_fingerprint[:8]}-{manifest.data_fingerprint[:8]}"

    @functools.cached_property
    def pages(self) -> FeaturePages:
        """Raises ShardError where `sae-jax encode` has made no tables of features."""
        tables = feature_tables.open_tables(self.stored, out=self.features)
        return FeaturePages(self.stored, tables)

    @functools.cached_property
    def families(self) -> list[Family]:
        """The largest first. Raises ShardError where there are none of these weights."""
        file = self.search.families
        return [file.family(number) for number in range(file.n_families)]

    @property
    def families_of(self) -> dict[int, list[int]]:
        """Of each latent the numbers of its families; empty where there are none (yet)."""
        return {} if self.missing_families() is not None else self._families_of

    @functools.cached_property
    def _families_of(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for family in self.families:
            for latent in family.members:
                found.setdefault(latent, []).append(family.number)
        return found

    def family_ratio(self, number: int) -> float:
        """R of this family; counted when it is first asked for, a second for 835 members."""
        with self._ratios_lock:
            if number not in self._ratios:
                members = self.families[number].members
                self._ratios[number] = together.ratio(self.stored, members)
            return self._ratios[number]

    def missing_families(self) -> str | None:
        """Why there are none; None where they are there."""
        return _why(lambda: self.families)

    def missing_pages(self) -> str | None:
        return _why(lambda: self.pages)

    def missing_encoder(self) -> str | None:
        """Loads it, the first time."""
        with self._encoder_lock:
            return _why(lambda: self.search.encoder)

    def text(self, text: str) -> Query:
        """Raises UsageError where there is no encoder."""
        self.missing_encoder()  # loads it once, however many ask at the same time
        return self.queries.of(("q", text), lambda: self.search.text(text))

    @functools.cached_property
    def density(self) -> Float[np.ndarray, " n_latents"]:
        return np.asarray(self.stored.density, np.float64)

    @functools.cached_property
    def code_norms(self) -> Float[np.ndarray, " n_rows"]:
        """The length of each row's code."""
        values = np.asarray(self.stored.values)
        return np.sqrt(np.einsum("rk,rk->r", values, values))

    def warm(self, ended: threading.Event) -> None:
        """Reads what the first pages would wait for: filters, families, tables, weights.

        Begins no other part once `ended` is set.
        """
        parts = (
            lambda: self.pages,
            lambda: self.search.neutral_scores(self.search.row(0)),
            lambda: self.families_of,
            lambda: self.filters.fields,
            self._warm_encoder,
        )
        for part in parts:
            if ended.is_set():
                return
            with contextlib.suppress(SaeJaxError):  # whoever asks for it is told
                part()

    def _warm_encoder(self) -> None:
        """Not one at an endpoint: to open it is a call that may be paid for."""
        encoder = self.search.reader.provenance.encoder
        if self.options.encoder is None and not OPENAI_NAME.fullmatch(encoder):
            self.missing_encoder()

    def latent(self, text: str) -> int:
        """The one that an address names; raises NotThereError."""
        return place(text, of="feature", n=self.n_latents)

    def row(self, text: str) -> int:
        """By its number, or else by the document's id; raises NotThereError."""
        if not (is_whole(text) and int(text) < self.n_rows) and self.documents is not None:
            row = self.documents.row_of(text)
            if row is not None:
                return row
        return place(text, of="document", n=self.n_rows)

    def state(self, latent: int) -> str:
        """ "dead", "dense" or "alive"."""
        if not self.density[latent]:
            return "dead"
        return "dense" if self.density[latent] > DENSE else "alive"

    def feature(self, latent: int) -> dict[str, Any]:
        """What every page says of a feature that it names."""
        label = self.labels.current(latent)
        return {
            "latent": latent,
            "label": label.text if label else None,
            "source": label.source if label else None,
            "f1": label.f1 if label else None,
            "state": self.state(latent),
            "density": float(self.density[latent]),
            "highest": float(self.dictionary.highest[latent]),
        }

    def strength(self, latent: int, value: float) -> dict[str, float | None]:
        """With its percentage of the highest on the corpus; none where it is never on there."""
        highest = float(self.dictionary.highest[latent])
        return {"value": value, "percent": 100 * value / highest if highest else None}

    def shown(
        self, rows: list[int] | Int[np.ndarray, " n"], *, whole: bool = False
    ) -> list[dict[str, Any]]:
        """Documents as lists show them, or with their whole texts and all fields."""
        if self.documents is None:
            return [{"row": int(row), "id": str(row)} for row in rows]
        found = self.documents.read(rows, with_fields=whole)
        return [_shown(one, whole=whole) for one in found]

    def is_stale(self) -> bool:
        """Whether files of the run have changed since it was opened."""
        return self._stamp() != self.stamp

    def _stamp(self) -> tuple[int, ...]:
        """Not of labels by hand, which this process writes."""
        own = self.stored.folder / "manifest.json", self.search.families.path
        made = (self.features / name for name in ("labels.jsonl", "llm-labels.jsonl"))
        return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in (*own, *made))


def _shown(document: Document, *, whole: bool) -> dict[str, Any]:
    if whole:
        return document._asdict()
    text = document.text
    if len(text) > SNIPPET:
        text = text[:SNIPPET].rsplit(" ", 1)[0] + " …"
    # A list shows both, one after the other.
    title = "" if text.casefold().startswith(document.title.casefold()) else document.title
    return document._asdict() | {"title": title, "text": text}


def _why(get: Callable[[], object]) -> str | None:
    try:
        get()
    except SaeJaxError as error:
        return str(error)
    return None
