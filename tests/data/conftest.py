"""Rows that name themselves, folders made of them, and the real data where it is there."""

import os
import pathlib

import numpy as np
import pytest

from sae_jax.data.manifest import Provenance
from sae_jax.data.writer import ShardWriter

ROOT = pathlib.Path(__file__).parents[2]


def make_rows(n_rows, d_in=8, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, d_in)).astype(dtype)


def make_records(n_rows):
    return [{"id": f"doc{i}", "text": f"text of {i}", "year": 2000 + i} for i in range(n_rows)]


def write_folder(folder, rows, *, records=None, **settings):
    settings = {"dtype": "float32", "identity": "test", "rows_per_shard": 100} | settings
    writer = ShardWriter(folder, d_in=rows.shape[1], provenance=Provenance(), **settings)
    writer.append(rows, records=records)
    return writer.finish()


@pytest.fixture
def make():
    """The functions above, where an import between test files would not work."""

    class Make:
        rows = staticmethod(make_rows)
        records = staticmethod(make_records)
        folder = staticmethod(write_folder)

    return Make


@pytest.fixture
def folder(tmp_path):
    """350 rows in 4 shards, with records."""
    write_folder(tmp_path / "shards", make_rows(350), records=make_records(350))
    return tmp_path / "shards"


@pytest.fixture
def wordnet():
    place = os.environ.get("SAE_JAX_DATA") or ROOT.parent / "shared" / "data"
    found = pathlib.Path(place) / "wordnet-glosses"
    if not found.exists():
        pytest.skip(f"no real embeddings at {found}: set SAE_JAX_DATA")
    return found
