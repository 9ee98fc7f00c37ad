"""What is written as JSON can be read by everyone."""

import json
import math

from sae_jax.data import numbers


def test_what_is_not_finite_is_null_however_deep_it_lies():
    value = {"a": [1.5, math.nan, (math.inf, "x")], "b": {"c": -math.inf, "d": 3}}
    text = numbers.to_json(value)
    assert json.loads(text) == {
        "a": [1.5, None, [None, "x"]],
        "b": {"c": None, "d": 3},
    }
    assert "NaN" not in text
    assert "Infinity" not in text
