"""A sweep as jobs of SLURM, or as processes on this machine: a job for each of its tasks.

pip install submitit
python launch/sweep_submitit.py --tasks=4 --logs=/shared/logs --partition=gpu --gpus=1 -- \
    --config=experiments/wordnet_grid.py --workdir=/shared/runs/grid
python launch/sweep_submitit.py --tasks=2 --cluster=local -- --config=… --workdir=runs/grid

What stands after -- goes to `sae-jax sweep`; shards and workdir have to lie where all nodes
see them. At its time limit, or when it is preempted, a job saves and goes into the queue
again. The same command run again goes on with what is left. Then: sae-jax report WORKDIR.
"""

import argparse
import contextlib
import os
import pathlib
import signal
import subprocess
import sys

import submitit

HERE = pathlib.Path(__file__).parent
MOST_TIMEOUTS = 1_000  # then a job is not queued again; submitit's own 3 would end long sweeps


class SweepTask:
    """What a job does: `sae-jax sweep` for its share of the members, until it is done."""

    def __init__(self, arguments: list[str], *, n_tasks: int) -> None:
        self.arguments, self.n_tasks = arguments, n_tasks
        self.process_id = 0

    def __call__(self, task: int) -> None:
        command = [
            str(HERE / "again.sh"), sys.executable, "-m", "sae_jax.cli.main", "sweep",
            *self.arguments, f"--task_index={task}", f"--task_count={self.n_tasks}",
        ]  # fmt: skip
        # SLURM sends its signal to all processes of the job; only ours is to act on it.
        child = subprocess.Popen(
            command, preexec_fn=lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        )
        self.process_id = child.pid
        if code := child.wait():
            raise RuntimeError(f"task {task} of {self.n_tasks} ended with exit code {code}.")

    def checkpoint(self, task: int) -> submitit.helpers.DelayedSubmission:
        """Called by submitit when the job has to go: ends the sweep, which saves."""
        with contextlib.suppress(ProcessLookupError, ChildProcessError):  # it has ended
            os.kill(self.process_id, signal.SIGTERM)
            os.waitpid(self.process_id, 0)  # Popen.wait needs a lock that __call__ holds
        return submitit.helpers.DelayedSubmission(self, task)

    __submitit_checkpoint__ = checkpoint  # its name in submitit after 1.5


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, required=True, help="how many jobs")
    parser.add_argument("--cluster", choices=("slurm", "local"), default="slurm")
    parser.add_argument("--logs", default="submitit-logs", help="folder of the jobs' output")
    parser.add_argument("--partition", help="of SLURM; otherwise the cluster's default")
    parser.add_argument("--gpus", type=int, default=0, help="of each job")
    parser.add_argument("--cpus", type=int, default=8, help="of each job")
    parser.add_argument("--minutes", type=int, default=1_440, help="before it is queued again")
    parser.add_argument("--at_once", type=int, default=256, help="most jobs that run together")
    parser.add_argument("--wait", action="store_true", help="until all jobs have ended")
    parser.add_argument("arguments", nargs="+", help="of sae-jax sweep, after --")
    return parser.parse_args()


def main() -> int:
    options = parse()
    executor = submitit.AutoExecutor(
        folder=options.logs, cluster=options.cluster, slurm_max_num_timeout=MOST_TIMEOUTS
    )
    executor.update_parameters(
        name="sae-jax",
        timeout_min=options.minutes,
        gpus_per_node=options.gpus,
        cpus_per_task=options.cpus,
        slurm_array_parallelism=options.at_once,
        slurm_signal_delay_s=120,
        **({"slurm_partition": options.partition} if options.partition else {}),
    )
    task = SweepTask(options.arguments, n_tasks=options.tasks)
    jobs = executor.map_array(task, list(range(options.tasks)))
    for place, job in enumerate(jobs):
        print(f"task {place} of {len(jobs)}: job {job.job_id}, {job.paths.stdout}", flush=True)
    if not options.wait and options.cluster != "local":
        return 0
    failed = [place for place, job in enumerate(jobs) if job.exception() is not None]
    for place in failed:
        print(f"task {place} failed:\n{jobs[place].stderr()}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
