"""Which of several tasks this process is, as its launcher says in the environment."""

import dataclasses
from collections.abc import Mapping, Sequence

from sae_jax.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Task:
    """One of the processes that share a sweep's members."""

    index: int  # from 0
    count: int
    source: str  # who said so


@dataclasses.dataclass(frozen=True)
class Launcher:
    """How one launcher numbers its tasks: the names of its variables."""

    index: str
    count: str  # empty where it does not say how many there are
    first: str = ""  # the index of the first task; empty: 0
    step: str = ""  # between indices; empty: 1


# TPU_WORKER_ID is GKE's: plain TPU VMs know theirs from the metadata server alone.
# Numbers that multiply, outer before inner: an array of jobs, each of several processes.
# SLURM sets SLURM_PROCID in a batch script too, which is no task: only steps have the count.
LAUNCHERS = {
    "SkyPilot": (
        Launcher("SKYPILOT_JOB_RANK", "SKYPILOT_NUM_JOBS"),
        Launcher("SKYPILOT_NODE_RANK", "SKYPILOT_NUM_NODES"),
    ),
    "Kubernetes": (Launcher("JOB_COMPLETION_INDEX", ""),),
    "SLURM": (
        Launcher(
            "SLURM_ARRAY_TASK_ID",
            "SLURM_ARRAY_TASK_COUNT",
            first="SLURM_ARRAY_TASK_MIN",
            step="SLURM_ARRAY_TASK_STEP",
        ),
        Launcher("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    ),
    "TPU worker": (Launcher("TPU_WORKER_ID", "TPU_WORKER_HOSTNAMES"),),
}


def find_task(environment: Mapping[str, str], *, index: int | None, count: int | None) -> Task:
    """From the flags --task_index and --task_count, else from the launcher's variables.

    With --task_count alone the launcher gives the index, as it numbers it: so one task of
    an array that is submitted again alone has the share that it had.

    Raises:
        UsageError: half of it is unknown, or the index is not below the count.
    """
    if index is not None:
        if count is None:
            raise UsageError(f"--task_index={index}: of how many? Give --task_count too.")
        return _checked(Task(index, count, "--task_index"))
    for launcher, levels in LAUNCHERS.items():
        present = [
            level
            for level in levels
            if level.index in environment and (not level.count or level.count in environment)
        ]
        if present:
            return _checked(_read(environment, launcher, present, count=count))
    if count in (None, 1):
        return Task(0, 1, "alone")
    raise UsageError(
        f"--task_count={count}: which of them is this? Give --task_index too; no launcher "
        "says so in the environment."
    )


def _read(
    environment: Mapping[str, str],
    launcher: str,
    levels: Sequence[Launcher],
    *,
    count: int | None,
) -> Task:
    index, total = 0, 1
    for level in levels:
        own = _number(environment, level.index)
        if level.count:
            size = _size(environment, level.count)
        elif count is not None:
            size = count
        else:
            raise UsageError(
                f"{launcher} says by {level.index}={own} which task this is, but not of how "
                "many. Give --task_count, the number of completions."
            )
        if count is None and level.first in environment:
            own -= _number(environment, level.first)
        if count is None and level.step in environment:
            own //= _number(environment, level.step)
        index, total = index * size + own, total * size
    names = ", ".join(level.index for level in levels)
    return Task(index, total if count is None else count, f"{launcher}: {names}")


def _size(environment: Mapping[str, str], name: str) -> int:
    value = environment[name]
    return len(value.split(",")) if name.endswith("HOSTNAMES") else _number(environment, name)


def _number(environment: Mapping[str, str], name: str) -> int:
    value = environment.get(name, "")
    if not value.isdigit():
        raise UsageError(
            f"{name}={value!r} in the environment; expected a whole number from 0."
        )
    return int(value)


def _checked(task: Task) -> Task:
    if not 0 <= task.index < task.count:
        raise UsageError(
            f"task {task.index} of {task.count} ({task.source}); expected an index from 0 to "
            f"{task.count - 1}. Give --task_index and --task_count."
        )
    return task
