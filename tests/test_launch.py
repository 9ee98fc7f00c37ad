"""The launchers: submitit for real, the others against stand-ins of their tools."""

import json
import os
import pathlib
import shlex
import subprocess
import sys

import numpy as np
import pytest
import yaml
from tiny import config_file, planted_rows

from sae_jax.cli import main

LAUNCH = pathlib.Path(__file__).parents[1] / "launch"
SWEEP = """
BASE = "tiny_config.py"

def sweep():
    for k in (2, 3, 4):
        yield {"sae.k": k}
"""


def stand_in(folder, name, script):
    """A program of that name, first on the path; `calls` beside it gets its arguments."""
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/usr/bin/env bash\necho "{name} $*" >>{folder}/calls\n{script}\n')
    path.chmod(0o755)
    return os.environ | {"PATH": f"{path.parent}:{os.environ['PATH']}"}


def launch(name, *arguments, environment=None):
    return subprocess.run(
        [str(LAUNCH / name), *arguments], capture_output=True, text=True, env=environment
    )


def test_submitit_trains_all_shares_of_a_sweep(tmp_path):
    (tmp_path / "rows").mkdir()
    np.save(tmp_path / "rows" / "a.npy", planted_rows(2_000))
    config_file(tmp_path, shards=tmp_path / "rows")
    (tmp_path / "grid.py").write_text(SWEEP)
    done = subprocess.run(
        [
            sys.executable, LAUNCH / "sweep_submitit.py", "--tasks=2", "--cluster=local",
            "--cpus=1", f"--logs={tmp_path / 'logs'}", "--", f"--config={tmp_path}/grid.py",
            f"--workdir={tmp_path / 'runs'}", "--config.sae.products=dense",
            "--config.sae.auxk_coefficient=0",
        ],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    finished = {path.parent.name for path in (tmp_path / "runs").glob("*/summary.json")}
    assert finished == {"k=2", "k=3", "k=4"}
    logs = [path.read_text() for path in (tmp_path / "logs").glob("*.out")]
    assert sorted("1 kinds of program" in log and "Task" in log for log in logs) == [True] * 2
    report = json.loads((tmp_path / "runs" / "report" / "report.json").read_text())
    assert len(report["members"]) == 3


def test_submitit_says_which_task_failed(tmp_path):
    done = subprocess.run(
        [
            sys.executable, LAUNCH / "sweep_submitit.py", "--tasks=1", "--cluster=local",
            "--cpus=1", f"--logs={tmp_path / 'logs'}", "--", "--config=none.py",
        ],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "task 0 failed" in done.stderr
    assert "--config=none.py: there is no such file" in done.stderr


TPU = {
    "TASKS": "2", "NAME": "grid", "ZONE": "us-west4-a", "TYPE": "v5litepod-8",
    "RUNTIME": "v2-alpha-tpuv5-lite", "REPOSITORY": "https://example.org/me/sae_jax.git",
    "BUCKET": "mine",
}  # fmt: skip
# What each queued resource is; created ones leave their start-up script behind.
GCLOUD = """
case "$*" in
  *describe*grid-0*) echo "$FIRST" ;;
  *describe*) exit 1 ;;
  *create*) for word in "$@"; do case $word in *startup-script=*)
      cp "${{word#*startup-script=}}" {folder}/startup-$5 ;; esac; done ;;
esac
"""


@pytest.mark.parametrize("first", ["ACTIVE", "SUSPENDED", "WAITING_FOR_RESOURCES"])
def test_tpu_slices_are_asked_for_once_and_anew_when_taken_away(tmp_path, first):
    environment = stand_in(tmp_path, "gcloud", GCLOUD.format(folder=tmp_path))
    arguments = (
        "--config=experiments/wordnet_grid.py",
        "--only=k=16,32",
        "--workdir=/bucket/a b",
    )
    done = launch("sweep_tpu.sh", *arguments, environment=environment | TPU | {"FIRST": first})
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "calls").read_text()
    gone = first == "SUSPENDED"
    assert ("delete grid-0 --force" in calls) == gone
    assert ("create grid-0 " in calls) == gone
    assert "create grid-1 --node-id=grid-1 --accelerator-type=v5litepod-8" in calls
    assert "delete grid-1" not in calls
    script = tmp_path / "startup-grid-1"
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    command = shlex.split(script.read_text().splitlines()[-1])
    assert command[-5:] == [*arguments, "--task_index=1", "--task_count=2"]


def test_tpu_slices_are_given_back(tmp_path):
    environment = stand_in(tmp_path, "gcloud", "")
    done = launch("sweep_tpu.sh", environment=environment | TPU | {"DELETE": "1"})
    assert done.returncode == 0, done.stderr
    assert "delete grid-0" in (tmp_path / "calls").read_text()
    assert "delete grid-1" in (tmp_path / "calls").read_text()


@pytest.mark.parametrize(("code", "queued"), [(0, False), (75, True), (2, False)])
def test_a_slurm_job_that_has_to_be_run_again_queues_itself(tmp_path, code, queued):
    stand_in(tmp_path, "scontrol", "")
    environment = stand_in(tmp_path, "srun", f"exit {code}") | {"SLURM_JOB_ID": "7"}
    done = launch("slurm.sh", "sweep", "--workdir=x", environment=environment)
    assert done.returncode == code
    calls = (tmp_path / "calls").read_text()
    assert "sae-jax sweep --workdir=x" in calls
    assert ("scontrol requeue 7" in calls) == queued


def test_the_skypilot_task_runs_a_sweep_with_flags_that_exist():
    task = yaml.safe_load((LAUNCH / "sweep.sky.yaml").read_text())
    assert task["num_nodes"] > 1
    assert task["resources"]["use_spot"] is True
    for script in (task["setup"], task["run"]):
        assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    words = shlex.split(task["run"].replace("\\\n", " "), comments=True)
    assert [word for word in words if word.startswith("--")] == [
        "--config=$SWEEP",
        "--config.shards=/bucket/data/$SHARDS",
        "--workdir=/bucket/runs/$NAME",
    ]
    assert "sweep" in words
    assert "sweep" in main.COMMANDS
    assert {"SWEEP", "SHARDS", "NAME", "BUCKET"} == set(task["envs"])
