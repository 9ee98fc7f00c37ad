"""Shared set-up: the benchmark corpus where it is, and a small plain folder of rows."""

import os
import pathlib
import signal

# A shell's background job ignores Ctrl-C, and so would all processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# What one test has compiled the others, and the processes they start, need not compile again.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.abspath(".pytest_cache/compiled"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")

import numpy as np
import pytest
from tiny import planted_rows

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="session")
def wordnet() -> pathlib.Path:
    """The real benchmark corpus, where it is."""
    data = pathlib.Path(os.environ.get("SAE_JAX_DATA", ROOT.parent / "shared" / "data"))
    folder = data / "wordnet-glosses"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: set SAE_JAX_DATA to the folder that holds it")
    return folder


@pytest.fixture
def rows_folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A plain folder of two .npy files, 2,000 rows of 16."""
    folder = tmp_path / "rows"
    folder.mkdir()
    rows = planted_rows(2_000)
    np.save(folder / "a.npy", rows[:1_200])
    np.save(folder / "b.npy", rows[1_200:])
    return folder
