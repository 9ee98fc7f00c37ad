"""The metrics of a run as curves, also while it writes them."""

import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

MOST_POINTS = 2_000  # of a split in one answer
LAST_BYTES = 16_384  # enough for the last line of each split
SPLITS = ("train", "held_out", "timing")
NOT_DRAWN = ("split", "row_ids_crc32")

Line = Mapping[str, Any]
Curves = dict[str, dict[str, list[Any]]]


class Read(NamedTuple):
    """What of a file was read."""

    after: int  # bytes of it that are known now
    file: str  # which one it was: a resume writes another
    restarted: bool  # it is not the one that was asked for, so that this is all of it
    n_damaged: int  # lines that are none
    n_thinned: int  # lines left out
    curves: Curves  # of each split each number by name, "step" among them


def read(path: pathlib.Path, *, after: int = 0, file: str = "") -> Read:
    """The whole lines from this byte on; all where the file is another or has shrunk."""
    try:
        with path.open("rb") as opened:
            now = f"{os.fstat(opened.fileno()).st_ino:x}"
            n_bytes = opened.seek(0, 2)
            restarted = bool(after) and (now != file or n_bytes < after)
            start = 0 if restarted else after
            opened.seek(start)
            raw = opened.read()
    except FileNotFoundError:
        return Read(0, "", bool(after), 0, 0, {})
    end = raw.rfind(b"\n") + 1  # a line that is being written is read the next time
    lines, n_damaged = parse(raw[:end])
    curves, n_thinned = _columns(lines)
    return Read(start + end, now, restarted, n_damaged, n_thinned, curves)


def parse(raw: bytes) -> tuple[list[Line], int]:
    """The lines of known splits, and how many are damaged."""
    found: list[Line] = []
    n_damaged = 0
    for text in raw.splitlines():
        try:
            line = json.loads(text)
            if line["split"] in SPLITS and isinstance(line["step"], int):
                found.append(line)
            else:
                n_damaged += 1
        except (ValueError, LookupError, TypeError):
            n_damaged += 1
    return found, n_damaged


def last_lines(path: pathlib.Path) -> dict[str, Line]:
    """The last whole line of each split, from the end of the file alone."""
    if not path.exists():
        return {}
    with path.open("rb") as opened:
        n_bytes = opened.seek(0, 2)
        opened.seek(max(n_bytes - LAST_BYTES, 0))
        raw = opened.read()
    lines, _ = parse(raw[: raw.rfind(b"\n") + 1])
    return {line["split"]: line for line in lines}


def thinned(lines: Sequence[Line]) -> list[Line]:
    """At most 2,000 of them, evenly, the last among them."""
    n = len(lines)
    if n <= MOST_POINTS:
        return list(lines)
    return [lines[(i + 1) * n // MOST_POINTS - 1] for i in range(MOST_POINTS)]


def _columns(lines: Iterable[Line]) -> tuple[Curves, int]:
    by_split: dict[str, list[Line]] = {}
    for line in lines:
        by_split.setdefault(line["split"], []).append(line)
    curves: Curves = {}
    n_thinned = 0
    for split, all_lines in by_split.items():
        own = thinned(all_lines)
        n_thinned += len(all_lines) - len(own)
        names = dict.fromkeys(name for line in own for name in line if name not in NOT_DRAWN)
        curves[split] = {name: [_number(line.get(name)) for line in own] for name in names}
    return curves, n_thinned


def _number(value: Any) -> float | int | None:
    return value if isinstance(value, int | float) else None
