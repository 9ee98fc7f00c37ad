"""Read a folder of embeddings whole and report what is wrong or odd.

  sae-jax check data/mine
  sae-jax check my_arrays/ --rewrite

Verifies checksums, shapes, finite rows, held-out ids and texts; reports norms, the mean,
constant coordinates and duplicates. Ends with exit code 1 where something is wrong.
--rewrite writes manifest.json for plain arrays that have none, or after a change that
was meant; runs trained on the folder before will then refuse to go on with it.
"""

import pathlib

from absl import flags

from sae_jax.data import check as checks
from sae_jax.data import rewrite
from sae_jax.errors import UsageError


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_bool(
        "rewrite", False, "Describe the files as they are now.", flag_values=values
    )
    flags.DEFINE_enum(
        "dtype",
        "",
        ["", "float32", "float16", "bfloat16"],
        "With --rewrite: what files of uint16 hold, where the manifest is lost.",
        flag_values=values,
    )


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    if len(arguments) != 1:
        raise UsageError(
            f"expected one FOLDER, found {arguments or 'none'}. See `sae-jax check --help`."
        )
    folder = pathlib.Path(arguments[0])
    if values.rewrite:
        manifest = rewrite.rewrite(folder, dtype=values.dtype)
        print(f"{folder}: wrote manifest.json, {manifest.n_rows:,} rows.")
    report = checks.check(folder)
    print("\n".join(report.lines()))
    return 1 if report.problems else 0
