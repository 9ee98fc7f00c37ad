"""The plan counts what the run then uses."""

import jax
import jax.numpy as jnp
import pytest
from tiny import config, planted_rows

from sae_jax.data.shards import open_shards
from sae_jax.model.topk import TopKAutoencoder
from sae_jax.train import plan, step


def test_parameters_and_state_are_those_of_a_real_state(rows_folder):
    settings = config(rows_folder, ema_decay=0.9)
    made = plan.make_plan(settings, open_shards(rows_folder))
    model = TopKAutoencoder.create(settings.sae, seed=0, rows=planted_rows(10))
    state = step.create_state(model, config=settings, data_variance=jnp.float32(1))
    assert made.n_parameters == sum(leaf.size for leaf in jax.tree.leaves(model))
    scalars = 2 * 4  # step and the variance
    assert made.state_bytes == sum(leaf.nbytes for leaf in jax.tree.leaves(state)) - scalars
    assert made.seconds > 0


def test_the_plan_is_read_in_a_screen(rows_folder, tmp_path):
    settings = config(rows_folder, n_steps=1_000)
    reader = open_shards(rows_folder)
    made = plan.make_plan(settings, reader)
    text = plan.describe(made, config=settings, reader=reader, workdir=tmp_path / "new")
    for part in (
        "1,800 training and 200 held-out",
        "k 3",
        "35.6 epochs",
        "memory",
        "disk",
        "time",
    ):
        assert part in text
    assert len(text.splitlines()) < 15
    assert not (tmp_path / "new").exists()


def test_data_beyond_memory_is_warned_of_with_the_setting_to_use(
    rows_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(plan.os, "sysconf", lambda name: 300)
    settings, reader = config(rows_folder), open_shards(rows_folder)
    made = plan.make_plan(settings, reader)
    text = plan.describe(made, config=settings, reader=reader, workdir=tmp_path)
    assert "--config.window_rows=" in text


@pytest.mark.parametrize(("n", "text"), [(12, "12 B"), (640_000, "640 kB"), (1.5e9, "1.5 GB")])
def test_sizes_are_said_as_a_person_says_them(n, text):
    assert plan.size(n) == text
