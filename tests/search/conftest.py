"""What the tests of several files search in."""

import pathlib

import numpy as np
import planted_search
import pytest
from searchable import N_ROWS, make_run, planted_dictionary
from tiny import planted_rows

from sae_jax.search.dictionary import Dictionary
from sae_jax.search.session import Search


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> pathlib.Path:
    return make_run(tmp_path_factory.mktemp("search"))


@pytest.fixture(scope="session")
def search(run) -> Search:
    return Search.open(run, say=lambda line: None)


@pytest.fixture(scope="session")
def unit_rows() -> np.ndarray:
    """The corpus as its embeddings are stored, in float64 and of unit length."""
    rows = planted_rows(N_ROWS).astype(np.float16).astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="session")
def dictionary() -> Dictionary:
    return planted_dictionary()


@pytest.fixture(scope="session")
def usearch():
    return pytest.importorskip(
        "usearch", reason="NOT TESTED, usearch is missing: pip install 'sae_jax[search]'"
    )


@pytest.fixture(scope="session")
def planted(tmp_path_factory) -> planted_search.Planted:
    return planted_search.make(tmp_path_factory.mktemp("planted") / "rows")
