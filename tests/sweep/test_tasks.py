"""Which task this is: each launcher's variables, as its documentation has them."""

import pytest

from sae_jax.errors import UsageError
from sae_jax.sweep.tasks import find_task

ARRAY = {  # sbatch --array=1-7:2, its third job
    "SLURM_ARRAY_TASK_ID": "5",
    "SLURM_ARRAY_TASK_COUNT": "4",
    "SLURM_ARRAY_TASK_MIN": "1",
    "SLURM_ARRAY_TASK_STEP": "2",
}
STEP = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "3"}


def found(environment, *, index, count):
    task = find_task(environment, index=index, count=count)
    return task.index, task.count


@pytest.mark.parametrize(
    ("environment", "index", "count"),
    [
        ({}, 0, 1),
        (ARRAY, 2, 4),
        (STEP, 1, 3),
        (ARRAY | STEP, 7, 12),  # an array of jobs of three processes
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "3"}, 0, 1),  # a batch script is no task
        ({"SKYPILOT_NODE_RANK": "3", "SKYPILOT_NUM_NODES": "4"}, 3, 4),
        (
            {
                "SKYPILOT_JOB_RANK": "2",
                "SKYPILOT_NUM_JOBS": "5",
                "SKYPILOT_NODE_RANK": "0",
                "SKYPILOT_NUM_NODES": "1",
            },
            2,
            5,
        ),
        ({"SKYPILOT_JOB_RANK": "0"}, 0, 1),  # a managed job of its own
        ({"TPU_WORKER_ID": "1", "TPU_WORKER_HOSTNAMES": "a,b"}, 1, 2),
    ],
)
def test_a_launcher_says_which_task_this_is(environment, index, count):
    assert found(environment, index=None, count=None) == (index, count)


def test_flags_come_before_the_launcher():
    assert found(ARRAY, index=0, count=2) == (0, 2)


def test_one_task_of_an_array_submitted_again_keeps_its_share():
    alone = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "1"}
    alone["SLURM_ARRAY_TASK_MIN"] = "3"
    assert found(alone, index=None, count=4) == (3, 4)


def test_kubernetes_needs_the_number_of_completions():
    indexed = {"JOB_COMPLETION_INDEX": "1"}
    with pytest.raises(UsageError, match=r"JOB_COMPLETION_INDEX=1.*Give --task_count"):
        find_task(indexed, index=None, count=None)
    assert found(indexed, index=None, count=3) == (1, 3)


@pytest.mark.parametrize(
    ("environment", "index", "count", "message"),
    [
        ({}, 1, None, "of how many"),
        ({}, None, 4, "which of them"),
        ({}, 4, 4, "task 4 of 4 .*from 0 to 3"),
        ({}, -1, 4, "task -1 of 4"),
        ({"SLURM_ARRAY_TASK_ID": "4"} | ARRAY, None, 3, "task 5 of 3 .SLURM"),
        (ARRAY | {"SLURM_ARRAY_TASK_ID": "x"}, None, None, "SLURM_ARRAY_TASK_ID='x'"),
    ],
)
def test_what_cannot_be_is_refused(environment, index, count, message):
    with pytest.raises(UsageError, match=message):
        find_task(environment, index=index, count=count)
