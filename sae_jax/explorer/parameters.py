"""What a request asks for, checked: an unknown or bad parameter is an error that says so."""

import difflib
import json
import math
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request

from sae_jax.errors import UsageError

MOST_CHARACTERS = 8_000  # of a text
LARGEST_WHOLE = 2**53  # beyond it JavaScript's numbers are not exact


class NotThereError(UsageError):
    """What the address names does not exist in this run."""


class ForbiddenError(UsageError):
    """This server does not do that, whatever the parameters."""


class Parameters:
    """Of one request; `known` are all that its route has."""

    def __init__(self, request: Request, *known: str) -> None:
        self._values: dict[str, str] = {}
        for name, value in request.query_params.multi_items():
            if name not in known:
                raise UsageError(f"there is no parameter {name!r}{_nearest(name, known)}.")
            if name in self._values:
                raise UsageError(f"{name} is given twice; expected it once.")
            self._values[name] = value

    def __contains__(self, name: str) -> bool:
        return bool(self._values.get(name))

    def text(self, name: str) -> str:
        """Empty where it is not given."""
        value = self._values.get(name, "")
        if len(value) > MOST_CHARACTERS:
            raise UsageError(
                f"{name} has {len(value):,} characters; expected {MOST_CHARACTERS:,} at most."
            )
        return value

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """The first of them where it is not given."""
        value = self._values.get(name) or choices[0]
        if value not in choices:
            raise UsageError(f"{name}={value!r}: expected {', '.join(choices)}.")
        return value

    def whole(self, name: str, *, default: int, low: int, high: int) -> int:
        if name not in self:
            return default
        return whole(self._values[name], of=name, low=low, high=high)

    def pairs(self, name: str) -> dict[str, float]:
        """The numbers of NAME:NUMBER,NAME:NUMBER."""
        found: dict[str, float] = {}
        for word in filter(None, self.text(name).split(",")):
            key, _, number = word.partition(":")
            if key in found:
                raise UsageError(f"{name} names {key[:40]!r} twice; expected it once.")
            try:
                found[key] = float(number)
            except ValueError:
                raise UsageError(f"{name}={word!r}: expected NAME:NUMBER.") from None
            if not math.isfinite(found[key]):
                raise UsageError(f"{name}={word!r}: expected a finite number.")
        return found


def body(request: Request, *known: str) -> dict[str, Any]:
    """The object that a request was sent with; raises UsageError on one of other fields."""
    try:
        found = json.loads(request.state.body)
    except (ValueError, RecursionError):
        raise UsageError("the body cannot be read; expected an object in JSON.") from None
    if not isinstance(found, dict):
        raise UsageError(f"the body is {type(found).__name__} in JSON; expected an object.")
    for name in found:
        if name not in known:
            raise UsageError(f"there is no field {name[:40]!r}{_nearest(name, known)}.")
    return found


def whole(text: str, *, of: str, low: int, high: int) -> int:
    """Raises UsageError on anything but a whole number of this range."""
    number = int(text) if is_whole(text.removeprefix("-")) else None
    if number is None or not low <= number <= high:
        raise UsageError(f"{of}={text[:40]!r}: expected a whole number from {low} to {high}.")
    return number


def is_whole(text: str) -> bool:
    """Digits as we write them, few enough for any number that is asked for."""
    return text.isdecimal() and text.isascii() and len(text) < 17


def place(text: str, *, of: str, n: int) -> int:
    """A number from 0 to n − 1, as an address names a latent, a family or a row.

    Raises NotThereError on any other.
    """
    if not is_whole(text) or int(text) >= n:
        expected = f"expected a number from 0 to {n - 1}" if n else "this run has none"
        raise NotThereError(f"there is no {of} {text[:40]!r}; {expected}.")
    return int(text)


def _nearest(name: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(name, known, n=1)
    if found:
        return f"; did you mean {found[0]!r}"
    return f"; expected {', '.join(known)}" if known else "; expected none"
