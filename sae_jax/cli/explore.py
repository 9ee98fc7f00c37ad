"""Explore a run in the browser: search with sliders, features, families, documents, runs.

  sae-jax encode runs/first && sae-jax label runs/first && sae-jax explore runs/first
  sae-jax explore runs/first --port=9000 --encoder=minilm
  sae-jax explore runs/first --read_only --host=0.0.0.0

Prints an address to open. Everything is computed on this machine, and the page asks no other
one for anything. But where the corpus was embedded at an endpoint, or --encoder=openai names
one, the questions that you type are sent there (with --encoder=openai a few of the corpus's
texts first, to see that it is the same encoder).

Labels and families are shown where they have been made, and said to be missing where not.
The first start makes RUN/search: the texts with an index of their words, and a float32 copy
of 16-bit rows. Ctrl-C ends it.

It is for one person at one machine: whoever reaches its address sees the run, and, without
--read_only, may write labels.
"""

from absl import flags

from sae_jax.cli.arguments import (
    check_encoder,
    define_corpus,
    define_encoder,
    named_encoder,
    one_folder,
)


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "port", 7860, "Or the next that is free.", lower_bound=0, upper_bound=65_535,
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_string("host", "127.0.0.1", "Address to listen at.", flag_values=values)
    flags.DEFINE_bool("read_only", False, "Take no labels from the page.", flag_values=values)
    define_encoder(values)
    define_corpus(values)


def run(values: flags.FlagValues, arguments: list[str]) -> None:
    folder = one_folder(arguments, of="run folder")
    check_encoder(values)
    # Imported here: JAX takes a second, which `--help` need not wait for.
    from sae_jax.explorer import serve
    from sae_jax.explorer.opened import Opened, Options

    options = Options(
        folder,
        shards=values.shards,
        encoder=named_encoder(values) if values.encoder else None,
        read_only=values.read_only,
        say=_say,
    )
    opened = Opened.open(options)
    serve.serve(opened, host=values.host, port=values.port, say=_say)


def _say(line: str) -> None:
    print(line, flush=True)
