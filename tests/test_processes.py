"""Real processes that train together, are stopped, killed and frozen, and go on as fewer.

Each has one CPU device; collectives are gloo's. A cache of compiled programs that they
share keeps this short.
"""

import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from tiny import command, config_file, metrics, planted_rows

import sae_jax

pytestmark = pytest.mark.slow

N_STEPS = 240
SETTINGS = (
    f"--config.n_steps={N_STEPS}",
    "--config.checkpoint_every_steps=60",
    "--config.sae.dead_after_examples=300",
    "--config.sae.products=sparse",
    "--config.optimizer.learning_rate=0.0005",
)


class Place:
    """Rows, a config, and processes that train on them."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "rows").mkdir()
        np.save(folder / "rows" / "a.npy", planted_rows(2_000))
        self.config = config_file(folder, shards=folder / "rows")
        self.env = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": str(folder / "cache"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }

    def start(self, name, *more, n_processes=1, slurm=False):
        """One process of each id, in the run folder of this name."""
        port = free_port()
        started = []
        for process_id in range(n_processes):
            arguments = ["train", f"--config={self.config}", f"--workdir={self.folder / name}"]
            env = dict(self.env)
            if slurm:
                env |= slurm_variables(port, n_processes=n_processes, process_id=process_id)
            elif n_processes > 1:
                arguments += [
                    f"--coordinator=localhost:{port}",
                    f"--num_processes={n_processes}",
                    f"--process_id={process_id}",
                ]
            with (self.folder / f"{name}-{process_id}.log").open("w") as log:
                process = subprocess.Popen(
                    command(*arguments, *SETTINGS, *more),
                    env=env,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            started.append(process)
        return started

    def log(self, name, process_id=0):
        return (self.folder / f"{name}-{process_id}.log").read_text()

    def finish(self, name, *more, **how):
        """Runs to the end and expects it to be a good one."""
        codes = exit_codes(self.start(name, *more, **how))
        assert codes == [0] * len(codes), self.log(name)

    def start_and_wait(self, name, *more, step, **how):
        started = self.start(name, *more, **how)
        deadline = time.monotonic() + 180
        while last_step(self.folder / name) < step:
            assert time.monotonic() < deadline, self.log(name)
            assert all(process.poll() is None for process in started), self.log(name)
            time.sleep(0.02)
        return started


def free_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def slurm_variables(port, *, n_processes, process_id):
    """What srun sets; JAX takes the port from the job's id unless it is told one."""
    return {
        "SLURM_JOB_ID": "4711",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_NUM_NODES": "1",
        "SLURM_NTASKS": str(n_processes),
        "SLURM_PROCID": str(process_id),
        "SLURM_LOCALID": str(process_id),
        "JAX_COORDINATOR_PORT": str(port),
    }


def last_step(workdir):
    try:
        return metrics(workdir)[-1]["step"]
    except (OSError, IndexError, ValueError):
        return 0


