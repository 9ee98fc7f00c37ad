"""Encode a corpus: which latents are on for each row, and on which rows each latent is on.

  sae-jax encode runs/first
  sae-jax encode runs/first --shards=data/other
  sae-jax encode runs/first --task_index=0 --task_count=4

Writes RUN/codes/CORPUS: codes by row and by latent, and near misses, as .npy files that are
mapped and not read (sae_jax.analysis.codes.open_codes); and RUN/features/CORPUS: of each latent
histogram, likeness and company (sae_jax.analysis.features.open_pages). Interrupted, the same
command goes on. Several tasks, on one machine or many, share the rows; the last to end
completes them.
"""

from absl import flags

from sae_jax.cli.arguments import define_corpus, define_task, open_run


def define_flags(values: flags.FlagValues) -> None:
    define_corpus(values)
    define_task(values, shared="rows")


def run(values: flags.FlagValues, arguments: list[str]) -> None:
    # Imported here: JAX takes a second, which `--help` need not wait for.
    import numpy as np

    from sae_jax.analysis import codes, encode, feature_tables
    from sae_jax.sweep.tasks import find_task
    from sae_jax.train.plan import size

    folder, sae, reader = open_run(arguments, values)
    # Not by the launcher's variables: an array of jobs may well encode a run each.
    task = find_task({}, index=values.task_index, count=values.task_count)
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
    stored = codes.open_codes(out)
    tables = feature_tables.folder_for(folder, stored)
    if not feature_tables.are_of(stored, out=tables):
        print(f"Histograms, likeness and company of the latents: {tables}", flush=True)
        feature_tables.make(stored, W_dec=np.asarray(sae.W_dec), out=tables)
    print(
        f"Done: {manifest.n_on:,} entries, {manifest.n_on / manifest.n_rows:.1f} a row. "
        f"Open them: sae_jax.analysis.codes.open_codes('{out}')"
    )
