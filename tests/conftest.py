"""Shared set-up: eight CPU devices, and small real-looking data with planted directions."""

import os
import pathlib

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="session")
def wordnet() -> pathlib.Path:
    """The real benchmark corpus, where it is."""
    data = pathlib.Path(os.environ.get("SAE_JAX_DATA", ROOT.parent / "shared" / "data"))
    folder = data / "wordnet-glosses"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: set SAE_JAX_DATA to the folder that holds it")
    return folder


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


@pytest.fixture
def rows_folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A plain folder of two .npy files, 2,000 rows of 16."""
    folder = tmp_path / "rows"
    folder.mkdir()
    rows = planted_rows(2_000)
    np.save(folder / "a.npy", rows[:1_200])
    np.save(folder / "b.npy", rows[1_200:])
    return folder
