"""TFDS data sets with a Tensor feature, read through ArrayRecord and without TensorFlow."""

import hashlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from sae_jax.data.manifest import Provenance
from sae_jax.data.sources import ROWS_PER_BLOCK, Block, Columns
from sae_jax.data.sources_table import as_record
from sae_jax.errors import ShardError, UsageError


class TfdsSource:
    """The folder that holds dataset_info.json; the class that built it is not needed."""

    def __init__(self, folder: pathlib.Path, *, columns: Columns) -> None:
        import tensorflow_datasets as tfds

        _check_format(folder)
        builder = tfds.builder_from_directory(folder)
        splits = list(builder.info.splits)
        split = columns.split or (splits[0] if len(splits) == 1 else "train")
        if split.split("[")[0] not in splits:
            raise UsageError(f"{folder}: has no split {split!r}, only {', '.join(splits)}.")
        self.description = f"{folder}, split {split}"
        self.provenance = Provenance(source=builder.info.full_name)
        self._columns = columns
        self._embedding = _tensor_feature(
            builder.info.features, folder=folder, wanted=columns.embedding
        )
        feature = builder.info.features[self._embedding]
        self.d_in, self.dtype = int(feature.shape[0]), np.dtype(feature.np_dtype).name
        self._carried = [
            name
            for name, kind in builder.info.features.items()
            if name != self._embedding and kind.shape == () and kind.np_dtype is not dict
        ]
        self._rows = builder.as_data_source(split=split)
        self.n_rows = len(self._rows)
        sizes = sorted((file.name, file.stat().st_size) for file in folder.iterdir())
        told = (folder / "dataset_info.json").read_bytes() + repr((split, sizes)).encode()
        self.fingerprint = hashlib.sha256(told).hexdigest()

    def blocks(self, start: int) -> Iterator[Block]:
        for first_row in range(start, self.n_rows, ROWS_PER_BLOCK):
            row_ids = list(range(first_row, min(first_row + ROWS_PER_BLOCK, self.n_rows)))
            examples = self._rows.__getitems__(row_ids)
            rows = np.stack([example[self._embedding] for example in examples])
            yield Block(rows, self._records(examples, first_row=first_row))

    def _records(self, examples: Any, *, first_row: int) -> list[dict[str, Any]] | None:
        if not self._carried:
            return None
        return [
            as_record(
                {name: _plain(example[name]) for name in self._carried},
                row_id=first_row + i,
                columns=self._columns,
            )
            for i, example in enumerate(examples)
        ]


def _plain(value: Any) -> Any:
    """Text arrives as bytes, numbers as numpy scalars."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.item() if isinstance(value, np.generic | np.ndarray) else value


def _check_format(folder: pathlib.Path) -> None:
    """Raises ShardError for what only TensorFlow reads, and Parquet, which TFDS misreads."""
    try:
        info = json.loads((folder / "dataset_info.json").read_bytes())
    except ValueError as error:
        raise ShardError(f"{folder / 'dataset_info.json'}: is not JSON ({error}).") from error
    found = info.get("fileFormat", "tfrecord")
    if found != "array_record":
        raise ShardError(
            f"{folder}: was prepared as {found}; without TensorFlow only array_record can be "
            "read. Prepare it again where TensorFlow is installed: `tfds build "
            '--file_format=array_record`, or `tfds.builder(NAME, file_format="array_record")'
            ".download_and_prepare()`."
        )


def _tensor_feature(features: Any, *, folder: pathlib.Path, wanted: str) -> str:
    found = [
        name
        for name, kind in features.items()
        if len(kind.shape or ()) == 1 and kind.shape[0] and np.dtype(kind.np_dtype).kind == "f"
    ]
    if wanted in found:
        return wanted
    listed = ", ".join(f"{name} {kind.shape}" for name, kind in features.items())
    if wanted:
        raise UsageError(
            f"{folder}: feature {wanted!r} is not a Tensor of floats with one axis of known "
            f"length; the features are {listed}."
        )
    if len(found) != 1:
        raise UsageError(
            f"{folder}: expected one Tensor of floats with one axis, found {len(found)}; "
            f"choose with --feature=NAME. The features are {listed}."
        )
    return found[0]
