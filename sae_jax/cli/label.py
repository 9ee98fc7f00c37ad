"""Label the latents of an encoded run by words, with scores.

  sae-jax encode runs/first && sae-jax label runs/first
  sae-jax label runs/first --shards=data/other

Half of the rows name each latent, the other half judge the name: F1 and AUROC against random
rows (easy) and against rows on which the latent nearly is on (hard). No language model is
asked. Writes RUN/features/CORPUS/labels.jsonl, a line for each latent.
"""

from absl import flags

from sae_jax.cli.arguments import define_corpus, open_run

SHOWN = 5


def define_flags(values: flags.FlagValues) -> None:
    define_corpus(values)
    flags.DEFINE_integer("seed", 0, "Of the halves, and of what is shown.", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> None:
    # Imported here: JAX takes a second, which `--help` need not wait for.
    from sae_jax.analysis import labels, terms
    from sae_jax.data.manifest import write_atomically
    from sae_jax.data.numbers import to_json

    folder, _, reader = opened = open_run(arguments, values)
    stored = opened.codes()
    counted = terms.count_terms(terms.read_texts(reader))
    print(f"{len(counted.names):,} terms in {reader.n_rows:,} texts", flush=True)
    found = labels.label_all(stored, counted, seed=values.seed)
    out = folder / "features" / stored.folder.name / "labels.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    of = {"run_fingerprint": stored.manifest.run_fingerprint}
    write_atomically(out, "".join(to_json(one.as_json() | of) for one in found).encode())
    print(labels.describe(found, most=SHOWN, seed=values.seed))
    print(f"Labels: {out}")
