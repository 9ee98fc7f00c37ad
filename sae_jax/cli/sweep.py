"""Train the members of a sweep together, or go on with them, and report on all.

  sae-jax sweep --config=experiments/wordnet_grid.py --config.shards=DATA/wordnet-glosses \\
      --workdir=runs/grid
  sae-jax sweep --config=experiments/wordnet_grid.py --workdir=runs/grid --dry_run
  sae-jax sweep --config=experiments/wordnet_grid.py --workdir=runs/grid --only=k=32,64

The file names a base experiment and yields the settings of each member. --config.NAME=VALUE
changes the base. The same command run again goes on where it was stopped; finished members
are not touched. Several tasks share the members: by --task_index and --task_count, or as SLURM
arrays, SkyPilot, Kubernetes and GKE number them. Exit codes: 0 all done, 1 a member failed,
75 run it again, 2 wrong use.
"""

import logging
import os
import pathlib
from collections.abc import Sequence

from absl import flags
from ml_collections import config_flags

from sae_jax.cli.arguments import define_task
from sae_jax.errors import UsageError
from sae_jax.sweep import grid
from sae_jax.sweep.grid import Member
from sae_jax.sweep.tasks import find_task


def prepare(arguments: Sequence[str]) -> list[str]:
    """The arguments with the base experiment in the place of the sweep file."""
    prepared = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name in ("--config", "-config"):
            if not equals:
                raise UsageError(f"{argument}: expected --config=FILE, a sweep file.")
            base = grid.read_sweep_file(pathlib.Path(value)).base
            prepared += [f"--sweep_file={value}", f"--config={base}"]
        else:
            prepared.append(argument)
    return prepared


def define_flags(values: flags.FlagValues) -> None:
    config_flags.DEFINE_config_file(
        "config", help_string="Sweep file: Python with BASE and sweep().", flag_values=values
    )
    flags.DEFINE_string("sweep_file", "", "Set by --config.", flag_values=values)
    flags.DEFINE_string(
        "workdir", "", "Folder of the sweep, with a run folder a member.", flag_values=values
    )
    flags.DEFINE_bool(
        "dry_run", False, "Print the plan (members, memory, time, disk) and stop.",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_multi_string(
        "only", [], "Members with these values alone, such as k=32,64; again for more.",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_string(
        "pack", "auto", "Most members in one program; auto: what was measured to pay.",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_bool(
        "retry_failed", False, "Try members again that failed.", flag_values=values
    )
    define_task(values, shared="members")


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    if arguments:
        raise UsageError(f"unexpected arguments {arguments}; every option is a --flag=VALUE.")
    if not values.sweep_file:
        raise UsageError("no config; expected --config=FILE, a sweep file of experiments/.")
    if not values.workdir:
        raise UsageError("no --workdir; expected a folder for the sweep, such as runs/grid.")
    found = grid.read_sweep_file(pathlib.Path(values.sweep_file))
    everything = grid.make_members(values.config, found.overrides)
    members = grid.only(everything, values.only)
    task = find_task(os.environ, index=values.task_index, count=values.task_count)
    if task.count > 1:
        print(f"Task {task.index} of {task.count} ({task.source})")
    members = grid.share(members, task_index=task.index, task_count=task.count)
    return _sweep(values, everything=everything, members=members)


def _sweep(
    values: flags.FlagValues, *, everything: Sequence[Member], members: Sequence[Member]
) -> int:
    from sae_jax.cli.report import write_report
    from sae_jax.sweep import population, report, sweep
    from sae_jax.train.watchdog import Watchdog

    logging.getLogger("absl").setLevel(logging.CRITICAL)
    workdir = pathlib.Path(values.workdir)
    pack_size = population.pack_size(values.pack)
    if values.retry_failed and not values.dry_run:
        sweep.forget_failures(members, workdir=workdir)
    print(sweep.describe_plan(members, workdir=workdir, pack_size=pack_size), flush=True)
    if values.dry_run:
        return 0
    sweep.write_members(everything, workdir=workdir)
    with Watchdog() as watch:
        found = sweep.train_sweep(members, workdir=workdir, pack_size=pack_size, watch=watch)
    print(sweep.describe_results(found, workdir=workdir), flush=True)
    out = workdir / "report"
    # Again where a member of another task ended meanwhile, or its older report came later.
    while not report.is_current(workdir, out=out):
        write_report(workdir, out=out)
    return 1 if found.failed else 0
