"""Write a shard folder in a format that other tools read.

  sae-jax export data/mine --tfds=tensorflow_datasets
  sae-jax export data/biomedical --tfds=/tmp/tfds

Writes the TFDS data set OUT/embeddings/1.0.0 (ArrayRecord, no TensorFlow needed), with
the features embedding, row_id, held_out and, where the folder has them, id and text.
Read it:  tfds.builder_from_directory("OUT/embeddings/1.0.0").as_data_source("train")
"""

import pathlib

from absl import flags

from sae_jax.data import shards
from sae_jax.data.export_tfds import export_tfds
from sae_jax.data.progress import Progress
from sae_jax.errors import UsageError


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string("tfds", None, "Folder for the TFDS data set.", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    if len(arguments) != 1 or not values.tfds:
        raise UsageError(
            f"expected one FOLDER and --tfds=OUT, found {arguments or 'no folder'}, "
            f"--tfds={values.tfds or ''}. See `sae-jax export --help`."
        )
    reader = shards.open_shards(arguments[0])
    with Progress("export", total=reader.n_rows) as progress:
        target = export_tfds(reader, folder=pathlib.Path(values.tfds), advance=progress.add)
    print(
        f"{target}: {reader.n_rows:,} rows × {reader.d_in}. Read it with "
        f'tfds.builder_from_directory("{target}").as_data_source("train").'
    )
    return 0
