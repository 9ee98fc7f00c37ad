"""Measure steering: do sliders bring the concepts that they name, and at what price?

  sae-jax encode runs/first && sae-jax evaluate-search runs/first
  sae-jax evaluate-search runs/first --encoder=minilm --n_queries=400

Of a corpus with a hierarchy (WordNet, an ontology). Held-out rows are queries, each with one
concept to raise and one to lower; a latent stands for each. Steered to a cosine of .95, .9, .8,
.7 and .5 to the query: by the latent, by rewriting the query's text, by the vector of the
concept's name, by a direction fitted to the concept, by the mean of its rows, and by another
latent. Measured: precision@10, hits on which the latent is on, hits kept, and how often a judge
that counts the true concepts names the right one of five. Without an encoder for the
corpus's texts nothing is rewritten. Writes RUN/search/evaluation/CORPUS.json, .csv and .svg.
WordNet: 2 to 3 minutes on two busy cores.
"""

from absl import flags

from sae_jax.cli.arguments import (
    check_encoder,
    define_corpus,
    define_encoder,
    named_encoder,
    one_folder,
)
from sae_jax.errors import EncoderError, UsageError


def define_flags(values: flags.FlagValues) -> None:
    define_corpus(values)
    define_encoder(values)
    flags.DEFINE_integer(
        "n_queries", 200, "Held-out rows that are steered.", lower_bound=10, flag_values=values
    )
    flags.DEFINE_integer("seed", 0, "Of queries, concepts and intervals.", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> None:
    folder = one_folder(arguments, of="run folder")
    check_encoder(values)
    # Imported here: JAX takes a second, which `--help` need not wait for.
    import time

    from sae_jax.analysis.concepts import read_concepts
    from sae_jax.analysis.drawing import as_svg
    from sae_jax.data.manifest import write_atomically
    from sae_jax.data.numbers import to_json, without_nan
    from sae_jax.search import evaluation, evaluation_table
    from sae_jax.search.session import Search
    from sae_jax.search.trials import LEAST_ROWS

    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {text}", flush=True)

    search = Search.open(folder, shards=values.shards, say=say)
    concepts = read_concepts(search.reader, least_rows=LEAST_ROWS)
    if values.encoder:
        search.use_encoder(named_encoder(values))
    encoder = None
    try:
        encoder = search.encoder
    except (UsageError, EncoderError) as error:
        say(f"No rewriting, nor the vectors of names: {error}")
    asked = evaluation.Asked(search, concepts, encoder, values.n_queries, values.seed)
    manifest = search.dictionary.stored.manifest
    made = without_nan(
        {
            "format": 1,
            "run_fingerprint": manifest.run_fingerprint,
            "data_fingerprint": manifest.data_fingerprint,
            "seed": values.seed,
        }
        | evaluation.measure(asked, say=say)
    )
    out = folder / "search" / "evaluation" / f"{search.dictionary.stored.folder.name}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    figure = as_svg(evaluation_table.draw(made))
    write_atomically(out.with_suffix(".svg"), figure.encode())
    write_atomically(out.with_suffix(".csv"), evaluation_table.to_csv(made).encode())
    write_atomically(out, to_json(made, indent=1).encode())
    print(f"{evaluation_table.describe(made)}\nSteering: {out}")
