"""Convert embeddings of another format into a shard folder, once.

  sae-jax ingest embeddings.parquet --out=data/mine
  sae-jax ingest my_arrays/ --out=data/mine --dtype=float16 --bad_rows=drop
  sae-jax ingest ~/tensorflow_datasets/mine/1.0.0 --feature=embedding --out=data/mine

SOURCE is a file or folder of .npy, .safetensors, .parquet (a column of lists), .arrow or
.feather, a folder of sae_jax, or a TFDS data set prepared as array_record. Ids, texts and
other plain columns go along. A killed run goes on where it stopped: run it again.
Plain .npy and .safetensors files can also be trained on where they lie.
"""

import dataclasses
import pathlib
import sys

from absl import flags

from sae_jax.data.ingest import Ingest
from sae_jax.data.sources import Columns, open_source
from sae_jax.errors import UsageError


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string("out", None, "Folder to write.", flag_values=values)
    flags.DEFINE_string(
        "column",
        "",
        "Column, or tensor of a .safetensors file, with the embeddings; not needed where there "
        "is one only.",
        flag_values=values,
    )
    flags.DEFINE_string("feature", "", "The same for a TFDS data set.", flag_values=values)
    flags.DEFINE_string("split", "", "Split of a data set, such as train.", flag_values=values)
    flags.DEFINE_string("id_column", "id", "Column of the rows' ids.", flag_values=values)
    flags.DEFINE_string("text_column", "text", "Column of the texts.", flag_values=values)
    flags.DEFINE_enum(
        "dtype",
        "",
        ["", "float32", "float16", "bfloat16"],
        "How to store the rows; as the source does, unless given.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "bad_rows",
        "error",
        ["error", "drop"],
        "What to do with rows that hold NaN or Inf, or are all zeros.",
        flag_values=values,
    )
    for name in ("encoder", "normalisation", "licence"):
        flags.DEFINE_string(
            name, "", f"The rows' {name}, for the manifest.", flag_values=values
        )


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    if len(arguments) != 1 or not values.out:
        raise UsageError(
            f"expected one SOURCE and --out=FOLDER, found {arguments or 'no source'}, "
            f"--out={values.out or ''}. See `sae-jax ingest --help`."
        )
    columns = Columns(
        embedding=values.column or values.feature,
        split=values.split,
        id=values.id_column,
        text=values.text_column,
    )
    source = open_source(arguments[0], columns=columns)
    told: dict[str, str] = {
        name: str(values[name].value)
        for name in ("encoder", "normalisation", "licence")
        if values[name].value
    }
    ingest = Ingest(
        source=source,
        columns=columns,
        folder=pathlib.Path(values.out),
        dtype=values.dtype,
        drop_bad_rows=values.bad_rows == "drop",
        provenance=dataclasses.replace(source.provenance, **told),
    )
    return _ingest(ingest)


def _ingest(ingest: Ingest) -> int:
    source, folder = ingest.source, ingest.folder
    manifest = ingest.finished()
    if manifest is not None:
        print(f"{folder}: is complete already; nothing to do.")
    else:
        print(
            f"ingest: {source.n_rows:,} rows × {source.d_in} from {source.description}, as "
            f"{ingest.stored_dtype}: {ingest.n_bytes / 1e6:,.0f} MB",
            file=sys.stderr,
        )
        manifest = ingest.run()
    dropped = f", {manifest.n_dropped:,} unusable rows left out" if manifest.n_dropped else ""
    texts = ", with texts" if manifest.rows_file else ""
    print(
        f"{folder}: {manifest.n_rows:,} rows × {manifest.d_in} {manifest.dtype} in "
        f"{len(manifest.shards)} shards{texts}{dropped}; {manifest.held_out.n_rows:,} held out."
    )
    print(f"Next: sae-jax check {folder}")
    return 0
