"""`sae-jax report` as a user runs it; what is in a report, tests/sweep/test_report.py says."""

import shutil

import numpy as np
import pytest
from tiny import planted_rows, run_here, train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    (folder / "rows").mkdir()
    np.save(folder / "rows" / "a.npy", planted_rows(1_000))
    return train(folder / "rows", folder / "run", n_steps=8)


def test_a_run_has_a_report(run, tmp_path):
    done = run_here("report", str(run), f"--out={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    assert f"Report: {tmp_path / 'out' / 'index.html'}" in done.stdout
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Report on run" in page
    assert "Learning curves" in page


def test_a_run_whose_data_has_gone_still_has_one(run, tmp_path):
    shutil.copytree(run, tmp_path / "alone")
    text = (tmp_path / "alone" / "config.json").read_text()
    gone = text.replace(str(run.parent / "rows"), str(tmp_path / "gone"))
    (tmp_path / "alone" / "config.json").write_text(gone)
    done = run_here("report", str(tmp_path / "alone"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "alone" / "report" / "members.csv").exists()


def test_wrong_use_is_said(tmp_path):
    done = run_here("report", str(tmp_path))
    assert done.returncode == 2
    assert "neither sweep.json nor config.json" in done.stderr
    assert run_here("report").returncode == 2
