"""Whole runs in this process: they learn, write what they promise, and stop where they must."""

import json
import signal

import numpy as np
import pytest
from tiny import config, metrics, planted_rows

import sae_jax
from sae_jax.data.shards import open_shards
from sae_jax.errors import CheckpointError, RunAgain, ShardError, TrainingError, UsageError
from sae_jax.train import checkpoint, loop, run_folder


def train(folder, workdir, **changes):
    settings = config(folder, **changes)
    settings.validate()
    with run_folder.claim(workdir):
        return loop.train(settings, reader=open_shards(folder), workdir=workdir)


def test_a_run_learns_and_beats_pca(rows_folder, tmp_path):
    summary = train(rows_folder, tmp_path / "run", n_steps=800, learning_rate=5e-3)
    assert summary["held_out"]["fvu"] < summary["baselines_held_out_fvu"]["pca_3"]
    assert summary["held_out"]["l0"] <= 3
    assert summary["n_examples"] == 800 * 64
    assert json.loads((tmp_path / "run" / "summary.json").read_text()) == json.loads(
        json.dumps(summary)
    )
    for key in (
        "dead_fraction",
        "density_quantiles",
        "versions",
        "device",
        "examples_per_second",
    ):
        assert key in summary


def test_both_splits_are_logged_where_the_settings_say(rows_folder, tmp_path):
    train(rows_folder, tmp_path / "run")
    workdir = tmp_path / "run"
    assert [line["step"] for line in metrics(workdir)] == list(range(4, 61, 4))
    assert [line["step"] for line in metrics(workdir, split="held_out")] == [20, 40, 60]
    timing = metrics(workdir, split="timing")
    assert [line["step"] for line in timing] == list(range(4, 61, 4))
    assert {"examples_per_second", "starved_fraction"} <= set(timing[0])
    assert all(0 <= line["starved_fraction"] <= 1 for line in timing)
    assert {"fvu", "loss", "auxk_loss", "l0", "dead_fraction", "learning_rate"} <= set(
        metrics(workdir)[0]
    )


def test_the_same_run_twice_is_the_same_and_another_seed_is_not(rows_folder, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(rows_folder, tmp_path / name, seed=seed)
    a, b, c = (sae_jax.load(tmp_path / name).W_dec for name in "abc")
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


@pytest.fixture(scope="module")
def defaults(tmp_path_factory):
    """The decoders of two runs that the changed ones are compared with."""
    folder = tmp_path_factory.mktemp("defaults")
    (folder / "rows").mkdir()
    rows = planted_rows(2_000)
    np.save(folder / "rows" / "a.npy", rows[:1_200])
    np.save(folder / "rows" / "b.npy", rows[1_200:])
    train(folder / "rows", folder / "base", n_steps=24)
    train(folder / "rows", folder / "early", n_steps=24, dead_after_examples=64)
    return {name: np.asarray(sae_jax.load(folder / name).W_dec) for name in ("base", "early")}


@pytest.mark.parametrize(
    "change",
    [
        {"k_aux": 2, "dead_after_examples": 64},
        {"auxk_every": 1, "dead_after_examples": 64},
        {"auxk_coefficient": 1.0, "dead_after_examples": 64},
        {"multi_topk_coefficient": 0.125},
        {"init": "paper"},
        {"loss_normaliser": "batch"},
        {"learning_rate": 1e-3},
        {"warmup_steps": 5},
        {"decay_fraction": 0.9},
        {"clip_norm": 0.01},
        {"ema_decay": 0.9},
        {"batch_size": 32},
        {"seed": 1},
        {"data_seed": 1},
        {"window_rows": 1_024},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_setting_changes_the_result(rows_folder, tmp_path, defaults, change):
    base = "early" if "dead_after_examples" in change else "base"
    train(rows_folder, tmp_path / "changed", n_steps=24, **change)
    assert not np.array_equal(sae_jax.load(tmp_path / "changed").W_dec, defaults[base])


def test_sparse_and_dense_products_train_the_same(rows_folder, tmp_path):
    for products in ("sparse", "dense"):
        train(rows_folder, tmp_path / products, products=products, n_steps=4)
    a, b = (sae_jax.load(tmp_path / name).W_dec for name in ("sparse", "dense"))
    np.testing.assert_allclose(a, b, atol=1e-4)  # four Adam steps of rounding


def test_a_row_of_nan_is_named_before_training(tmp_path):
    rows = planted_rows(2_000)
    rows[1_234] = np.nan
    folder = tmp_path / "rows"
    folder.mkdir()
    np.save(folder / "a.npy", rows)
    with pytest.raises(ShardError, match=r"row 1234 \(a\.npy.*sae-jax check"):
        train(folder, tmp_path / "run", n_steps=100)


def test_steps_that_are_too_large_are_named_with_the_setting(rows_folder, tmp_path):
    with pytest.raises(TrainingError, match=r"step \d+ is not finite.*learning_rate"):
        train(rows_folder, tmp_path / "run", learning_rate=1e38, warmup_steps=0)


def test_other_data_on_resume_is_refused(rows_folder, tmp_path, monkeypatch):
    stop_after_first_save(monkeypatch)
    with pytest.raises(RunAgain, match="step 20 of 60"):
        train(rows_folder, tmp_path / "run")
    np.save(rows_folder / "b.npy", planted_rows(800, seed=5))
    with pytest.raises(CheckpointError, match="was trained on data with fingerprint"):
        train(rows_folder, tmp_path / "run")


def test_other_settings_on_resume_are_refused_and_named(rows_folder, tmp_path):
    train(rows_folder, tmp_path / "run")
    with pytest.raises(UsageError, match=r"sae\.k was 3, is 4; n_steps was 60, is 80"):
        train(rows_folder, tmp_path / "run", k=4, n_steps=80)
    train(rows_folder, tmp_path / "run", log_every_steps=20)  # shapes nothing


def test_a_second_process_in_the_same_folder_is_refused(tmp_path):
    with (
        run_folder.claim(tmp_path / "run"),
        pytest.raises(UsageError, match="another process"),
        run_folder.claim(tmp_path / "run"),
    ):
        pass


def test_rows_of_another_width_are_refused_before_anything_is_written(rows_folder, tmp_path):
    settings = config(rows_folder, d_in=15)
    with pytest.raises(UsageError, match=r"16 wide; expected sae\.d_in=15"):
        loop.train(settings, reader=open_shards(rows_folder), workdir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def stop_after_first_save(monkeypatch):
    """As if SIGTERM came while the first checkpoint was written."""
    save = checkpoint.Checkpoints.save

    def save_and_stop(self, *arguments, **keywords):
        save(self, *arguments, **keywords)
        monkeypatch.undo()
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(checkpoint.Checkpoints, "save", save_and_stop)


def test_before_the_first_checkpoint_settings_may_still_change(rows_folder, tmp_path):
    """Such as after a learning rate that was too large at once."""
    with pytest.raises(TrainingError):
        train(rows_folder, tmp_path / "run", learning_rate=1e38, warmup_steps=0)
    summary = train(rows_folder, tmp_path / "run")
    assert summary["config"]["optimizer"]["learning_rate"] == 0
    assert [line["step"] for line in metrics(tmp_path / "run")] == list(range(4, 61, 4))
