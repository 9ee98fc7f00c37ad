"""Train a sparse autoencoder, or go on with one that was stopped.

  sae-jax train --config=experiments/wordnet.py --workdir=runs/wordnet
  sae-jax train --config=experiments/wordnet.py --config.sae.k=64 --workdir=runs/k64
  sae-jax train --config=experiments/wordnet.py --workdir=runs/wordnet --dry_run

Every setting of the config file (sae_jax/config.py) can be given as --config.NAME=VALUE.
The same command run again resumes exactly where the last checkpoint was written. Exit
codes: 0 done, 75 stopped and saved (run it again), 2 wrong use, 1 failure.
"""

import contextlib
import logging
import pathlib
import sys
from typing import TYPE_CHECKING, Any, cast

from absl import flags
from ml_collections import config_flags

from sae_jax.config import Config
from sae_jax.errors import SaeJaxError, UsageError

if TYPE_CHECKING:
    from sae_jax.train.watchdog import Watchdog


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
    flags.DEFINE_integer(
        "latent_shards",
        1,
        "Devices that hold one dictionary together; the batch is split over the rest.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "coordinator",
        "",
        "HOST:PORT of process 0. Not needed on TPU VMs, under SLURM, Open MPI or Kubernetes.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "num_processes",
        0,
        "How many processes there are; 1: this one, alone.",
        flag_values=values,
    )
    flags.DEFINE_integer("process_id", -1, "Which of them this is, from 0.", flag_values=values)
    flags.DEFINE_integer(
        "heartbeat_seconds",
        60,
        "A process silent for so long is lost: the others end, to be run again.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "stall_seconds",
        300,
        "A run in which no block of steps ends for so long, and for 20 usual blocks, ends, to "
        "be run again; 0 never ends it.",
        lower_bound=0,
        flag_values=values,
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
    import jax

    from sae_jax.train import processes
    from sae_jax.train.watchdog import Watchdog

    # Orbax tells of every file, and prints a traceback of what it then raises to us.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    processes.join(
        coordinator=values.coordinator,
        n_processes=values.num_processes,
        process_id=values.process_id,
        heartbeat_seconds=values.heartbeat_seconds,
    )
    watch = Watchdog(
        stall_seconds=values.stall_seconds, heartbeat_seconds=values.heartbeat_seconds
    )
    try:
        with watch, watch.guard():
            return _train(values, config=config, watch=watch)
    except SaeJaxError as error:
        found_by = processes.found_by(error)
        if found_by in (None, jax.process_index()):
            raise
        message = f"process {jax.process_index()} ends because process {found_by} does."
        print(f"sae-jax train: {message}", file=sys.stderr)
        return error.exit_code


def _train(values: flags.FlagValues, *, config: Config, watch: "Watchdog") -> int:
    from sae_jax.data.shards import open_shards
    from sae_jax.train import loop, plan, processes, run_folder, setup, sharding, summary

    def say(text: str) -> None:
        if processes.is_first():
            print(text, flush=True)

    workdir = pathlib.Path(values.workdir)
    with processes.together():
        mesh = sharding.make_mesh(latent_shards=values.latent_shards)
        reader = open_shards(config.shards)
    setup.check_run(config, reader=reader, mesh=mesh)
    if processes.is_first():
        made = plan.make_plan(config, reader, mesh=mesh)
        say(plan.describe(made, config=config, reader=reader, workdir=workdir, mesh=mesh))
    if values.dry_run:
        return 0
    with contextlib.ExitStack() as held:
        processes.from_first(lambda: held.enter_context(run_folder.claim(workdir)))
        processes.from_first(lambda: run_folder.settle_config(config, workdir=workdir))
        result = processes.from_first(lambda: run_folder.read_summary(workdir))
        if result is not None:
            say(f"\n{workdir} is already finished.")
        else:
            say("")
            result = loop.train(config, reader=reader, workdir=workdir, mesh=mesh, watch=watch)
    say(f"\nResults, also in {workdir / 'summary.json'}\n{summary.describe(result)}")
    say(
        f"\nNext\n  sae-jax encode {workdir} && sae-jax latents {workdir}      "
        "# what its latents respond to"
        f"\n  python -c \"import sae_jax; print(sae_jax.load('{workdir}'))\""
    )
    return 0
