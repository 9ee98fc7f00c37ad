"""Encode a corpus: which latents are on for each row, and on which rows each latent is on.

  sae-jax encode runs/first
  sae-jax encode runs/first --shards=data/other
  sae-jax encode runs/first --task_index=0 --task_count=4

Writes RUN/codes/CORPUS: codes by row and by latent, and near misses, as .npy files that are
mapped and not read (sae_jax.analysis.codes.open_codes). Interrupted, the same command goes
on. Several tasks, on one machine or many, share the rows; the last to end completes them.
"""

import os
import pathlib

from absl import flags

from sae_jax.errors import UsageError


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "shards", "", "Folder of embeddings, if not the run's own.", flag_values=values
    )
    flags.DEFINE_integer(
        "task_index", None, "Which task of several this is, from 0. SLURM, SkyPilot, "
        "Kubernetes and TPU VMs say so themselves.", flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer(
        "task_count", None, "How many tasks share the rows.", lower_bound=1,
        flag_values=values,
    )  # fmt: skip


def run(values: flags.FlagValues, arguments: list[str]) -> None:
    if len(arguments) != 1:
        raise UsageError(f"found the arguments {arguments}; expected one run folder.")
    # Imported here: JAX takes a second, which `--help` need not wait for.
    from sae_jax.analysis import encode
    from sae_jax.notebook import load, open_corpus
    from sae_jax.sweep.tasks import find_task
    from sae_jax.train.plan import size

    folder = pathlib.Path(arguments[0])
    sae = load(folder)
    reader = open_corpus(folder, sae, shards=values.shards)
    task = find_task(os.environ, index=values.task_index, count=values.task_count)
    out = encode.folder_for(folder, reader)
    print(
        f"{reader.n_rows:,} rows × k {sae.k} of {sae.n_latents:,} latents: "
        f"about {size(encode.disk_bytes(sae, reader))} in {out}",
        flush=True,
    )
    manifest = encode.encode_corpus(
        sae, reader, out=out, task_index=task.index, task_count=task.count
    )
    if manifest is None:
        print(f"Task {task.index} of {task.count} is done; others are not yet.")
        return
    print(
        f"Done: {manifest.n_on:,} entries, {manifest.n_on / manifest.n_rows:.1f} a row. "
        f"Open them: sae_jax.analysis.codes.open_codes('{out}')"
    )
