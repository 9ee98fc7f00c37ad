"""Which words and pairs of words the texts of a corpus hold."""

import collections
import itertools
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse  # type: ignore[import-untyped]

from sae_jax.analysis.records import all_records
from sae_jax.data.shards import ShardReader

LEAST_TEXTS = 8  # that hold a term
MOST_SHARE = 0.2  # of the texts: a term in more of them says nothing
WORD = re.compile(r"[^\W\d_][\w'-]*[^\W_]", re.UNICODE)


class Terms(NamedTuple):
    """Terms in order of the alphabet, and which texts hold them."""

    names: list[str]
    held: sparse.csr_array  # [n_rows, n_terms], 1 where the text holds the term


def read_texts(reader: ShardReader) -> list[str]:
    """The text of each row.

    Raises:
        UsageError: the embeddings come without texts.
    """
    return [str(record.get("text", "")) for record in all_records(reader, wanted="texts")]


def terms_of(text: str) -> set[str]:
    """Its words in small letters, and its pairs of neighbouring words."""
    words = WORD.findall(text.lower())
    return {*words, *(f"{a} {b}" for a, b in itertools.pairwise(words))}


def count_terms(texts: Sequence[str], *, least_texts: int = LEAST_TEXTS) -> Terms:
    """The terms that enough and not too many of the texts hold."""
    seen: collections.Counter[str] = collections.Counter()
    for text in texts:
        seen.update(terms_of(text))
    most = MOST_SHARE * len(texts)
    names = sorted(term for term, n in seen.items() if least_texts <= n <= most)
    place = {term: i for i, term in enumerate(names)}
    columns, ends = list[int](), [0]
    for text in texts:
        columns += sorted(place[term] for term in terms_of(text) if term in place)
        ends.append(len(columns))
    ones = np.ones(len(columns), np.int32)
    shape = len(texts), len(names)
    return Terms(names, sparse.csr_array((ones, np.array(columns, int), ends), shape=shape))


def without_likes(terms: Iterable[str], *, most: int) -> list[str]:
    """The first of them, without those that say what an earlier one says."""
    kept: list[str] = []
    for term in terms:
        if len(kept) == most:
            break
        if not any(_alike(term, other) for other in kept):
            kept.append(term)
    return kept


def _alike(one: str, other: str) -> bool:
    """They share a word, or two of their words the most of their letters: debt, debts."""
    return any(
        a == b or (min(len(a), len(b)) > 3 and _common(a, b) >= 0.7 * max(len(a), len(b)))
        for a in one.split()
        for b in other.split()
    )


def _common(a: str, b: str) -> int:
    """How many letters both begin with."""
    n = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        n += 1
    return n
