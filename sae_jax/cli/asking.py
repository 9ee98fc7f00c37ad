"""Flags of commands that ask a language model, the same in each, and how asking ends."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from sae_jax.errors import UsageError

if TYPE_CHECKING:
    from sae_jax.analysis.answers import KeptChat

SHARED = ("parameters", "n_parallel", "timeout_seconds", "dollars_per_million", "dry_run")


def define_asking(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "parameters", '{"temperature": 0}', "llm: JSON, sent with each call as it is.",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer(
        "n_parallel", 4, "llm: calls at a time.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_float(
        "timeout_seconds", 120.0, "llm: for one answer; then it is asked for again.",
        lower_bound=0.1, flag_values=values,
    )  # fmt: skip
    flags.DEFINE_list(
        "dollars_per_million", [], "llm: price of tokens sent,received; to say the cost.",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_boolean(
        "dry_run", False, "llm: say what is to be asked, and stop.", flag_values=values
    )


def refuse(values: flags.FlagValues, names: Sequence[str], *, flag: str) -> None:
    """Raises UsageError where one of these is given though no model is asked."""
    for name in names:
        if values[name].present:
            raise UsageError(
                f"--{name} does nothing with --{flag}={values[flag].value}; add --{flag}=llm."
            )


def parameters_of(values: flags.FlagValues) -> dict[str, Any]:
    try:
        parameters = json.loads(values.parameters)
    except ValueError:
        parameters = None
    if not isinstance(parameters, dict):
        raise UsageError(
            f"--parameters={values.parameters}: is no JSON object; expected one such as "
            "'{\"temperature\": 0, \"max_tokens\": 500}', or '{}' to send none."
        )
    return parameters


def prices_of(values: flags.FlagValues) -> list[float]:
    """Of a million tokens sent, and received; empty where they were not given."""
    try:
        prices = [float(word) for word in values.dollars_per_million]
    except ValueError:
        prices = [-1.0]
    if prices and (len(prices) != 2 or min(prices) < 0):
        raise UsageError(
            f"--dollars_per_million={','.join(values.dollars_per_million)}: expected two "
            "prices, of tokens sent and received, such as 0.15,0.60."
        )
    return prices


def wait(asking: "KeptChat", *, seconds: float) -> None:
    """For answers under way; a second Ctrl-C ends it."""
    if asking.n_under_way:
        print(
            f"Waits up to {seconds:g} s for {asking.n_under_way} answers under way, to keep "
            "them; Ctrl-C again loses them.",
            file=sys.stderr,
        )
        asking.wait(seconds=seconds)
