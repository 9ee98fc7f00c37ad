"""Which documents a search may find: those of certain fields, or that hold certain words."""

import math
import threading
import urllib.parse
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sae_jax.errors import UsageError
from sae_jax.search.documents import Documents

MOST_VALUES = 64  # different ones of a field that can be chosen from
MOST_FIELDS = 12


class Category(NamedTuple):
    """A field with few values; −1 where a document has none."""

    values: list[str]  # the commonest first
    places: Int[np.ndarray, " n_rows"]

    def mask(self, wanted: str, *, name: str) -> Bool[np.ndarray, " n_rows"]:
        if wanted not in self.values and ".." in wanted and (numbers := self._numbers()):
            return numbers.mask(wanted, name=name)
        if wanted not in self.values:
            raise UsageError(
                f"where={name}:{wanted!r}: no document has that; expected one of "
                f"{', '.join(self.values)}."
            )
        return self.places == self.values.index(wanted)

    def _numbers(self) -> "Number | None":
        """The same field as numbers; None where its values are something else."""
        try:
            own = np.array([*map(float, self.values), np.nan])
        except ValueError:
            return None
        return Number(own[self.places])

    def as_json(self) -> dict[str, Any]:
        counts = np.bincount(self.places[self.places >= 0], minlength=len(self.values))
        return {"values": list(zip(self.values, counts.tolist(), strict=True))}


class Number(NamedTuple):
    """A field of numbers, such as a year; NaN where a document has none."""

    numbers: Float[np.ndarray, " n_rows"]

    def mask(self, wanted: str, *, name: str) -> Bool[np.ndarray, " n_rows"]:
        low, dots, high = wanted.partition("..")
        try:
            ends = float(low or "-inf"), float(high or "inf") if dots else float(low)
        except ValueError:
            ends = np.nan, np.nan
        if not ends[0] <= ends[1] or wanted == "..":
            raise UsageError(
                f"where={name}:{wanted!r}: expected LOW..HIGH, such as 2015..2024, or one "
                "number."
            )
        return (self.numbers >= ends[0]) & (self.numbers <= ends[1])

    def as_json(self) -> dict[str, Any]:
        known = self.numbers[np.isfinite(self.numbers)]
        return {"low": float(known.min()), "high": float(known.max())}


class Filters:
    """Of one corpus; its fields are read when they are first asked for."""

    def __init__(self, documents: Documents | None, *, n_rows: int) -> None:
        self.documents, self.n_rows = documents, n_rows
        self._lock = threading.Lock()
        self._fields: dict[str, Category | Number] | None = None

    @property
    def fields(self) -> dict[str, Category | Number]:
        with self._lock:
            if self._fields is None:
                self._fields = self._read()
            return self._fields

    def _read(self) -> dict[str, Category | Number]:
        if self.documents is None:
            return {}
        columns: dict[str, _Column] = {}
        for row, own in self.documents.all_fields():
            for name, value in own.items():
                if isinstance(value, str | int | float) and _is_finite(value):
                    if name not in columns:
                        columns[name] = _Column(self.n_rows)
                    columns[name].add(row, value)
        found = {name: _field(own.values) for name, own in columns.items()}
        useful = [(name, field) for name, field in found.items() if field is not None]
        return dict(useful[:MOST_FIELDS])

    def mask(self, *, where: str, holding: str) -> Bool[np.ndarray, " n_rows"] | None:
        """The rows that fulfil all of it; None where nothing is asked.

        `where` is NAME:VALUE or NAME:LOW..HIGH, several with commas, each part quoted as in
        an address; `holding` is words.
        """
        masks = [self._one(part) for part in where.split(",") if part]
        if holding.strip():
            masks.append(self._holding(holding))
        return np.logical_and.reduce(masks) if masks else None

    def _one(self, part: str) -> Bool[np.ndarray, " n_rows"]:
        name, _, wanted = (urllib.parse.unquote(one) for one in part.partition(":"))
        if name not in self.fields:
            known = ", ".join(self.fields) or "none; its documents have no such fields"
            raise UsageError(
                f"where={part[:80]!r}: there is no field {name!r}; known: {known}."
            )
        return self.fields[name].mask(wanted, name=name)

    def _holding(self, words: str) -> Bool[np.ndarray, " n_rows"]:
        if self.documents is None:
            raise UsageError("holding: this corpus has no texts to look for words in.")
        mask = np.zeros(self.n_rows, bool)
        mask[self.documents.with_words(words, k=self.n_rows).rows] = True
        return mask


class _Column:
    """The values of one field; let go of as soon as nobody could choose from them."""

    def __init__(self, n_rows: int) -> None:
        self.values: list[Any] = [None] * n_rows
        self._different: set[Any] = set()
        self._dropped = self._has_words = False

    def add(self, row: int, value: str | int | float) -> None:
        if self._dropped:
            return
        self.values[row] = value
        self._has_words = self._has_words or isinstance(value, str)
        if len(self._different) <= MOST_VALUES:
            self._different.add(value)
        if self._has_words and len(self._different) > MOST_VALUES:
            self._dropped, self.values = True, []


def _is_finite(value: str | int | float) -> bool:
    """Whole numbers of JSON have no bounds, those of arrays have."""
    try:
        return isinstance(value, str) or math.isfinite(value)
    except OverflowError:
        return False


def _field(values: list[Any]) -> Category | Number | None:
    """None where it tells documents apart too finely to choose from, or not at all."""
    known = [value for value in values if value is not None]
    different = set(known)
    if len(different) < 2:
        return None
    if len(different) <= MOST_VALUES:
        return _category(values, different=different)
    numbers = all(isinstance(value, int | float) for value in different)
    if not numbers or len(different) == len(values):  # such as a row's own number
        return None
    return Number(np.array([np.nan if one is None else float(one) for one in values]))


def _category(values: list[Any], *, different: Iterable[Any]) -> Category:
    names = {value: str(value) for value in different}
    counts = dict.fromkeys(names.values(), 0)
    for value in values:
        if value is not None:
            counts[names[value]] += 1
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    place = {name: i for i, name in enumerate(ordered)}
    places = np.array([-1 if one is None else place[names[one]] for one in values], np.int16)
    return Category(ordered, places)
