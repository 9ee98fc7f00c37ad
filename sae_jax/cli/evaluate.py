"""Measure an encoded run: the neighbours it keeps, and the true concepts its latents stand for.

  sae-jax encode runs/first && sae-jax evaluate runs/first
  sae-jax evaluate runs/first --shards=data/other

Neighbours: recall and nDCG at 10 of held-out rows' neighbours, found with reconstructions and
with the codes alone, beside PCA. Concepts, where the corpus has a hierarchy: for each with at
least 20 rows the best single latent's F1 on held-out rows, beside coordinates, PCA, random and
supervised directions. Writes RUN/quality/CORPUS.json. WordNet: 10 minutes on two cores.
"""

import json
import pathlib

from absl import flags

from sae_jax.errors import UsageError


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "shards", "", "Folder of embeddings, if not the run's own.", flag_values=values
    )
    flags.DEFINE_integer(
        "seed", 0, "Of queries, random directions and intervals.", flag_values=values
    )


def run(values: flags.FlagValues, arguments: list[str]) -> None:
    if len(arguments) != 1:
        raise UsageError(f"found the arguments {arguments}; expected one run folder.")
    # Imported here: JAX takes a second, which `--help` need not wait for.
    import functools

    from sae_jax.analysis import concepts, coverage, encode, quality
    from sae_jax.data.manifest import write_atomically
    from sae_jax.notebook import load, open_corpus

    say = functools.partial(print, flush=True)
    folder = pathlib.Path(arguments[0])
    sae = load(folder)
    reader = open_corpus(folder, sae, shards=values.shards)
    stored = encode.open_run_codes(folder, sae, reader)
    known = concepts.none(reader)
    try:
        known = concepts.read_concepts(reader)
    except UsageError as error:
        say(f"No concepts: {error}")
    moments = coverage.moments(reader, concepts=known, held_out=concepts.held_out_mask(reader))
    made = {
        "format": 1,
        "run_fingerprint": stored.manifest.run_fingerprint,
        "data_fingerprint": stored.manifest.data_fingerprint,
        "retrieval": quality.measure_retrieval(
            sae, reader, stored, moments=moments, seed=values.seed
        ),
        "concepts": quality.measure_coverage(
            reader, stored, concepts=known, moments=moments, say=say, seed=values.seed
        )
        if known.ids
        else {},
    }
    out = folder / "quality" / f"{stored.folder.name}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, (json.dumps(made, indent=1) + "\n").encode())
    say(quality.describe(made))
    say(f"Quality: {out}")
