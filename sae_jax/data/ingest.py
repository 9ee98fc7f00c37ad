"""Copies a source into a shard folder, once, in bounded memory; a killed run goes on."""

import dataclasses
import hashlib
import pathlib
import shutil

import numpy as np

from sae_jax.data import dtypes
from sae_jax.data.manifest import MANIFEST, Manifest, Provenance, read_manifest
from sae_jax.data.progress import Progress
from sae_jax.data.sources import Block, Columns, Source
from sae_jax.data.writer import ShardWriter
from sae_jax.errors import ShardError, UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ingest:
    """What to write, and where."""

    source: Source
    columns: Columns
    folder: pathlib.Path
    dtype: str = ""  # as the source, where that can be stored
    drop_bad_rows: bool = False
    provenance: Provenance
    rows_per_shard: int = 65_536

    @property
    def stored_dtype(self) -> str:
        """Raises UsageError where the user has to choose."""
        dtype = self.dtype or self.source.dtype
        if dtype not in dtypes.BY_NAME:
            raise UsageError(
                f"{self.source.description}: rows are {dtype}, which we do not store. Say what "
                f"to make of them: --dtype= one of {', '.join(dtypes.BY_NAME)}."
            )
        return dtype

    @property
    def identity(self) -> str:
        """Changes with everything that changes the rows written, not with where they lie."""
        told = (self.source.fingerprint, self.columns, self.stored_dtype, self.drop_bad_rows)
        return "ingest " + hashlib.sha256(repr(told).encode()).hexdigest()

    @property
    def n_bytes(self) -> int:
        itemsize = dtypes.dtype_named(self.stored_dtype).itemsize
        return self.source.n_rows * self.source.d_in * itemsize

    def finished(self) -> Manifest | None:
        """The manifest, where this very ingest was done before."""
        if not (self.folder / MANIFEST).exists():
            return None
        manifest = read_manifest(self.folder)
        return manifest if manifest.identity == self.identity else None

    def run(self) -> Manifest:
        """Raises ShardError where rows are unusable, or the disk is too small."""
        writer = ShardWriter(
            self.folder,
            d_in=self.source.d_in,
            dtype=self.stored_dtype,
            provenance=self.provenance,
            identity=self.identity,
            rows_per_shard=self.rows_per_shard,
            drop_bad_rows=self.drop_bad_rows,
        )
        self._check_space(writer)
        start = writer.n_source_rows_done
        with Progress("ingest", total=self.source.n_rows, done=start) as progress:
            for block in self.source.blocks(start):
                writer.append(self._rows(block), records=block.records)
                progress.add(len(block.rows))
        return writer.finish()

    def _rows(self, block: Block) -> np.ndarray:
        """float64 goes to the dtype that the user chose; the writer takes no float64."""
        if block.rows.dtype.name in dtypes.BY_NAME:
            return block.rows
        with np.errstate(over="ignore"):  # the writer names what became Inf
            return block.rows.astype(dtypes.dtype_named(self.stored_dtype))

    def _check_space(self, writer: ShardWriter) -> None:
        share_left = 1 - writer.n_source_rows_done / max(1, self.source.n_rows)
        needed = int(self.n_bytes * share_left)
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise ShardError(
                f"{self.folder}: has {free / 1e9:,.1f} GB free; the rows need "
                f"{needed / 1e9:,.1f} GB. Free some space, choose another folder, or store "
                "them in half the space: --dtype=float16."
            )
