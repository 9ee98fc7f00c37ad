"""Both encoders follow the protocol: the same names, with the same parameters."""

import inspect

import pytest

from sae_jax.embed.encoder import Encoder
from sae_jax.embed.minilm import MiniLM
from sae_jax.embed.openai import OpenAIEncoder


@pytest.mark.parametrize("encoder", [MiniLM, OpenAIEncoder])
def test_an_encoder_has_what_the_protocol_names(encoder):
    for name in ("encode", "plan"):
        expected = inspect.signature(getattr(Encoder, name)).parameters
        assert list(inspect.signature(getattr(encoder, name)).parameters) == list(expected)
    source = inspect.getsource(encoder)
    assert all(f"{name} =" in source for name in ("name", "d_in", "normalisation"))
