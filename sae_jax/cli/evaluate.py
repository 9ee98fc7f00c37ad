"""Measure an encoded run: what its codes keep, find and say, beside baselines and in noise.

  sae-jax encode runs/first && sae-jax evaluate runs/first
  sae-jax evaluate runs/first --shards=data/other
  sae-jax evaluate runs/first --classes=subject

On held-out rows, with 95 % intervals: fvu, with other k too; neighbours kept; probes on the
rows' classes; where the corpus has a hierarchy, the best 1, 4 and 16 features for each concept;
all of it again with noise or without some coordinates. Beside it PCA, single coordinates,
random directions, an untrained autoencoder and directions fitted to each concept. --shards
measures on another corpus. Writes RUN/quality/CORPUS.json and .csv. WordNet: 7 minutes on two
cores.
"""

from absl import flags

from sae_jax.cli.arguments import define_corpus, open_run
from sae_jax.errors import UsageError


def define_flags(values: flags.FlagValues) -> None:
    define_corpus(values)
    flags.DEFINE_string(
        "classes", "", "Field of the records with each row's class; otherwise one of "
        "lexname, ontology, class, label, category.", flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer("seed", 0, "Of queries, baselines and intervals.", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> None:
    # Imported here: JAX takes a second, which `--help` need not wait for.
    import shutil
    import time

    from sae_jax.analysis import classes, codes, concepts, encode, quality, quality_table
    from sae_jax.analysis import untrained as baseline
    from sae_jax.data.manifest import write_atomically
    from sae_jax.data.numbers import to_json, without_nan

    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {text}", flush=True)

    folder, sae, reader = opened = open_run(arguments, values)
    stored = opened.codes()
    known, own = concepts.none(reader), None
    try:
        known = concepts.read_concepts(reader)
    except UsageError as error:
        say(f"No concepts: {error}")
    try:
        own = classes.read_classes(reader, field=values.classes)
    except UsageError as error:
        if values.classes:
            raise
        say(f"No classes: {error}")
    out = folder / "quality" / f"{stored.folder.name}.json"
    aside = out.with_suffix(".untrained")
    say("an untrained autoencoder's codes, to compare with")
    untrained = baseline.untrained(sae, reader, seed=values.seed)
    encode.encode_corpus(untrained, reader, out=aside)
    subject = quality.Subject(
        sae, reader, stored, untrained, codes.open_codes(aside), known, own,
        values.seed,
    )  # fmt: skip
    found = {
        "format": 2,
        "run_fingerprint": stored.manifest.run_fingerprint,
        "data_fingerprint": stored.manifest.data_fingerprint,
        "seed": values.seed,
    } | quality.measure(subject, say=say)
    shutil.rmtree(aside)
    made = without_nan(found)
    write_atomically(out, to_json(made, indent=1).encode())
    write_atomically(out.with_suffix(".csv"), quality_table.to_csv(made).encode())
    print(f"{quality_table.describe(made)}\nQuality: {out}")
