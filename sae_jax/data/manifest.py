"""manifest.json: what a shard folder holds, and a fingerprint of it.

The manifest is written last and by an atomic rename, so a folder that has one is whole.
"""

import dataclasses
import hashlib
import io
import json
import math
import os
import pathlib
import uuid
from typing import Any

import numpy as np
from jaxtyping import Int64

from sae_jax.errors import ShardError

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
INCOMPLETE = "incomplete.json"  # while a folder is being written
HELD_OUT = "held_out.npy"
MAX_HELD_OUT = 100_000  # rows; evaluation holds them in memory


@dataclasses.dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where rows come from, in free text; "unknown" is an answer."""

    encoder: str = "unknown"
    normalisation: str = "unknown"
    source: str = "unknown"
    licence: str = "unknown"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileEntry:
    file: str
    n_rows: int
    n_bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardEntry(FileEntry):
    """One file of rows."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeldOut(FileEntry):
    """The file of held-out row ids, and the rule that chose them."""

    rule: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """The content of manifest.json."""

    d_in: int
    dtype: str
    n_rows: int
    shards: tuple[ShardEntry, ...]
    held_out: HeldOut
    provenance: Provenance
    rows_file: FileEntry | None = None
    identity: str = ""  # of the command that wrote the folder
    n_dropped: int = 0  # rows of the source left out because they were not usable
    schema_version: int = SCHEMA_VERSION
    fingerprint: str = ""

    def __post_init__(self) -> None:
        if not self.fingerprint:
            object.__setattr__(self, "fingerprint", self.content_fingerprint())

    def content_fingerprint(self) -> str:
        """The same for the same rows in the same files, whatever the folder is called.

        Texts and provenance are left out: mending a text does not change training.
        """
        content = {
            "d_in": self.d_in,
            "dtype": self.dtype,
            "shards": [[shard.n_rows, shard.sha256] for shard in self.shards],
            "held_out": self.held_out.sha256,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def write(self, folder: pathlib.Path) -> None:
        text = json.dumps(dataclasses.asdict(self), indent=1) + "\n"
        write_atomically(folder / MANIFEST, text.encode())


def read_manifest(folder: pathlib.Path) -> Manifest:
    """Raises ShardError where it is not JSON, of a newer sae_jax, or was edited."""
    path = folder / MANIFEST
    again = f"Restore the file, or write it anew with `sae-jax check {folder} --rewrite`."
    try:
        found = json.loads(path.read_bytes())
        version = found["schema_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ShardError(f"{path}: is not a manifest ({error!r}). {again}") from error
    if version != SCHEMA_VERSION:
        raise ShardError(
            f"{path}: has schema version {version!r}; this sae_jax reads {SCHEMA_VERSION}. "
            "Upgrade sae_jax, or ingest the source again with this version."
        )
    try:
        manifest = _from_json(found)
    except (KeyError, TypeError, ValueError) as error:
        raise ShardError(f"{path}: does not fit its schema ({error!r}). {again}") from error
    _check_sums(manifest, path)
    return manifest


def _from_json(found: dict[str, Any]) -> Manifest:
    rows_file = found["rows_file"]
    fields = found | {
        "shards": tuple(ShardEntry(**entry) for entry in found["shards"]),
        "held_out": HeldOut(**found["held_out"]),
        "provenance": Provenance(**found["provenance"]),
        "rows_file": FileEntry(**rows_file) if rows_file else None,
    }
    return Manifest(**fields)


def _check_sums(manifest: Manifest, path: pathlib.Path) -> None:
    n_rows = sum(shard.n_rows for shard in manifest.shards)
    if n_rows != manifest.n_rows:
        raise ShardError(
            f"{path}: says n_rows={manifest.n_rows}, but its shards add up to {n_rows}. "
            f"Restore the file, or write it anew with `sae-jax check {path.parent} --rewrite`."
        )
    expected = manifest.content_fingerprint()
    if manifest.fingerprint != expected:
        raise ShardError(
            f"{path}: says fingerprint {manifest.fingerprint[:12]}…, but its entries have "
            f"{expected[:12]}…: it was edited. Restore the file, or write it anew with "
            f"`sae-jax check {path.parent} --rewrite`."
        )


def held_out_rule(*, fraction: float = 0.1, seed: int = 0) -> str:
    return (
        f"the last floor(n_rows * {fraction:g}), at most {MAX_HELD_OUT}, of "
        f"numpy.random.default_rng({seed}).permutation(n_rows), sorted"
    )


def held_out_row_ids(
    n_rows: int, *, fraction: float = 0.1, seed: int = 0
) -> Int64[np.ndarray, " n_held_out"]:
    """The row ids that training never sees, sorted. Takes 4 bytes per row for a moment."""
    n_held_out = min(math.floor(n_rows * fraction), MAX_HELD_OUT)
    # Shuffling an arange is what Generator.permutation(n_rows) does, in half the memory.
    order = np.arange(n_rows, dtype=np.int32 if n_rows < 2**31 else np.int64)
    np.random.default_rng(seed).shuffle(order)
    return np.sort(order[n_rows - n_held_out :]).astype(np.int64)


def write_held_out(
    folder: pathlib.Path, ids: Int64[np.ndarray, " n_held_out"], *, rule: str
) -> HeldOut:
    """Writes held_out.npy and describes it."""
    content = io.BytesIO()
    np.save(content, ids)
    write_atomically(folder / HELD_OUT, content.getvalue())
    entry = file_entry(folder / HELD_OUT, n_rows=len(ids))
    return HeldOut(**dataclasses.asdict(entry), rule=rule)


def file_entry(path: pathlib.Path, *, n_rows: int) -> FileEntry:
    """Describes a file on disk; reads all of it."""
    return FileEntry(
        file=path.name, n_rows=n_rows, n_bytes=path.stat().st_size, sha256=sha256_of(path)
    )


def sha256_of(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: pathlib.Path, content: bytes) -> None:
    """Replaces the file as a whole, and only once its bytes are on the disk."""
    # A name of its own: two tasks of a sweep may write the same file at the same time.
    new = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.new")
    try:
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: pathlib.Path) -> None:
    """Makes renames in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
