"""Train a sparse autoencoder, or go on with one that was stopped.

  sae-jax train --config=experiments/wordnet.py --workdir=runs/wordnet
  sae-jax train --config=experiments/wordnet.py --config.sae.k=64 --workdir=runs/k64
  sae-jax train --config=experiments/wordnet.py --workdir=runs/wordnet --dry_run

Every setting of the config file (sae_jax/config.py) can be given as --config.NAME=VALUE.
The same command run again resumes exactly where the last checkpoint was written. Exit
codes: 0 done, 75 stopped and saved (run it again), 2 wrong use, 1 failure.
"""

import logging
import pathlib
from typing import Any, cast

from absl import flags
from ml_collections import config_flags

from sae_jax.config import Config
from sae_jax.errors import UsageError


def define_flags(values: flags.FlagValues) -> None:
    config_flags.DEFINE_config_file(
        "config", help_string="Python file with get_config().", flag_values=values
    )
    flags.DEFINE_string(
        "workdir", "", "Folder of the run: made when new, resumed when not.", flag_values=values
    )
    flags.DEFINE_bool(
        "dry_run", False, "Print the plan (memory, time, disk) and stop.", flag_values=values
    )


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    if arguments:
        raise UsageError(f"unexpected arguments {arguments}; every option is a --flag=VALUE.")
    config, flag = values.config, cast(Any, values["config"])
    if config is None:
        raise UsageError("no config; expected --config=FILE, such as experiments/wordnet.py.")
    if not isinstance(config, Config):
        raise UsageError(
            f"--config={flag.config_filename}: there is no such file, or its "
            "get_config() returns something else; expected a Python file whose get_config() "
            "returns a sae_jax.config.Config, such as experiments/wordnet.py."
        )
    if not values.workdir:
        raise UsageError("no --workdir; expected a folder for the run, such as runs/first.")
    config.validate()
    # Imported here: JAX takes a second, which `--help` and a mistyped flag need not wait for.
    from sae_jax.data.shards import open_shards
    from sae_jax.train import loop, plan, run_folder, setup, summary

    # Orbax tells of every file, and prints a traceback of what it then raises to us.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    workdir = pathlib.Path(values.workdir)
    reader = open_shards(config.shards)
    setup.check_data(config, reader)
    print(
        plan.describe(
            plan.make_plan(config, reader), config=config, reader=reader, workdir=workdir
        ),
        flush=True,
    )
    if values.dry_run:
        return 0
    with run_folder.claim(workdir):
        run_folder.settle_config(config, workdir=workdir)
        result = run_folder.read_summary(workdir)
        if result is not None:
            print(f"\n{workdir} is already finished.")
        else:
            print("", flush=True)
            result = loop.train(config, reader=reader, workdir=workdir)
    print(f"\nResults, also in {workdir / 'summary.json'}\n{summary.describe(result)}")
    print(
        f"\nNext\n  sae-jax latents {workdir}      # what its latents respond to"
        f"\n  python -c \"import sae_jax; print(sae_jax.load('{workdir}'))\""
    )
    return 0
