"""What the latents of a run are called, by the files of `sae-jax label`."""

import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from sae_jax.errors import ShardError


def names_of(records: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """Of the lines of such files, for each latent that has a label: the last one counts."""
    return {one["latent"]: one["text"] for one in records if one["state"] == "ok"}


def read_labels(folder: pathlib.Path, *, run_fingerprint: str) -> dict[int, str]:
    """Of a run's latents for one corpus, from labels of these weights.

    Those of a language model are preferred to keywords. A line that does not say of which
    weights it is counts as one of these, as in a report. Raises ShardError on a torn line.
    """
    records: list[dict[str, Any]] = []
    for path in (folder / file for file in ("labels.jsonl", "llm-labels.jsonl")):
        try:
            lines = path.read_bytes().split(b"\n") if path.exists() else []
            records += [json.loads(line) for line in lines if line.strip()]
        except ValueError as error:
            raise ShardError(
                f"{path}: is damaged ({error}). Run `sae-jax label` again."
            ) from error
    return names_of(
        one for one in records if one.get("run_fingerprint", run_fingerprint) == run_fingerprint
    )
