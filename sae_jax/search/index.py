"""Finds the rows of a corpus nearest to a vector, exactly: a product with every row.

Scores are inner products with rows of unit length, so that of a unit query they are cosines;
rows that are not stored so are scaled by 1 / norm, which is computed once. NumPy multiplies
float16 four times slower than float32 (85 against 24 ms for 117,791 rows of 384 on two cores,
even where each block is converted), so a corpus of 16-bit rows is copied once as float32:
RUN/search/CORPUS holds vectors.npy (only of such a corpus), scale.npy and, written last,
index.json. Both files are mapped, not read.
"""

import io
import json
import os
import pathlib
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.lib.format import open_memmap

from sae_jax.data.manifest import write_atomically
from sae_jax.data.progress import Progress
from sae_jax.data.shards import ShardReader

FORMAT = 1
MANIFEST, VECTORS, SCALE = "index.json", "vectors.npy", "scale.npy"


class Hits(NamedTuple):
    """The best rows, best first; of equal scores the earlier row."""

    rows: Int[np.ndarray, " n"]
    scores: Float[np.ndarray, " n"]


@runtime_checkable
class Index(Protocol):
    """What search asks of an engine; a vector database can stand behind it as well."""

    def search(
        self,
        vector: Float[np.ndarray, " d_in"],
        *,
        k: int,
        among: Bool[np.ndarray, " n_rows"] | None = None,
    ) -> Hits:
        """The k rows of highest score, or as many as there are, of those that `among` marks."""

    def scores(self, directions: Float[np.ndarray, "n d_in"]) -> Float[np.ndarray, "n n_rows"]:
        """Of every row with each direction."""

    def vectors(self, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n d_in"]:
        """These rows, of unit length."""


def best(
    scores: Float[np.ndarray, " n_rows"],
    *,
    k: int,
    among: Bool[np.ndarray, " n_rows"] | None = None,
) -> Hits:
    """The k highest scores without sorting the others."""
    rows = np.arange(len(scores)) if among is None else np.flatnonzero(among)
    own = scores if among is None else scores[rows]
    k = min(k, len(rows))
    if not k:
        return Hits(rows[:0], own[:0])
    # All that reach the k-th highest, so that of equals the earlier row can be chosen.
    places = np.flatnonzero(own >= np.partition(own, len(own) - k)[len(own) - k])
    places = places[np.lexsort((places, -own[places]))[:k]]
    return Hits(rows[places], own[places])


class ExactIndex:
    """Rows in one or several arrays of float32, memory-mapped, and what makes each a unit."""

    def __init__(
        self, parts: list[Float[np.ndarray, "_ d_in"]], *, scale: Float[np.ndarray, " n_rows"]
    ) -> None:
        self.parts, self.scale = parts, scale
        self.first_rows = np.cumsum([0, *map(len, parts)])
        self.n_rows, self.d_in = int(self.first_rows[-1]), parts[0].shape[1]

    def search(
        self,
        vector: Float[np.ndarray, " d_in"],
        *,
        k: int,
        among: Bool[np.ndarray, " n_rows"] | None = None,
    ) -> Hits:
        return best(self.scores(vector[None])[0], k=k, among=among)

    def scores(self, directions: Float[np.ndarray, "n d_in"]) -> Float[np.ndarray, "n n_rows"]:
        directions = directions.astype(np.float32)
        found = np.empty((len(directions), self.n_rows), np.float32)
        for first, part in zip(self.first_rows, self.parts, strict=False):
            np.matmul(directions, part.T, out=found[:, first : first + len(part)])
        found *= self.scale
        return found

    def vectors(self, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n d_in"]:
        found = np.empty((len(rows), self.d_in), np.float32)
        part_of = np.searchsorted(self.first_rows, rows, side="right") - 1
        for i in np.unique(part_of).tolist():
            here = part_of == i
            found[here] = self.parts[i][rows[here] - self.first_rows[i]]
        return found * self.scale[rows][:, None]


def folder_for(run: pathlib.Path, reader: ShardReader) -> pathlib.Path:
    return run / "search" / f"{reader.folder.absolute().name}-{reader.fingerprint[:8]}"


def open_exact(
    reader: ShardReader, *, out: pathlib.Path, say: Callable[[str], None] = print
) -> ExactIndex:
    """Maps the index of a corpus, and first makes it where `out` has none of these rows."""
    copied = reader.dtype != np.float32
    if not _is_of(reader, out=out):
        n_bytes = 4 * reader.n_rows * (reader.d_in if copied else 0) + 4 * reader.n_rows
        what = f"a float32 copy of its {reader.dtype} rows" if copied else "the rows' norms"
        say(f"{out}: making {what}, {n_bytes / 1e6:,.0f} MB, once for this corpus")
        _make(reader, out=out, copied=copied)
    parts = [np.asarray(file.rows) for file in reader.files]
    if copied:
        parts = [np.asarray(np.load(out / VECTORS, mmap_mode="r"))]
    return ExactIndex(parts, scale=np.load(out / SCALE))


def _manifest(reader: ShardReader) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "data_fingerprint": reader.fingerprint,
        "n_rows": reader.n_rows,
        "d_in": reader.d_in,
    }


def _is_of(reader: ShardReader, *, out: pathlib.Path) -> bool:
    """Whether a whole index of these rows is there; one that is damaged is made anew."""
    copied = reader.dtype != np.float32
    shapes: dict[str, tuple[int, ...]] = {SCALE: (reader.n_rows,)}
    if copied:
        shapes[VECTORS] = (reader.n_rows, reader.d_in)
    try:
        made = json.loads((out / MANIFEST).read_text())
        return made == _manifest(reader) and all(
            np.load(out / name, mmap_mode="r").shape == shape for name, shape in shapes.items()
        )
    except (OSError, ValueError):
        return False


def _make(reader: ShardReader, *, out: pathlib.Path, copied: bool) -> None:
    out.mkdir(parents=True, exist_ok=True)
    # Names of their own: another process may be making the same index now.
    new = out / f"{VECTORS}.{uuid.uuid4().hex[:8]}.new"
    norms = np.empty(reader.n_rows, np.float32)
    try:
        if copied:
            shape = reader.n_rows, reader.d_in
            copy = open_memmap(new, mode="w+", dtype=np.float32, shape=shape)
        with Progress("index", total=reader.n_rows) as progress:
            for first, block in reader.blocks():
                rows = block.astype(np.float32)
                norms[first : first + len(rows)] = np.linalg.norm(rows, axis=1)
                if copied:
                    copy[first : first + len(rows)] = rows
                progress.add(len(rows))
        if copied:
            copy.flush()
            os.replace(new, out / VECTORS)
    finally:
        new.unlink(missing_ok=True)
    scale = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
    content = io.BytesIO()
    np.save(content, scale)
    write_atomically(out / SCALE, content.getvalue())
    write_atomically(out / MANIFEST, (json.dumps(_manifest(reader), indent=1) + "\n").encode())
