"""Meshes. What needs eight devices runs once, in a process of its own: eight_devices.py."""

import os
import pathlib
import subprocess
import sys

import pytest

from sae_jax.errors import UsageError
from sae_jax.train import sharding

EIGHT = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
FILE = pathlib.Path(__file__).with_name("eight_devices.py")


@pytest.mark.slow
def test_all_meshes_of_eight_devices_give_what_one_gives():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(FILE), "-p", "no:cacheprovider"],
        env=os.environ | EIGHT,
        capture_output=True,
        text=True,
        cwd=FILE.parents[2],
    )
    assert done.returncode == 0, done.stdout[-10_000:]


def test_an_array_that_nobody_placed_is_refused_not_copied_to_every_device():
    with pytest.raises(ValueError, match=r"model\.W_new.*STATE_SPECS"):
        sharding.spec_of("model.W_new")


def test_moments_and_averages_are_split_as_their_parameter():
    for name in ("model.W_dec", "opt_state.1.mu.W_dec", "ema.W_dec"):
        assert sharding.spec_of(name) == sharding.STATE_SPECS["W_dec"]


def test_more_shards_than_devices_are_refused():
    with pytest.raises(UsageError, match=r"--latent_shards=2: found 1 devices"):
        sharding.make_mesh(latent_shards=2, devices=sharding.jax.devices()[:1])


def test_one_device_is_said_without_its_mesh():
    assert sharding.describe(sharding.one_device()) == "1 × cpu"
