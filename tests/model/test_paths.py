"""What is chosen for a shape, what can be forced, and that it is said."""

import pytest

from sae_jax.config import SaeConfig
from sae_jax.model import paths
from sae_jax.model.paths import Paths


def sae(**changes):
    return SaeConfig(**{"d_in": 384, "n_latents": 6_144, "k": 32} | changes)


@pytest.mark.parametrize(
    ("backend", "n_latents", "expected"),
    [
        ("cpu", 64, Paths("dense", "lax", "float32")),
        ("cpu", 6_144, Paths("sparse", "chunks", "float32")),
        ("gpu", 6_144, Paths("dense", "chunks", "float32")),
        ("gpu", 131_072, Paths("sparse", "chunks", "float32")),
        ("tpu", 12_288, Paths("dense", "chunks", "float32")),
    ],
)
def test_auto_follows_the_table(monkeypatch, backend, n_latents, expected):
    monkeypatch.setattr("jax.default_backend", lambda: backend)
    assert paths.choose(sae(n_latents=n_latents)) == expected


def test_each_can_be_forced():
    forced = paths.choose(sae(products="dense", selection="lax", matmul="bfloat16"))
    assert forced == Paths("dense", "lax", "bfloat16")
    small = paths.choose(sae(n_latents=256, products="sparse", selection="chunks"))
    assert small == Paths("sparse", "chunks", "float32")


def test_the_choice_is_said_with_its_reason():
    said = paths.describe(sae(selection="lax", matmul="tf32"))
    assert said == "sparse products (cpu: from 512 latents), lax top-k (as set), tf32 matmuls"
