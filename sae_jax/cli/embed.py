"""Turn texts into a folder of embeddings.

sae-jax embed INPUT --out=DIR [FLAGS]
sae-jax embed --corpus=biomedical --out=DIR [FLAGS]

  sae-jax embed abstracts.jsonl.gz --out=data/abstracts
  sae-jax embed papers/ --text_column=abstract --limit=1000 --out=data/try
  OPENAI_API_KEY=… sae-jax embed papers.parquet --encoder=openai --out=data/papers

INPUT is a file, or a folder of files of one format: JSONL, CSV, TSV (each also .gz),
Parquet, or plain lines (.txt). The text column is guessed and named before the work; the
others are kept as metadata. Empty texts are left out and counted. A killed run goes on
when the same command runs again.
"""

from typing import Any

from absl import flags

from sae_jax.embed import corpora, job, openai, texts
from sae_jax.embed.encoder import Encoder
from sae_jax.errors import UsageError

DTYPES = ("float16", "bfloat16", "float32")
OPENAI_FLAGS = ("base_url", "model", "max_characters")
MINILM_FLAGS = ("weights",)


def define_flags(values: flags.FlagValues) -> None:
    def text(name: str, default: str | None, *, about: str) -> None:
        flags.DEFINE_string(name, default, about, flag_values=values)

    def number(name: str, default: int | None, *, about: str) -> None:
        flags.DEFINE_integer(name, default, about, lower_bound=1, flag_values=values)

    text("out", None, about="Folder to write; new, or left by a killed run of this command.")
    text("text_column", None, about="Column to embed; otherwise guessed by name, then length.")
    text("corpus", None, about=f"Instead of INPUT: one of {', '.join(corpora.CORPORA)}.")
    text(
        "subset",
        "core",
        about="Part of the corpus. anatomy: 15,460 cell types and organs; core: these and "
        "6,225 diseases; all: 89,970 with every disease and chemical.",
    )
    flags.DEFINE_enum(
        "encoder",
        "minilm",
        ["minilm", "openai"],
        "minilm runs here, 384 wide; openai calls any OpenAI-compatible endpoint.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "dtype",
        "float16",
        DTYPES,
        "How rows are stored; computed in float32.",
        flag_values=values,
    )
    number("limit", None, about="Embed only the first N texts.")
    number(
        "batch_size",
        None,
        about="openai: texts per call [128]. minilm: texts of 32 word pieces at once, fewer "
        "where they are longer [32 on a CPU, 2048 elsewhere].",
    )
    number("rows_per_shard", job.ROWS_PER_SHARD, about="A kill loses at most so many rows.")
    text("weights", None, about="minilm: folder with model.safetensors and tokenizer.json.")
    text("base_url", openai.OPENAI_URL, about="openai: address of the endpoint, with its /v1.")
    text(
        "model",
        "text-embedding-3-small",
        about=f"openai: model to ask for. The key is read from {openai.KEY_VARIABLE} only.",
    )
    number("max_characters", None, about="openai: cut longer texts; otherwise sent whole.")
    text("licence", None, about="Licence of the texts, kept in the manifest.")


def run(values: flags.FlagValues, arguments: list[str]) -> None:
    """Embeds; raises UsageError before anything is read where the flags disagree."""
    source_path = _check(values, arguments)
    if values.corpus:
        source = corpora.open_corpus(values.corpus, subset=values.subset)
    else:
        source = texts.open_texts(source_path, text_column=values.text_column)
    manifest = job.embed(
        source,
        _encoder(values),
        folder=values.out,
        dtype=values.dtype,
        rows_per_shard=values.rows_per_shard,
        limit=values.limit,
        licence=values.licence,
    )
    n_steps = max(-(-20 * (manifest.n_rows - manifest.held_out.n_rows) // 1_024), 1)
    print(
        "Next: sae-jax train --config=experiments/biomedical.py --workdir=runs/mine "
        f"--config.shards={values.out} --config.sae.d_in={manifest.d_in} "
        f"--config.n_steps={n_steps}  # 20 passes over the rows"
    )


def _check(values: flags.FlagValues, arguments: list[str]) -> str:
    """The INPUT, or "" with --corpus."""
    if not values.out:
        raise UsageError("name the folder to write with --out=DIR. See `sae-jax embed --help`.")
    if len(arguments) != (0 if values.corpus else 1):
        raise UsageError(
            f"expected one INPUT file or folder, or --corpus=NAME; found {len(arguments)} "
            f"inputs ({', '.join(arguments) or 'none'})"
            + (f" and --corpus={values.corpus}." if values.corpus else ".")
        )
    if values.corpus and values.text_column:
        raise UsageError("--text_column is for an INPUT; a corpus has its own text.")
    if not values.corpus and values["subset"].present:
        raise UsageError("--subset is a part of a --corpus; an INPUT has --limit.")
    others = OPENAI_FLAGS if values.encoder == "minilm" else MINILM_FLAGS
    for name in others:
        if values[name].present:
            raise UsageError(f"--{name} does nothing with --encoder={values.encoder}.")
    return arguments[0] if arguments else ""


def _encoder(values: flags.FlagValues) -> Encoder:
    options: dict[str, Any] = {}
    if values.encoder == "openai":
        if values.batch_size:
            options["batch_size"] = values.batch_size
        return openai.OpenAIEncoder(
            model=values.model,
            base_url=values.base_url,
            max_characters=values.max_characters,
            **options,
        )
    from sae_jax.embed.minilm import MiniLM

    if values.batch_size:
        options["pieces_per_batch"] = 32 * values.batch_size
    return MiniLM(weights=values.weights, **options)
