"""What several commands take: a run folder, its corpus, and which task of several this is."""

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from absl import flags

from sae_jax.errors import UsageError

if TYPE_CHECKING:
    from sae_jax.analysis.codes import StoredCodes
    from sae_jax.data.shards import ShardReader
    from sae_jax.embed.encoder import Encoder
    from sae_jax.notebook import Sae

OF_ENCODERS = {"openai": ("model", "base_url"), "minilm": ("weights",)}


class Opened(NamedTuple):
    """A run and the corpus that a command looks at."""

    folder: pathlib.Path
    sae: "Sae"
    reader: "ShardReader"

    def codes(self) -> "StoredCodes":
        """Raises ShardError where `sae-jax encode` has not made them."""
        from sae_jax.analysis import encode

        return encode.open_run_codes(self.folder, self.sae, self.reader)


def define_corpus(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "shards", "", "Folder of embeddings, if not the run's own.", flag_values=values
    )


def define_encoder(values: flags.FlagValues) -> None:
    flags.DEFINE_enum(
        "encoder", None, ["minilm", "openai"],
        "Of a text, where the corpus's manifest does not name its own; it is compared with the "
        "corpus's rows.", flag_values=values,
    )  # fmt: skip
    for name, about in (
        ("model", "openai: model to ask for."),
        ("base_url", "openai: address of the endpoint, with its /v1."),
        ("weights", "minilm: folder with model.safetensors and tokenizer.json."),
    ):
        flags.DEFINE_string(name, "", about, flag_values=values)


def check_encoder(values: flags.FlagValues) -> None:
    """Raises UsageError before anything is read, where the encoder's flags disagree."""
    for kind, names in OF_ENCODERS.items():
        for name in names:
            if values[name].value and values.encoder != kind:
                raise UsageError(f"--{name} is of --encoder={kind}, which is not given.")
    if values.encoder == "openai" and not values.model:
        raise UsageError("--encoder=openai needs --model, the one the corpus was embedded by.")


def named_encoder(values: flags.FlagValues) -> "Encoder":
    """The one that --encoder names."""
    if values.encoder == "minilm":
        from sae_jax.search import encoders

        return encoders.built_in(weights=values.weights or None)
    from sae_jax.embed import openai

    return openai.OpenAIEncoder(
        model=values.model, base_url=values.base_url or openai.OPENAI_URL
    )


def define_task(values: flags.FlagValues, *, shared: str) -> None:
    flags.DEFINE_integer(
        "task_index", None, "Which task of several this is, from 0.", flag_values=values
    )
    flags.DEFINE_integer(
        "task_count", None, f"How many tasks share the {shared}.", lower_bound=1,
        flag_values=values,
    )  # fmt: skip


def one_folder(arguments: Sequence[str], *, of: str) -> pathlib.Path:
    if len(arguments) != 1:
        raise UsageError(f"found the arguments {list(arguments)}; expected one {of}.")
    return pathlib.Path(arguments[0])


def open_run(arguments: Sequence[str], values: flags.FlagValues) -> Opened:
    """The run that is named, and its own corpus or that of --shards."""
    folder = one_folder(arguments, of="run folder")
    # Imported here: JAX takes a second, which `--help` need not wait for.
    from sae_jax.notebook import load, open_corpus

    sae = load(folder)
    return Opened(folder, sae, open_corpus(folder, sae, shards=values.shards))


def named_latents(words: Sequence[str], *, n_latents: int) -> list[int]:
    """The numbers that --latent lists; empty where it was not given."""
    for word in words:
        if not word.isdecimal() or int(word) >= n_latents:
            raise UsageError(
                f"--latent={word}: is not a latent of this run; expected numbers from 0 to "
                f"{n_latents - 1}."
            )
    return [int(word) for word in words]
