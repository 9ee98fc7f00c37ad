"""The runs that are matched with one another, each with its codes of the same corpus."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sae_jax.analysis import codes, encode
from sae_jax.analysis.codes import StoredCodes
from sae_jax.data.shards import ShardReader
from sae_jax.errors import ShardError, UsageError
from sae_jax.notebook import load, open_corpus


class Run(NamedTuple):
    """A run, and its codes of the corpus that it is compared on."""

    name: str  # of its folder; where several runs have one name, the folder as it was given
    folder: pathlib.Path
    W_dec: Float[np.ndarray, "n_latents d_in"]
    stored: StoredCodes

    @property
    def alive(self) -> Int[np.ndarray, " n_alive"]:
        """The latents that are ever on."""
        return np.flatnonzero(self.stored.n_on)


def open_runs(
    folders: Sequence[str | pathlib.Path], *, shards: str | pathlib.Path = ""
) -> tuple[list[Run], ShardReader]:
    """All with their codes of the first one's corpus, or of the embeddings in `shards`.

    Raises:
        UsageError: a run is named twice, or they are not of one width.
        ShardError: codes are not there; it says which to make.
    """
    paths = [pathlib.Path(folder) for folder in folders]
    twice = len({path.resolve() for path in paths}) < len(paths)
    if len(paths) < 2 or twice:
        raise UsageError(
            f"found the runs {', '.join(map(str, paths)) or 'none'}; expected two or more, "
            "each once."
        )
    saes = [load(path) for path in paths]
    for path, sae in zip(paths, saes, strict=True):
        if sae.d_in != saes[0].d_in:
            raise UsageError(
                f"{path}: was trained on rows of {sae.d_in}, and {paths[0]} on rows of "
                f"{saes[0].d_in}. Only runs on embeddings of one encoder can be matched."
            )
    reader = open_corpus(paths[0], saes[0], shards=shards)
    _check_codes(paths, reader=reader)
    names = [path.absolute().name for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    runs = [
        Run(name, path, np.asarray(sae.W_dec), encode.open_run_codes(path, sae, reader))
        for name, path, sae in zip(names, paths, saes, strict=True)
    ]
    return runs, reader


def _check_codes(paths: Sequence[pathlib.Path], *, reader: ShardReader) -> None:
    without = [
        path for path in paths if codes.read_manifest(encode.folder_for(path, reader)) is None
    ]
    if without:
        commands = "` and `".join(
            f"sae-jax encode {path} --shards={reader.folder}" for path in without
        )
        raise ShardError(
            f"{', '.join(map(str, without))}: no codes of {reader.folder}, the corpus that the "
            f"runs are compared on, or not all of them. Run `{commands}`, or choose another "
            "corpus with --shards."
        )


def check_comparable(one: Run, other: Run) -> None:
    """Raises UsageError where the two are not codes of one corpus, or not of one width."""
    if one.W_dec.shape[1] != other.W_dec.shape[1]:
        raise UsageError(
            f"{other.folder}: its rows are {other.W_dec.shape[1]} wide; those of {one.folder} "
            f"are {one.W_dec.shape[1]}. Only runs on embeddings of one encoder can be matched."
        )
    ours, theirs = (run.stored.manifest for run in (one, other))
    if ours.data_fingerprint != theirs.data_fingerprint:
        raise UsageError(
            f"{other.stored.folder}: holds codes of {theirs.shards}; those of {one.folder} are "
            f"of {ours.shards}. Run `sae-jax encode {other.folder} --shards={ours.shards}`, "
            "and match those."
        )
    for run in (one, other):
        if len(run.alive) < 2:
            raise UsageError(
                f"{run.stored.folder}: {len(run.alive)} of {run.stored.manifest.n_latents} "
                "latents are ever on; expected codes of a corpus like the one that it was "
                "trained on."
            )
