"""What several commands take: a run folder, its corpus, and which task of several this is."""

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from absl import flags

from sae_jax.errors import UsageError

if TYPE_CHECKING:
    from sae_jax.analysis.codes import StoredCodes
    from sae_jax.data.shards import ShardReader
    from sae_jax.notebook import Sae


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
