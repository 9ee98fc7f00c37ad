"""Measure an encoded run: what its codes keep, find and say, beside baselines and in noise.

  sae-jax encode runs/first && sae-jax evaluate runs/first
  sae-jax evaluate runs/first --shards=data/other
  sae-jax evaluate runs/first --classes=subject

On held-out rows, with 95 % intervals: fvu, with other k too; neighbours kept; probes on the
rows' classes; where the corpus has a hierarchy, the best 1, 4 and 16 features for each concept;
all of it again with noise or without some coordinates. Beside it PCA, single coordinates,
random directions, an untrained autoencoder and directions fitted to each concept. --shards
measures on another corpus. untrained is the same autoencoder before training; its
reconstructions, not its codes, have the values that fit each row best. Writes
RUN/quality/CORPUS.json and .csv. WordNet: 5 minutes on two cores, and in proportion to
rows × concepts.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from absl import flags

from sae_jax.cli.arguments import define_corpus, open_run
from sae_jax.errors import UsageError

if TYPE_CHECKING:
    from sae_jax.analysis.classes import Classes
    from sae_jax.analysis.concepts import Concepts
    from sae_jax.data.shards import ShardReader

LEAST_HELD_OUT = 10  # rows


def define_flags(values: flags.FlagValues) -> None:
    define_corpus(values)
    flags.DEFINE_string(
        "classes", "", "Field of the records with each row's class; otherwise one of "
        "lexname, ontology, class, label, category.", flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer(
        "seed", 0, "Of queries, baselines and intervals.", lower_bound=0, flag_values=values
    )


def run(values: flags.FlagValues, arguments: list[str]) -> None:
    # Imported here: JAX takes a second, which `--help` need not wait for.
    import pathlib
    import tempfile
    import time

    from sae_jax.analysis import codes, encode, quality, quality_table
    from sae_jax.analysis import untrained as baseline
    from sae_jax.data.manifest import write_atomically
    from sae_jax.data.numbers import to_json, without_nan
    from sae_jax.train.plan import size

    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {text}", flush=True)

    folder, sae, reader = opened = open_run(arguments, values)
    stored = opened.codes()
    if len(reader.held_out_ids) < LEAST_HELD_OUT:
        raise UsageError(
            f"{reader.folder}: {len(reader.held_out_ids)} of its {reader.n_rows:,} rows are "
            f"held out; expected {LEAST_HELD_OUT} at least to measure on. Take a larger corpus."
        )
    known, own = _truth(reader, field=values.classes, say=say)
    out = folder / "quality" / f"{stored.folder.name}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    untrained = baseline.untrained(sae, reader, seed=values.seed)
    disk = size(encode.disk_bytes(untrained, reader))
    say(f"an untrained autoencoder's codes, to compare with: {disk} for so long")
    with tempfile.TemporaryDirectory(prefix="untrained-", dir=out.parent) as aside:
        encode.encode_corpus(untrained, reader, out=pathlib.Path(aside))
        others = codes.open_codes(aside)
        subject = quality.Subject(
            sae, reader, stored, untrained, others, known, own, values.seed
        )
        found = {
            "format": 2,
            **stored.manifest.fingerprints,
            "seed": values.seed,
        } | quality.measure(subject, say=say)
    made = without_nan(found)
    write_atomically(out, to_json(made, indent=1).encode())
    write_atomically(out.with_suffix(".csv"), quality_table.to_csv(made).encode())
    print(f"{quality_table.describe(made)}\nQuality: {out}")


def _truth(
    reader: "ShardReader", *, field: str, say: Callable[[str], None]
) -> tuple["Concepts", "Classes | None"]:
    """The concepts and classes of the rows, as far as there are any."""
    from sae_jax.analysis import classes, concepts

    known, own = concepts.none(reader), None
    try:
        known = concepts.read_concepts(reader)
    except UsageError as error:
        say(f"No concepts: {error}")
    try:
        own = classes.read_classes(reader, field=field)
    except UsageError as error:
        if field:
            raise
        say(f"No classes: {error}")
    return known, own
