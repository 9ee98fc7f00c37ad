"""The labels of a run with their source and scores, and those that a person has written."""

import json
import os
import pathlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NamedTuple

SOURCES = {  # the last that has one names the latent
    "keywords": "labels.jsonl",
    "llm": "llm-labels.jsonl",
    "you": "edited-labels.jsonl",
}
MOST_CHARACTERS = 200


class Label(NamedTuple):
    """One attempt to name a latent."""

    source: str  # keywords, llm or you
    text: str | None  # None where the attempt failed, or was taken back
    f1: float | None  # how well it tells held-out rows; None where nothing judged it
    record: Mapping[str, Any]  # all that its file says


class Labels:
    """Of all latents, by file; edits are appended and never overwritten."""

    def __init__(
        self, folder: pathlib.Path, *, run_fingerprint: str, say: Callable[[str], None] = print
    ) -> None:
        self.folder, self.run_fingerprint = folder, run_fingerprint
        self._lock = threading.Lock()
        self._of: dict[int, list[Label]] = {}
        self.n_edits = 0  # of this process: what was made of the labels before is old
        for source, file in SOURCES.items():
            self._read(folder / file, source=source, say=say)
        self.name = {latent: text for latent in self._of if (text := self._name(latent))}

    def _read(self, path: pathlib.Path, *, source: str, say: Callable[[str], None]) -> None:
        """A line that was not written whole costs that line alone."""
        lines = path.read_bytes().split(b"\n") if path.exists() else []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                self._add(json.loads(line), source=source)
            except (ValueError, LookupError, TypeError, AttributeError):
                say(f"{path}: line {number} is no label and is left out: {line[:60]!r}.")

    def of(self, latent: int) -> list[Label]:
        """The one in use last."""
        return list(self._of.get(latent, ()))

    def current(self, latent: int) -> Label | None:
        """The one in use."""
        named = [one for one in self._of.get(latent, ()) if one.text]
        if named and self._of[latent][-1].source == "you" and not self._of[latent][-1].text:
            named = [one for one in named if one.source != "you"]
        return named[-1] if named else None

    def edit(self, latent: int, text: str) -> None:
        """Names it by hand; an empty text takes that back."""
        record = {
            "latent": latent, "state": "ok" if text else "removed", "text": text or None,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "run_fingerprint": self.run_fingerprint,
        }  # fmt: skip
        with self._lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / SOURCES["you"]).open("a+b") as file:
                _end_line(file)
                file.write(json.dumps(record).encode() + b"\n")
            self._add(record, source="you")
            name = self._name(latent)
            self.name = {i: own for i, own in self.name.items() if i != latent}
            if name:
                self.name[latent] = name
            self.n_edits += 1

    def _name(self, latent: int) -> str | None:
        label = self.current(latent)
        return label.text if label else None

    def _add(self, record: dict[str, Any], *, source: str) -> None:
        if record.get("run_fingerprint", self.run_fingerprint) != self.run_fingerprint:
            return
        text = record.get("text") if record.get("state") == "ok" else None
        label = Label(source, text, _f1(record), record)
        self._of.setdefault(int(record["latent"]), []).append(label)


def _end_line(file: BinaryIO) -> None:
    """A line that was torn off must not swallow the next."""
    if file.seek(0, os.SEEK_END):
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")


def _f1(record: Mapping[str, Any]) -> float | None:
    """Of keywords against rows on which the latent is off; of a language model its judge's."""
    if record.get("easy"):
        return record["easy"].get("f1")
    return ((record.get("scores") or {}).get("f1") or {}).get("value")
