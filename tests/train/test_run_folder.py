"""The folder of a run: what is written there, and read back."""

import pytest
from tiny import config

from sae_jax.errors import CheckpointError
from sae_jax.train import run_folder


def test_the_config_is_written_once_and_comes_back(tmp_path):
    settings = config(tmp_path, seed=5)
    run_folder.settle_config(settings, workdir=tmp_path)
    assert run_folder.read_config(tmp_path) == settings


def test_settings_that_differ_are_listed_and_free_ones_are_not(tmp_path):
    old = config(tmp_path, seed=1)
    new = config(tmp_path / "moved", seed=2, learning_rate=0.5, eval_rows=7, log_every_steps=8)
    assert run_folder.differing_settings(old, new) == [
        ("optimizer.learning_rate", 0.0, 0.5),
        ("seed", 1, 2),
    ]


def test_a_config_of_another_version_is_not_guessed_at(tmp_path):
    settings = config(tmp_path).to_json().replace('"seed"', '"sead"')
    (tmp_path / "config.json").write_text(settings)
    with pytest.raises(CheckpointError, match="sead"):
        run_folder.read_config(tmp_path)


def test_there_is_a_summary_only_at_the_end(tmp_path):
    assert run_folder.read_summary(tmp_path) is None
    run_folder.write_summary(tmp_path, {"fvu": 0.5})
    assert run_folder.read_summary(tmp_path) == {"fvu": 0.5}


def test_a_damaged_summary_is_said(tmp_path):
    (tmp_path / "summary.json").write_text('{"fvu": 0.')
    with pytest.raises(CheckpointError, match=r"summary\.json: cannot be read"):
        run_folder.read_summary(tmp_path)


def test_the_steps_are_of_whole_checkpoints_in_their_order(tmp_path):
    assert run_folder.steps(tmp_path) == []
    for name in ("9", "40", "100.orbax-checkpoint-tmp"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert run_folder.steps(tmp_path) == [9, 40]
