"""What the tests of several files need: the real encoder, and the golden texts."""

import json
import pathlib

import pytest

from sae_jax.embed import weights
from sae_jax.embed.minilm import MiniLM
from sae_jax.errors import EncoderError

GOLDEN = pathlib.Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def minilm():
    try:
        weights.find_model_folder()
    except EncoderError as error:
        pytest.skip(f"NOT TESTED, the weights are missing: {error}")
    return MiniLM()


@pytest.fixture(scope="session")
def golden_texts():
    return json.loads((GOLDEN / "texts.json").read_text(encoding="utf-8"))
