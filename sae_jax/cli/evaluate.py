"""Measure an encoded run: the neighbours it keeps, and the true concepts its latents stand for.

  sae-jax encode runs/first && sae-jax evaluate runs/first
  sae-jax evaluate runs/first --shards=data/other

Neighbours: recall and nDCG at 10 of held-out rows' neighbours, found with reconstructions and
with the codes alone, beside PCA. Concepts, where the corpus has a hierarchy: for each with at
least 20 rows the best single latent's F1 on held-out rows, beside coordinates, PCA, random and
supervised directions. Writes RUN/quality/CORPUS.json. WordNet: 5 minutes on two cores.
"""

from absl import flags

from sae_jax.cli.arguments import define_corpus, open_run
from sae_jax.errors import UsageError


def define_flags(values: flags.FlagValues) -> None:
    define_corpus(values)
    flags.DEFINE_integer(
        "seed", 0, "Of queries, random directions and intervals.", flag_values=values
    )


def run(values: flags.FlagValues, arguments: list[str]) -> None:
    # Imported here: JAX takes a second, which `--help` need not wait for.
    import functools

    from sae_jax.analysis import concepts, coverage, quality
    from sae_jax.data.manifest import write_atomically
    from sae_jax.data.numbers import to_json

    say = functools.partial(print, flush=True)
    folder, sae, reader = opened = open_run(arguments, values)
    stored = opened.codes()
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
    write_atomically(out, to_json(made, indent=1).encode())
    say(quality.describe(made))
    say(f"Quality: {out}")
