"""Real processes, killed for real: what comes out is what an undisturbed run gives."""

import random
import signal
import subprocess
import time

import numpy as np
import pytest
from tiny import command, config_file, metrics, planted_rows, run_command

import sae_jax

pytestmark = pytest.mark.slow

N_STEPS = 1_200
LONG = (f"--config.n_steps={N_STEPS}", "--config.checkpoint_every_steps=60")


def train_arguments(folder, name):
    config = config_file(folder, shards=folder / "rows")
    return ("train", f"--config={config}", f"--workdir={folder / name}", *LONG)


def last_step(workdir):
    try:
        return metrics(workdir)[-1]["step"]
    except (OSError, IndexError, ValueError):
        return 0


def start_and_wait(arguments, workdir, *, step):
    """A training process that has logged at least this step."""
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 120
    while last_step(workdir) < step and process.poll() is None:
        assert time.monotonic() < deadline, "the run makes no progress"
        time.sleep(0.01)
    return process


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Rows, and a run over them from start to end."""
    folder = tmp_path_factory.mktemp("resume")
    (folder / "rows").mkdir()
    np.save(folder / "rows" / "a.npy", planted_rows(2_000))
    done = run_command(*train_arguments(folder, "undisturbed"))
    assert done.returncode == 0, done.stderr
    return folder


def assert_equal_runs(found, expected):
    ours, wanted = sae_jax.load(found), sae_jax.load(expected)
    assert ours.step == wanted.step == N_STEPS
    for name in ("W_enc", "b_enc", "W_dec", "b_dec"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(wanted, name))
    # The losses, and the checksums of the row ids that each block of steps consumed.
    assert metrics(found) == metrics(expected)


def test_five_kills_at_random_moments_change_nothing(folder):
    arguments, workdir = train_arguments(folder, "killed"), folder / "killed"
    moments = random.Random(0)
    for step in sorted(moments.sample(range(1, 1_000), 5)):
        process = start_and_wait(arguments, workdir, step=step)
        time.sleep(moments.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "the run ended before it was killed"
    done = run_command(*arguments)
    assert done.returncode == 0, done.stderr
    assert_equal_runs(workdir, folder / "undisturbed")


def test_sigterm_saves_and_says_how_to_go_on(folder):
    arguments, workdir = train_arguments(folder, "stopped"), folder / "stopped"
    process = start_and_wait(arguments, workdir, step=300)
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - asked < 30
    assert process.returncode == 75, output
    assert "Run the same command again" in output
    saved = sae_jax.load(workdir).step
    assert saved >= last_step(workdir) >= 300, "a step that was logged was lost"
    assert run_command(*arguments).returncode == 0
    assert_equal_runs(workdir, folder / "undisturbed")


def test_a_finished_run_is_not_trained_again(folder):
    written = folder / "undisturbed" / "metrics.jsonl"
    before = written.read_bytes()
    again = run_command(*train_arguments(folder, "undisturbed"))
    assert again.returncode == 0
    assert "already finished" in again.stdout
    assert written.read_bytes() == before
