"""Show what the latents of a run respond to: their strongest texts.

  sae-jax latents runs/first
  sae-jax latents runs/first --n_latents=20 --n_examples=8
  sae-jax latents runs/first --latent=17,2040

Without --latent, they are drawn at random from those that are on for at least five rows,
so that what you see is typical and not picked. Texts come from the folder of embeddings
that the run was trained on, or from --shards.
"""

import textwrap

import numpy as np
from absl import flags

from sae_jax.cli.arguments import define_corpus, named_latents, open_run

LEAST_ROWS = 5  # a latent on for fewer says little


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_list(
        "latent", [], "Which latents, by number; otherwise drawn at random.", flag_values=values
    )
    flags.DEFINE_integer("n_latents", 5, "How many to draw.", lower_bound=1, flag_values=values)
    flags.DEFINE_integer(
        "n_examples", 5, "Strongest texts of each.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_integer("seed", 0, "Of the draw.", flag_values=values)
    define_corpus(values)


def run(values: flags.FlagValues, arguments: list[str]) -> None:
    # Imported here: JAX takes a second, which `--help` need not wait for.
    from sae_jax.analysis.examples import strongest_examples

    _, sae, reader = open_run(arguments, values)
    examples = strongest_examples(sae, reader, n_examples=values.n_examples)
    chosen = named_latents(values.latent, n_latents=sae.n_latents)
    if not chosen:
        often = np.flatnonzero(examples.density * reader.n_rows >= LEAST_ROWS)
        n = min(values.n_latents, len(often))
        chosen = [int(i) for i in np.random.default_rng(values.seed).choice(often, n, False)]
        print(
            f"{n} of the {len(often):,} latents that are on for at least {LEAST_ROWS} of "
            f"{reader.n_rows:,} rows, drawn at random:"
        )
    for latent in chosen:
        row_ids = examples.row_ids[latent]
        row_ids = row_ids[row_ids >= 0]
        records = reader.records(row_ids)
        print(f"\nlatent {latent}: on for {100 * examples.density[latent]:.3g} % of rows")
        texts = [f"row {i}" for i in row_ids]
        if records is not None:
            texts = [str(record.get("text", "")) for record in records]
        for value, text in zip(examples.values[latent], texts, strict=False):
            print(f"  {value:6.3f}  {textwrap.shorten(text, 84, placeholder=' …')}")
