"""Numbers as JSON has them: it knows neither NaN nor infinity."""

import json
import math
from typing import Any


def without_nan(value: Any) -> Any:
    """The same with null in the place of what is not finite, however deep it lies.

    A NamedTuple becomes an object with its fields, another tuple a list.
    """
    # Most values are plain: the order of these questions halves the time of a large answer.
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {name: without_nan(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(one) for one in value]
    return value


def to_json(value: Any, *, indent: int | None = None) -> str:
    return json.dumps(without_nan(value), indent=indent, allow_nan=False) + "\n"
