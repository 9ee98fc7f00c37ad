"""Writes a shard folder as a TFDS data set, for other tools; no TensorFlow is needed."""

import contextlib
import io
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from sae_jax.data.shards import ShardReader
from sae_jax.errors import ShardError

ROWS_PER_BLOCK = 4_096
NAME = "embeddings"
VERSION = "1.0.0"


def export_tfds(
    reader: ShardReader,
    *,
    folder: str | pathlib.Path,
    advance: Callable[[int], None] = lambda n_rows: None,
) -> pathlib.Path:
    """Returns the folder to give to `tfds.builder_from_directory`.

    One split, "train", in the order of the rows; `held_out` marks those that our training
    leaves out. bfloat16, which TFDS cannot write, becomes float32 (exact).

    Raises:
        ShardError: the folder has this data set already.
    """
    target = pathlib.Path(folder) / NAME / VERSION
    if target.exists():
        raise ShardError(f"{target}: exists already. Remove it, or choose another folder.")
    with_text = reader.records([0]) is not None
    builder = _builder(
        reader,
        folder=folder,
        examples=lambda: _examples(reader, advance=advance),
        text=with_text,
    )
    # It speaks of a download, and leaves an empty folder for one.
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as downloads:
        builder.download_and_prepare(download_dir=downloads, file_format="array_record")
    return target


def _examples(
    reader: ShardReader, *, advance: Callable[[int], None]
) -> Iterator[tuple[int, dict[str, Any]]]:
    dtype = _written_dtype(reader)
    held_out = np.zeros(reader.n_rows, bool)
    held_out[reader.held_out_ids] = True
    for first_row, rows in reader.blocks(n_rows_per_block=ROWS_PER_BLOCK):
        row_ids = np.arange(first_row, first_row + len(rows))
        records = reader.records(row_ids)
        for i, row in enumerate(rows.astype(dtype)):
            row_id = first_row + i
            example = {"embedding": row, "row_id": row_id, "held_out": bool(held_out[row_id])}
            if records is not None:
                example |= {name: str(records[i].get(name) or "") for name in ("id", "text")}
            yield row_id, example
        advance(len(rows))


def _written_dtype(reader: ShardReader) -> np.dtype:
    return np.dtype(np.float16 if reader.dtype == np.float16 else np.float32)


def _builder(
    reader: ShardReader,
    *,
    folder: str | pathlib.Path,
    examples: Callable[[], Iterator[tuple[int, dict[str, Any]]]],
    text: bool,
) -> Any:
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()  # ours is `advance`
    features: dict[str, Any] = {
        "embedding": tfds.features.Tensor(shape=(reader.d_in,), dtype=_written_dtype(reader)),
        "row_id": np.int64,
        "held_out": np.bool_,
    }
    if text:
        features |= {"id": tfds.features.Text(), "text": tfds.features.Text()}
    told = reader.provenance

    # TFDS keeps a register of names and refuses a second class of one name.
    with tfds.core.registered.skip_registration():

        class Embeddings(tfds.core.GeneratorBasedBuilder):
            name = NAME
            VERSION = tfds.core.Version(VERSION)
            # TFDS would look for checksums of downloads beside the code, and needs a package
            # for it that it does not declare (importlib_resources).
            url_infos: ClassVar[dict[str, Any]] = {}

            def _info(self) -> Any:
                return tfds.core.DatasetInfo(
                    builder=self,
                    description=(
                        f"Embeddings of {told.source} by {told.encoder}; normalisation "
                        f"{told.normalisation}; licence {told.licence}; fingerprint "
                        f"{reader.fingerprint}."
                    ),
                    features=tfds.features.FeaturesDict(features),
                    disable_shuffling=True,  # keys are row numbers: the order stays
                )

            def _split_generators(self, dl_manager: Any) -> Any:
                return {"train": self._generate_examples()}

            def _generate_examples(self) -> Any:
                return examples()

    return Embeddings(data_dir=str(folder), file_format="array_record")