def exit_codes(processes, *, within=180):
    """Of all, once they have ended; what has not by then is killed, and has none."""
    deadline = time.monotonic() + within
    codes = []
    for process in processes:
        try:
            codes.append(process.wait(timeout=max(0.1, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            codes.append(None)
    return codes


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """With a run of one process from start to end, to compare with."""
    place = Place(tmp_path_factory.mktemp("processes"))
    place.finish("undisturbed")
    return place


def assert_equal_runs(place, name):
    """Equal rows in every step; equal numbers but for the order of float32 sums."""
    found, wanted = (metrics(place.folder / run) for run in (name, "undisturbed"))
    assert [line["step"] for line in found] == [line["step"] for line in wanted]
    assert [line["row_ids_crc32"] for line in found] == [
        line["row_ids_crc32"] for line in wanted
    ]
    assert any(line["auxk_loss"] for line in wanted), "no latent died: AuxK was not tested"
    held_out = [
        metrics(place.folder / run, split="held_out")[-1]["fvu"]
        for run in (name, "undisturbed")
    ]
    assert held_out[0] == pytest.approx(held_out[1], rel=1e-3)
    ours, expected = (sae_jax.load(place.folder / run) for run in (name, "undisturbed"))
    assert ours.step == expected.step == N_STEPS
    for array in ("W_enc", "b_enc", "W_dec", "b_dec"):
        np.testing.assert_allclose(
            getattr(ours, array), getattr(expected, array), atol=5e-3, err_msg=array
        )


def test_sigterm_to_one_stops_both_at_one_step_and_one_process_goes_on(place):
    started = place.start_and_wait("stopped", step=80, n_processes=2)
    asked = time.monotonic()
    started[1].send_signal(signal.SIGTERM)
    assert exit_codes(started) == [75, 75], place.log("stopped")
    assert time.monotonic() - asked < 60
    saved = sae_jax.load(place.folder / "stopped").step
    for process_id in (0, 1):
        assert f"stopped at step {saved} of {N_STEPS}" in place.log("stopped", process_id)
    assert saved >= last_step(place.folder / "stopped") >= 80, "a logged step was lost"
    assert "2 × cpu: data 2 × latent 1; 2 processes" in place.log("stopped")
    assert "Plan for" not in place.log("stopped", 1)
    place.finish("stopped")
    assert_equal_runs(place, "stopped")


def test_four_share_a_dictionary_one_is_killed_and_two_go_on(place):
    """Two processes hold the halves of one dictionary and read the same rows."""
    started = place.start_and_wait("killed", "--latent_shards=2", step=80, n_processes=4)
    started[3].kill()
    killed = time.monotonic()
    assert exit_codes(started) == [75, 75, 75, -signal.SIGKILL], place.log("killed")
    assert time.monotonic() - killed < 60
    assert f"process 3 of 4 ({socket.gethostname()}, pid {started[3].pid}) was lost" in (
        place.log("killed")
    )
    assert "start all processes again with the same command" in place.log("killed")
    assert "data 2 × latent 2; 4 processes" in place.log("killed")
    place.finish("killed", n_processes=2)
    assert_equal_runs(place, "killed")


def test_slurm_is_recognised_and_without_process_0_the_other_ends_and_says_so(place):
    started = place.start_and_wait("slurm", step=8, n_processes=2, slurm=True)
    assert "2 × cpu: data 2 × latent 1; 2 processes" in place.log("slurm")
    started[0].kill()
    assert exit_codes(started, within=60) == [-signal.SIGKILL, 75], place.log("slurm", 1)
    assert "process 0 of 2, which the others meet at, was lost" in place.log("slurm", 1)


def test_a_frozen_process_is_lost_after_so_many_heartbeats(place):
    started = place.start_and_wait("frozen", "--heartbeat_seconds=8", step=8, n_processes=2)
    started[1].send_signal(signal.SIGSTOP)
    try:
        assert exit_codes(started[:1], within=40) == [75], place.log("frozen")
    finally:
        started[1].kill()
        started[1].wait()
    assert "process 1 of 2" in place.log("frozen")


def test_what_only_the_first_process_finds_ends_all_with_one_message(place):
    """It alone looks at config.json: the others would wait for it."""
    codes = exit_codes(place.start("undisturbed", "--config.seed=5", n_processes=2), within=90)
    assert codes == [2, 2], place.log("undisturbed")
    assert "seed was 0, is 5" in place.log("undisturbed", 0)
    assert "seed was 0, is 5" not in place.log("undisturbed", 1)
    assert "process 1 ends because process 0 does" in place.log("undisturbed", 1)


STALLED = """
import sys, time
from sae_jax.cli import main
from sae_jax.data.stream import RowStream

batches = RowStream.batches

def stalled(self, steps, **rows):
    if steps.start >= 40:
        time.sleep(1_000)
    return batches(self, steps, **rows)

RowStream.batches = stalled
sys.argv = ["sae-jax", *sys.argv[1:]]
main.main()
"""


def test_a_run_whose_steps_stall_ends_to_be_run_again(place):
    arguments = ["train", f"--config={place.config}", f"--workdir={place.folder / 'stalled'}"]
    limits = ("--stall_seconds=5", "--config.checkpoint_every_steps=20")
    stalled = subprocess.run(
        [sys.executable, "-c", STALLED, *arguments, *SETTINGS, *limits],
        env=place.env, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert stalled.returncode == 75, stalled.stderr
    assert "no block of steps has ended for" in stalled.stderr
    assert "after step 36" in stalled.stderr
    assert "--stall_seconds" in stalled.stderr
    assert sae_jax.load(place.folder / "stalled").step == 20
