"""The folder of a run: its config is written once, and one process at a time trains in it."""

import contextlib
import dataclasses
import json
import pathlib
from typing import Any, NamedTuple

from sae_jax.config import Config
from sae_jax.data.claim import held
from sae_jax.data.manifest import write_atomically
from sae_jax.errors import CheckpointError, UsageError

FAILURE = "failed.json"
# May change between two runs of the same command; nothing of the training depends on them.
FREE_SETTINGS = ("shards", "log_every_steps", "eval_rows")


def claim(workdir: pathlib.Path) -> contextlib.AbstractContextManager[None]:
    """Makes the folder, and holds it against a second process on this machine."""
    return held(
        workdir,
        otherwise=UsageError(
            f"{workdir}: another process is training here; expected a folder of one's own. "
            "Wait for it, or choose another --workdir."
        ),
    )


def settle_config(config: Config, *, workdir: pathlib.Path) -> None:
    """Writes `config.json`, or checks that it is the one that this folder was begun with.

    Before the first checkpoint nothing has come of the old settings: new ones replace them.

    Raises:
        UsageError: settings differ from those of the run that is there.
    """
    check_config(config, workdir=workdir)
    if not _begun(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
        write_atomically(workdir / "config.json", config.to_json().encode())


def _begun(workdir: pathlib.Path) -> bool:
    has_config = (workdir / "config.json").exists()
    return has_config and any((workdir / "checkpoints").glob("[0-9]*"))


def check_config(config: Config, *, workdir: pathlib.Path) -> None:
    """Raises UsageError where settings differ from those of a run that has begun here."""
    if not _begun(workdir):
        return
    path = workdir / "config.json"
    differences = differing_settings(read_config(workdir), config)
    if differences:
        listed = "; ".join(f"{name} was {old!r}, is {new!r}" for name, old, new in differences)
        raise UsageError(
            f"{path}: this run was begun with other settings: {listed}. Nothing was changed. "
            "Use the same settings to resume it, or another --workdir for a new run."
        )


def read_config(workdir: pathlib.Path) -> Config:
    """The resolved config of a run.

    Raises:
        CheckpointError: the folder is not a run, or its config cannot be read.
    """
    path = workdir / "config.json"
    if not path.exists():
        raise CheckpointError(
            f"{workdir}: has no config.json, so it is not a run; expected the --workdir of "
            "`sae-jax train`."
        )
    try:
        return Config.from_json(path.read_text())
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error}); expected the settings of this version of "
            "sae_jax. Restore the file, or open the run with the version that wrote it."
        ) from error


def differing_settings(old: Config, new: Config) -> list[tuple[str, Any, Any]]:
    """(name, old value, new value) of each setting that a resume may not change."""
    before, after = (_flat(dataclasses.asdict(config)) for config in (old, new))
    return [
        (name, before[name], after[name])
        for name in before
        if name not in FREE_SETTINGS and before[name] != after[name]
    ]


def _flat(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def read_summary(workdir: pathlib.Path) -> dict[str, Any] | None:
    """The summary of a finished run; None before the end.

    Raises:
        CheckpointError: it cannot be read.
    """
    path = workdir / "summary.json"
    if not path.exists():
        return None
    try:
        summary = json.loads(path.read_text())
        if not isinstance(summary, dict):
            raise ValueError(f"holds a {type(summary).__name__}")
        return summary
    except ValueError as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error}); expected a JSON object, as training writes it "
            "at the end. Remove it and run the same command again: it goes on from the last "
            "checkpoint, and writes it anew."
        ) from error


def steps(workdir: pathlib.Path) -> list[int]:
    """Of its whole checkpoints, the newest last."""
    folders = (workdir / "checkpoints").glob("*")
    return sorted(int(path.name) for path in folders if path.name.isdigit())


class Failure(NamedTuple):
    """Why a member of a sweep has no result."""

    error: str
    refused: bool = False  # before it began, by its settings or data: it is tried again


def read_failure(workdir: pathlib.Path) -> Failure | None:
    """Of a member that has failed; where the file is damaged, that is why."""
    path = workdir / FAILURE
    if not path.exists():
        return None
    try:
        failure = Failure(**json.loads(path.read_text()))
        if not isinstance(failure.error, str):
            raise TypeError(f"error is {failure.error!r}")
        return failure
    except (ValueError, TypeError) as error:
        return Failure(
            f"{path}: cannot be read ({error}), so why this run failed is not known. "
            "`sae-jax sweep` with --retry_failed tries it again."
        )


def write_failure(workdir: pathlib.Path, failure: Failure) -> None:
    workdir.mkdir(parents=True, exist_ok=True)
    write_atomically(workdir / FAILURE, (json.dumps(failure._asdict()) + "\n").encode())


def forget_failure(workdir: pathlib.Path) -> None:
    (workdir / FAILURE).unlink(missing_ok=True)


def write_summary(workdir: pathlib.Path, summary: dict[str, Any]) -> None:
    """Written last: a run with a summary is a finished one."""
    write_atomically(workdir / "summary.json", (json.dumps(summary, indent=2) + "\n").encode())
