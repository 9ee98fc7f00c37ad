"""`sae-jax sweep` as a user runs it: real processes, killed for real."""

import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from tiny import command, config_file, planted_rows, run_here

import sae_jax
from sae_jax.sweep import report

SWEEP = """
BASE = "tiny_config.py"

def sweep():
    for k in (2, 3, 4):
        yield {"sae.k": k}
"""
NAMES = ["k=2", "k=3", "k=4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With rows, a base experiment and a sweep file."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "rows").mkdir()
    np.save(folder / "rows" / "a.npy", planted_rows(2_000))
    config_file(folder, shards=folder / "rows")
    (folder / "grid.py").write_text(SWEEP)
    return folder


QUICK = ("--config.sae.products=dense", "--config.sae.auxk_coefficient=0")  # to compile


def arguments(folder, workdir, *more, file="grid.py"):
    named = f"--config={folder / file}", f"--workdir={workdir}"
    return command("sweep", *named, *QUICK, *more)


def sweep(folder, workdir, *more, env=None, **file):
    words = arguments(folder, workdir, *more, **file)
    return subprocess.run(words, capture_output=True, text=True, timeout=300, env=env)


@pytest.fixture(scope="module")
def undisturbed(folder):
    done = sweep(folder, folder / "whole")
    assert done.returncode == 0, done.stderr
    return done


def test_one_command_trains_all_members(folder, undisturbed):
    listed = json.loads((folder / "whole" / "sweep.json").read_text())
    assert [member["name"] for member in listed["members"]] == NAMES
    for k, name in zip((2, 3, 4), NAMES, strict=True):
        assert sae_jax.load(folder / "whole" / name).config.k == k
        assert f"{name}  " in undisturbed.stdout
    assert "3 members" in undisturbed.stderr
    assert "3 of 3 runs finished" in undisturbed.stdout
    page = (folder / "whole" / "report" / "index.html").read_text()
    assert "3 of 3 runs finished" in page
    assert (folder / "whole" / "report" / "density.png").exists()


def test_a_rerun_touches_nothing(folder, undisturbed):
    def times():
        return {p: p.stat().st_mtime_ns for p in (folder / "whole").rglob("*") if p.is_file()}

    before = times()
    done = sweep(folder, folder / "whole")
    assert done.returncode == 0
    assert "3 finished, 0 failed, 0 left" in done.stdout
    assert {p: t for p, t in times().items() if p.name not in (".lock", "sweep.json")} == {
        p: t for p, t in before.items() if p.name not in (".lock", "sweep.json")
    }


def test_a_report_is_made_again_where_a_member_ended_meanwhile(
    folder, undisturbed, tmp_path, monkeypatch
):
    workdir = tmp_path / "whole"
    shutil.copytree(folder / "whole", workdir, ignore=shutil.ignore_patterns("report"))
    titles = []

    def write(found, *, title, out):
        titles.append(title)
        if len(titles) == 1:  # of another task
            path = workdir / NAMES[0] / "summary.json"
            os.utime(path, ns=(found.newest_ns + 1,) * 2)
        out.mkdir(exist_ok=True)
        (out / "report.json").write_text(json.dumps(report.as_json(found)))
        return [out / "index.html"]

    monkeypatch.setattr(report, "write", write)
    done = run_here(*arguments(folder, workdir)[3:])
    assert done.returncode == 0, done.stderr
    assert len(titles) == 2


def test_dry_run_writes_nothing_and_says_what_would_be(folder, tmp_path):
    done = sweep(folder, tmp_path / "none", "--dry_run")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "none").exists()
    assert all(name in done.stdout for name in NAMES)
    assert "data read 1 times" in done.stdout


def test_killed_three_times_the_members_end_the_same(folder, undisturbed, tmp_path):
    for at in (8, 24, 44):  # steps: before the first checkpoint, and between others
        process = subprocess.Popen(
            arguments(folder, tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            last = tmp_path / "k=4" / "metrics.jsonl"
            until = time.monotonic() + 120
            while time.monotonic() < until and process.poll() is None:
                steps = [json.loads(line)["step"] for line in whole_lines(last)]
                if steps and steps[-1] >= at:
                    break
                time.sleep(0.01)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert process.returncode == -signal.SIGKILL, "it ended before it was killed"
    done = sweep(folder, tmp_path)
    assert done.returncode == 0, done.stderr
    for name in NAMES:
        found, expected = (sae_jax.load(f / name) for f in (tmp_path, folder / "whole"))
        np.testing.assert_array_equal(np.asarray(found.W_dec), np.asarray(expected.W_dec))
        logs = [
            [line for line in whole_lines(f / name / "metrics.jsonl") if '"timing"' not in line]
            for f in (tmp_path, folder / "whole")
        ]
        assert logs[0] == logs[1]


def whole_lines(path):
    text = path.read_text() if path.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def test_a_failed_member_is_in_the_exit_code_and_the_output(folder, tmp_path):
    (folder / "wild.py").write_text(
        'BASE = "tiny_config.py"\n\ndef sweep():\n'
        '    yield {"sae.k": 2}\n    yield {"optimizer.learning_rate": 1e30}\n'
    )
    done = sweep(folder, tmp_path, file="wild.py")
    assert done.returncode == 1
    assert "learning_rate=1e+30" in done.stdout
    assert "FAILED: the loss or gradient of step" in done.stdout
    assert (tmp_path / "k=2" / "summary.json").exists()
    page = (tmp_path / "report" / "index.html").read_text()
    assert "failed. the loss or gradient of step" in page


def test_tasks_share_the_members(folder, tmp_path):
    for index, trained in ((1, {"k=2"}), (0, {"k=2", "k=4"})):  # the costliest comes first
        array = {
            "SLURM_ARRAY_TASK_ID": str(index),
            "SLURM_ARRAY_TASK_COUNT": "2",
            "SLURM_ARRAY_TASK_MIN": "0",
        }
        done = sweep(folder, tmp_path, "--only=k=2,4", env=os.environ | array)
        assert done.returncode == 0, done.stderr
        assert f"Task {index} of 2 (SLURM: SLURM_ARRAY_TASK_ID)" in done.stdout
        assert {path.parent.name for path in tmp_path.glob("*/summary.json")} == trained


def test_only_narrows_it_and_flags_change_the_base(folder, tmp_path):
    done = sweep(folder, tmp_path, "--only=k=2,4", "--config.n_steps=8", "--config.seed=3")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "k=3" / "summary.json").exists()
    settings = json.loads((tmp_path / "k=2" / "config.json").read_text())
    assert (settings["n_steps"], settings["seed"]) == (8, 3)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--only=k=9"], "no member has k=9"),
        (["--pack=x"], "--pack=x: expected auto"),
        (["--task_index=2", "--task_count=2"], "expected an index from 0 to 1"),
        (["extra"], "unexpected arguments"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_wrong_use_is_said(folder, tmp_path, more, message):
    done = sweep(folder, tmp_path / "none", *more)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "none").exists()


def test_an_experiment_is_no_sweep(folder, tmp_path):
    done = sweep(folder, tmp_path, file="tiny_config.py")
    assert done.returncode == 2
    assert "is no sweep file" in done.stderr
