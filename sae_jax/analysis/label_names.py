"""What the latents of a run are called, by the files of `sae-jax label`."""

import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any


def names_of(records: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """Of the lines of such files, for each latent that has a label: the last one counts."""
    return {one["latent"]: one["text"] for one in records if one["state"] == "ok"}


def read_labels(folder: pathlib.Path, *, run_fingerprint: str) -> dict[int, str]:
    """Of a run's latents for one corpus, from labels of these weights.

    Those of a language model are preferred to keywords. A line that does not say of which
    weights it is counts as one of these, as in a report.
    """
    paths = [folder / file for file in ("labels.jsonl", "llm-labels.jsonl")]
    lines = [text for path in paths if path.exists() for text in path.read_text().splitlines()]
    records = [json.loads(line) for line in lines]
    return names_of(
        one for one in records if one.get("run_fingerprint", run_fingerprint) == run_fingerprint
    )
