"""A run small enough for a test: 2,000 rows of 16, 64 latents."""

import contextlib
import dataclasses
import io
import json
import pathlib
import subprocess
import sys
import textwrap
import unittest.mock
from typing import Any

import jax
import numpy as np

from sae_jax.cli import main
from sae_jax.config import Config, OptimizerConfig, SaeConfig

CONFIG_FILE = """
from sae_jax.config import Config, OptimizerConfig, SaeConfig

def get_config():
    return Config(
        sae=SaeConfig(d_in=16, n_latents=64, k=3, k_aux=8, dead_after_examples=4_000),
        shards={shards!r},
        n_steps=60,
        batch_size=64,
        block_steps=4,
        log_every_steps=4,
        checkpoint_every_steps=20,
    )
"""


# Of a process, by itself. Not ru_maxrss, in which Linux counts the process that started it.
PEAK_BYTES = """
def peak_bytes():
    lines = open("/proc/self/status").read().split("VmHWM:")
    return int(lines[1].split()[0]) * 1024
"""


def planted_rows(
    n_rows: int, *, d_in: int = 16, n_directions: int = 24, seed: int = 0
) -> np.ndarray:
    """Unit rows, each a positive sum of three of n_directions, plus an offset and noise."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(99).normal(size=(n_directions, d_in))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    which = rng.permuted(np.tile(np.arange(n_directions), (n_rows, 1)), axis=1)[:, :3]
    strengths = rng.uniform(0.5, 1.5, size=(n_rows, 3))
    rows = np.einsum("rk,rkd->rd", strengths, directions[which])
    rows += 0.3 + 0.02 * rng.normal(size=rows.shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def config(shards: pathlib.Path, **changes: Any) -> Config:
    sae = {"d_in": 16, "n_latents": 64, "k": 3, "k_aux": 8, "dead_after_examples": 4_000}
    for name in list(changes):
        if name in {field.name for field in dataclasses.fields(SaeConfig)}:
            sae[name] = changes.pop(name)
    optimizer = {
        name: changes.pop(name)
        for name in list(changes)
        if name in {field.name for field in dataclasses.fields(OptimizerConfig)}
    }
    fields = {
        "n_steps": 60,
        "batch_size": 64,
        "block_steps": 4,
        "log_every_steps": 4,
        "checkpoint_every_steps": 20,
    }
    return Config(
        sae=SaeConfig(**sae),
        optimizer=OptimizerConfig(**optimizer),
        shards=str(shards),
        **fields | changes,
    )


def train(rows: pathlib.Path, workdir: pathlib.Path, **changes: Any) -> pathlib.Path:
    """A short run for tests of what comes after training: dense, and without AuxK."""
    # Imported here: Orbax takes a second, and few tests train.
    from sae_jax.data.shards import open_shards
    from sae_jax.train import loop

    short = {"n_steps": 40, "products": "dense", "auxk_coefficient": 0.0}
    loop.train(config(rows, **short | changes), reader=open_shards(rows), workdir=workdir)
    return workdir


def config_file(folder: pathlib.Path, *, shards: pathlib.Path) -> pathlib.Path:
    path = folder / "tiny_config.py"
    path.write_text(textwrap.dedent(CONFIG_FILE.format(shards=str(shards))))
    return path


def run_here(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`sae-jax …` in this process, where JAX and what it compiled are there already."""
    out, errors, code = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
        unittest.mock.patch.object(sys, "argv", ["sae-jax", *arguments]),
    ):
        try:
            main.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), errors.getvalue())


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sae_jax.cli.main", *arguments]


def run_command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, **options)


def metrics(workdir: pathlib.Path, *, split: str = "train") -> list[dict[str, Any]]:
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line["split"] == split]


def assert_same(found: object, expected: object) -> None:
    """Bit for bit, every array of two pytrees."""
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    for ours, wanted in pairs:
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(wanted))
