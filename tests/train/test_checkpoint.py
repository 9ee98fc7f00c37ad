"""Checkpoints: exact, kept, verified, and never a damaged one taken for a whole one."""

import gc
import resource

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import assert_same, config, planted_rows

from sae_jax.errors import CheckpointError
from sae_jax.model.topk import TopKAutoencoder
from sae_jax.train import checkpoint, step


@pytest.fixture
def state(tmp_path):
    settings = config(tmp_path, ema_decay=0.5)
    model = TopKAutoencoder.create(settings.sae, seed=0, rows=planted_rows(50))
    state = step.create_state(model, config=settings, data_variance=jnp.float32(0.7))
    return step.train_step(state, jnp.asarray(planted_rows(64)), config=settings)[0]


@pytest.fixture
def checkpoints(tmp_path):
    checkpoints = checkpoint.Checkpoints(tmp_path / "checkpoints")
    yield checkpoints
    checkpoints.close()


def fill(checkpoints, state, steps):
    for at, fvu in steps.items():
        checkpoints.save(state._replace(step=jnp.int32(at)), step=at, meta={"a": 1}, fvu=fvu)
    checkpoints.wait()


def flip_a_bit(folder):
    """In the middle of the largest file: the payload of the largest array."""
    path = max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_what_was_saved_comes_back_bit_for_bit(checkpoints, state):
    fill(checkpoints, state, {7: 0.5})
    restored, meta = checkpoints.restore_latest(jax.tree.map(jnp.zeros_like, state))
    assert_same(restored, state._replace(step=jnp.int32(7)))
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    assert meta["step"] == 7
    assert meta["a"] == 1


def test_the_latest_two_and_the_best_are_kept(checkpoints, state):
    fill(checkpoints, state, {10: 0.5, 20: 0.2, 30: 0.4, 40: 0.3, 50: 0.35})
    assert checkpoints.steps() == [20, 40, 50]


def test_the_best_is_still_known_after_a_resume(checkpoints, state, tmp_path):
    fill(checkpoints, state, {10: 0.5, 20: 0.2, 30: 0.4})
    resumed = checkpoint.Checkpoints(tmp_path / "checkpoints")
    fill(resumed, state, {40: 0.3, 50: 0.35})
    assert resumed.steps() == [20, 40, 50]
    resumed.close()


def test_nothing_saved_gives_nothing(checkpoints, state):
    assert checkpoints.restore_latest(state) is None


def test_a_flipped_bit_is_found_and_the_step_before_is_used(
    checkpoints, state, tmp_path, caplog
):
    """Orbax alone restores flipped bits silently."""
    fill(checkpoints, state, {10: 0.5, 20: 0.4})
    flip_a_bit(tmp_path / "checkpoints" / "20")
    restored, meta = checkpoints.restore_latest(state)
    assert meta["step"] == 10
    assert int(restored.step) == 10
    assert "damaged" in caplog.text
    assert (tmp_path / "damaged" / "20").is_dir(), "moved aside, not deleted"
    fill(checkpoints, state, {20: 0.4})  # and its place is free again
    assert checkpoints.steps() == [10, 20]


# Orbax leaves the reads that it had begun behind when one fails.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("harm", ["truncate", "delete", "no meta"])
def test_other_damage_is_found_too(checkpoints, state, tmp_path, harm):
    fill(checkpoints, state, {10: 0.5, 20: 0.4})
    folder = tmp_path / "checkpoints" / "20"
    largest = max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    if harm == "truncate":
        largest.write_bytes(largest.read_bytes()[:100])
    elif harm == "delete":
        largest.unlink()
    else:
        (folder / "meta" / "metadata").write_text("{")
    _, meta = checkpoints.restore_latest(state)
    assert meta["step"] == 10
    gc.collect()  # here, where what is left behind is expected


def test_when_all_are_damaged_it_says_so(checkpoints, state, tmp_path):
    fill(checkpoints, state, {10: 0.5})
    flip_a_bit(tmp_path / "checkpoints" / "10")
    with pytest.raises(
        CheckpointError, match=r"all 1 checkpoints \(steps \[10\]\) are damaged"
    ):
        checkpoints.restore_latest(state)


def test_another_shape_is_refused_and_nothing_is_moved(checkpoints, state, tmp_path):
    fill(checkpoints, state, {10: 0.5})
    settings = config(tmp_path, n_latents=65, ema_decay=0.5)
    model = TopKAutoencoder.create(settings.sae, seed=0, rows=planted_rows(50))
    other = step.create_state(model, config=settings, data_variance=jnp.float32(0.7))
    with pytest.raises(CheckpointError, match=r"float32\[64, 16\]; expected float32\[65, 16\]"):
        checkpoints.restore_latest(other)
    assert checkpoints.steps() == [10]


def test_the_state_may_be_donated_right_after_a_save(checkpoints, state):
    """The background write must not see what later steps do to the same memory."""
    wanted = jax.tree.map(np.array, state)
    checkpoints.save(state, step=1, meta={}, fvu=1.0)
    scramble = jax.jit(lambda s: jax.tree.map(lambda a: a * 0, s), donate_argnums=0)
    for _ in range(3):
        state = scramble(state)
    checkpoints.wait()
    assert_same(checkpoints.restore_latest(state)[0], wanted)


def test_names_are_those_of_the_parameters(state):
    names = set(checkpoint.named_leaves(state))
    assert {"model.W_dec", "model.b_enc", "ema.W_enc_rows", "step"} <= names
    assert "opt_state.mu.W_dec" in names


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_cannot_be_written_is_said_and_the_one_before_is_whole(checkpoints, state):
    """As on a full disk: the system refuses files over 1 kB."""
    fill(checkpoints, state, {10: 0.5})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_024, hard))
    try:
        with pytest.raises(CheckpointError, match="could not be written"):
            fill(checkpoints, state, {20: 0.4})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert checkpoints.restore_latest(state)[1]["step"] == 10
    gc.collect()  # here, where what is left behind is expected
