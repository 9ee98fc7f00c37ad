"""A sweep from its members to their finished run folders, and what of it is left."""

import contextlib
import functools
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from sae_jax.config import Config
from sae_jax.data.manifest import write_atomically
from sae_jax.data.shards import ShardReader, open_shards
from sae_jax.errors import UsageError
from sae_jax.sweep import grid, population
from sae_jax.sweep.grid import Member
from sae_jax.sweep.population import Begun, Progress, make_packs
from sae_jax.train import loop, plan, run_folder, setup, sharding
from sae_jax.train.metrics import duration
from sae_jax.train.processes import StopAgreement
from sae_jax.train.run import Run
from sae_jax.train.watchdog import Watchdog

FORMAT = 1


class Status(NamedTuple):
    """How far the members are."""

    finished: list[Member]
    failed: dict[str, str]  # the error of each
    left: list[Member]


def write_members(members: Sequence[Member], *, workdir: pathlib.Path) -> None:
    """`sweep.json`: all members of the sweep, also those of other tasks; of a rerun, the new.

    Members that are no longer in the sweep file keep their folders and their lines.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    known = {} if not (workdir / "sweep.json").exists() else read_members(workdir)
    known |= {member.name: member.overrides for member in members}
    listed = [{"name": name, "overrides": overrides} for name, overrides in known.items()]
    text = json.dumps({"format": FORMAT, "members": listed}, indent=2) + "\n"
    write_atomically(workdir / "sweep.json", text.encode())


def read_members(workdir: pathlib.Path) -> dict[str, dict[str, Any]]:
    """The members' names, which are their folders', and overrides.

    Raises:
        UsageError: the folder is not that of a sweep, or of another version's.
    """
    path = workdir / "sweep.json"
    try:
        found = json.loads(path.read_text())
        if found["format"] == FORMAT:
            return {member["name"]: member["overrides"] for member in found["members"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path}: cannot be read ({type(error).__name__}: {error}); expected the --workdir "
            "of `sae-jax sweep`."
        ) from error
    raise UsageError(f"{path}: has format {found['format']}; expected {FORMAT}.")


def status(members: Sequence[Member], *, workdir: pathlib.Path) -> Status:
    found = Status([], {}, [])
    for member in members:
        folder = workdir / member.name
        if run_folder.read_summary(folder) is not None:
            found.finished.append(member)
        elif (failure := run_folder.read_failure(folder)) and not failure.refused:
            found.failed[member.name] = failure.error
        else:
            found.left.append(member)
    return found


def forget_failures(members: Sequence[Member], *, workdir: pathlib.Path) -> None:
    """They are tried again, from their last checkpoint."""
    for member in members:
        run_folder.forget_failure(workdir / member.name)


def refusal(member: Member, *, reader: ShardReader, workdir: pathlib.Path) -> str:
    """Why this member cannot be trained, before anything is; empty where it can."""
    try:
        member.config.validate()
        setup.check_data(member.config, reader)
        run_folder.check_config(member.config, workdir=workdir / member.name)
    except UsageError as error:
        return str(error)
    return ""


def train_sweep(
    members: Sequence[Member], *, workdir: pathlib.Path, pack_size: int, watch: Watchdog
) -> Status:
    """Trains what is left of these members. Those that fail do not stop the others.

    Why is written down in their run folders. Those refused for a bad setting are tried anew
    each time, those whose loss was not finite when asked for.

    Raises:
        RunAgain: stopped by SIGTERM or Ctrl-C, with everything saved.
        UsageError: another process is training one of them.
    """
    refused: dict[str, str] = {}
    opened = functools.cache(open_shards)
    with contextlib.ExitStack() as held:
        streams: dict[Any, list[Member]] = {}
        for member in status(members, workdir=workdir).left:
            reader = opened(member.config.shards)
            folder = workdir / member.name
            if why := refusal(member, reader=reader, workdir=workdir):
                refused[member.name] = why
                run_folder.write_failure(folder, run_folder.Failure(why, refused=True))
                continue
            held.enter_context(run_folder.claim(folder))
            run_folder.settle_config(member.config, workdir=folder)
            run_folder.forget_failure(folder)
            streams.setdefault(population.stream_config(member.config), []).append(member)
        for together in streams.values():
            for wave in waves(together, most_bytes=memory_bytes()):
                _train_together(wave, workdir=workdir, pack_size=pack_size, watch=watch)
    found = status(members, workdir=workdir)
    left = [member for member in found.left if member.name not in refused]
    return Status(found.finished, found.failed | refused, left)


def memory_bytes() -> int:
    """What states may take: most of one device's memory, half of this machine's on a CPU.

    Of one, since a pack that its devices do not divide evenly lies on the first alone.
    """
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    limits = [int(found.get("bytes_limit") or 0) for found in stats]
    if all(limits):
        return int(0.6 * min(limits))
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def state_bytes(config: Config) -> int:
    leaves = jax.tree.leaves(setup.abstract_state(config))
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


def waves(members: Sequence[Member], *, most_bytes: int) -> list[list[Member]]:
    """Those whose states fit into memory together, in order; at least one at a time."""
    found: list[list[Member]] = []
    free = 0
    for member in members:
        needed = state_bytes(member.config)
        if needed > free:
            found.append([])
            free = most_bytes
        found[-1].append(member)
        free -= needed
    return found


def _train_together(
    members: Sequence[Member], *, workdir: pathlib.Path, pack_size: int, watch: Watchdog
) -> None:
    config, mesh = members[0].config, sharding.one_device()
    reader = open_shards(config.shards)
    data = setup.measure_data(reader)
    costs = [grid.cost(member.config) for member in members]
    with contextlib.ExitStack() as held:
        requested = held.enter_context(loop.stop_requests())
        held.enter_context(watch.guard())
        begun = []
        for member, cost in zip(members, costs, strict=True):
            run = Run(
                member.config,
                reader=reader,
                workdir=workdir / member.name,
                data=data,
                mesh=mesh,
                share=cost / sum(costs) if len(members) > 1 else 1.0,
            )
            held.callback(run.close)
            state = setup.initial_state(member.config, reader=reader, data=data, mesh=mesh)
            state, first = run.begin(state)
            # Those that will be stacked wait on the host: each device is to hold its own alone.
            begun.append(Begun(run, jax.device_get(state) if pack_size > 1 else state, first))
        first = min(one.first for one in begun)
        packs = make_packs(begun, size=pack_size, dtype=reader.dtype)
        del begun, state  # the programs donate the states
        stream = loop.Stream(reader, config, first=first, mesh=mesh, workdir=workdir)
        shown = [Progress(packs, config)] if len(members) > 1 else []
        stop = StopAgreement(requested, mesh=mesh)
        loop.drive([*packs, *shown], stream, watch=watch, stop=stop)
        watch.rest()
        for pack in packs:
            for place in pack.alive():
                pack.runs[place].end(pack.state(place))


def describe_plan(members: Sequence[Member], *, workdir: pathlib.Path, pack_size: int) -> str:
    """Members, memory, time and disk, before anything is written."""
    found = status(members, workdir=workdir)
    lines = [f"Sweep in {workdir}: {len(members)} members"]
    lines.append(
        f"  {len(found.finished)} finished, {len(found.failed)} failed, {len(found.left)} left"
    )
    seconds, disk, opened = 0.0, 0, functools.cache(open_shards)
    for member in found.left:
        reader = opened(member.config.shards)
        if why := refusal(member, reader=reader, workdir=workdir):
            lines.append(f"  {member.name:<40} will fail: {why}")
            continue
        made = plan.make_plan(member.config, reader)
        seconds, disk = seconds + made.seconds, disk + made.disk_bytes
        lines.append(
            f"  {member.name:<40} {made.n_parameters:>12,} parameters  {duration(made.seconds)}"
        )
    alike = len({population.program_config(member.config).to_json() for member in found.left})
    n_streams = len({population.stream_config(member.config) for member in found.left})
    memory = sum(state_bytes(member.config) for member in found.left)
    lines.append(
        f"  {alike} kinds of program, at most {pack_size} members in one; data read "
        f"{n_streams} times; states {memory / 1e6:,.0f} MB; disk {disk / 1e6:,.0f} MB; "
        f"about {duration(seconds)}"
    )
    return "\n".join(lines)


def describe_results(found: Status, *, workdir: pathlib.Path) -> str:
    lines = [f"\nResults in {workdir}"]
    for member in found.finished:
        result = run_folder.read_summary(workdir / member.name)
        assert result is not None
        lines.append(
            f"  {member.name:<40} fvu {result['held_out']['fvu']:.4f} held out, "
            f"{result['train']['fvu']:.4f} train  dead {100 * result['dead_fraction']:.2f} %"
        )
    lines += [f"  {name:<40} FAILED: {error}" for name, error in found.failed.items()]
    return "\n".join(lines)
