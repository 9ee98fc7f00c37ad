"""`sae-jax train`: the plan, what it writes, what it says."""

import sys

import pytest
from tiny import config_file

from sae_jax.cli import main


@pytest.fixture
def train(tmp_path, rows_folder, monkeypatch):
    """Runs the command in this process; config_flags reads sys.argv."""
    file = config_file(tmp_path, shards=rows_folder)

    def train(*more):
        arguments = ["train", f"--config={file}", f"--workdir={tmp_path / 'run'}", *more]
        monkeypatch.setattr(sys, "argv", ["sae-jax", *arguments])
        return main.dispatch(arguments)

    return train


def test_a_dry_run_prints_the_plan_and_writes_nothing(train, tmp_path, capsys):
    assert train("--dry_run", "--config.sae.k=5") == 0
    shown = capsys.readouterr().out
    assert "k 5" in shown
    assert "disk" in shown
    assert not (tmp_path / "run").exists()


def test_a_run_ends_with_its_results_and_the_next_command(train, tmp_path, capsys):
    assert train() == 0
    shown = capsys.readouterr()
    for part in ("fvu", "to beat: mean 1.0000,  pca-3", "dead", "density", "sae-jax latents"):
        assert part in shown.out
    assert "ETA" in shown.err
    for name in ("config.json", "summary.json", "metrics.jsonl", "checkpoints", "tensorboard"):
        assert (tmp_path / "run" / name).exists()
