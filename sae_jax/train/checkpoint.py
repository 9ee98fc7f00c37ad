"""Checkpoints: all that a resume needs, with checksums of our own, in Orbax steps.

Every array is stored under its name ("model.W_dec", "opt_state.mu.W_dec"), in three
items: `model`, `ema` and `training`, so that the weights can be read alone. Orbax
guards the structure of a checkpoint but not its payload (a flipped bit restores
silently), so `meta` holds a checksum per array, verified on every restore.
"""

import contextlib
import json
import logging
import pathlib
from collections.abc import Iterator
from typing import Any, TypeVar

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from sae_jax.errors import CheckpointError
from sae_jax.train import checksum, processes

FORMAT = 2  # 1 had the moments where Optax puts them
ITEMS = ("model", "ema", "training")
Tree = TypeVar("Tree")
Arrays = dict[str, Any]
logger = logging.getLogger(__name__)


def named_leaves(tree: object) -> Arrays:
    """The arrays of a pytree by the names of their places, joined by dots."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {_name(path): leaf for path, leaf in leaves}


def _name(path: tuple[Any, ...]) -> str:
    parts = (
        getattr(key, "name", getattr(key, "key", getattr(key, "idx", key))) for key in path
    )
    # Flax wraps a parameter in a variable, whose own field is no part of the name.
    return ".".join(str(part) for part in parts if part not in ("value", "raw_value"))


def _item(name: str) -> str:
    first = name.split(".")[0]
    return first if first in ITEMS else "training"


class DamagedError(CheckpointError):
    """This checkpoint is not what was written; an older one may be."""


class Checkpoints:
    """The checkpoints of one run: the latest two and the best by held-out fvu are kept."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder.absolute()
        self._manager = self._open()

    def _open(self) -> ocp.CheckpointManager:
        keep = checkpoint_managers
        policy = keep.AnyPreservationPolicy(
            [
                keep.LatestN(2),
                keep.BestN(get_metric_fn=_fvu, reverse=True, n=1),
            ]
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policy,
            # The policy decides alone, but without best_fn Orbax does not store the fvu, and
            # after a resume every older checkpoint would be kept for want of it.
            best_fn=_fvu,
            best_mode="min",
            cleanup_tmp_directories=True,
            create=True,
        )
        return ocp.CheckpointManager(self.folder, options=options)

    def steps(self) -> list[int]:
        self._manager.reload()
        return sorted(self._manager.all_steps())

    def save(self, state: object, *, step: int, meta: dict[str, Any], fvu: float) -> None:
        """Copies the state and writes it in the background; visible only when complete."""
        arrays = named_leaves(state)
        checksums = checksum.of_arrays(arrays)
        differing = [name for name, found in checksums.items() if found.endswith("differs")]
        if differing:
            raise CheckpointError(
                f"{self.folder}: the processes hold different values of {differing[0]} at step "
                f"{step}; expected the same on all. The memory of a device may be faulty. The "
                "checkpoints before are whole: run the same command again to go on from there."
            )
        meta = meta | {"format": FORMAT, "step": step, "checksums": checksums}
        items: dict[str, Arrays] = {item: {} for item in map(_item, arrays)}
        for name, array in arrays.items():
            items[_item(name)][name] = array
        saves = {item: ocp.args.StandardSave(arrays) for item, arrays in items.items()}
        with self._explained():
            self._manager.save(
                step,
                args=ocp.args.Composite(meta=ocp.args.JsonSave(meta), **saves),
                metrics={"fvu": fvu},
                force=True,
            )

    def wait(self) -> None:
        """Returns when everything saved is on disk.

        Raises:
            CheckpointError: it could not be written, such as to a full disk.
        """
        with self._explained():
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Ends the background threads. What failed there was raised by `save` or `wait`."""
        with contextlib.suppress(Exception):
            self._manager.close()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # Orbax and TensorStore raise a dozen types
            full = "No space left" in str(error)
            raise CheckpointError(
                f"{self.folder}: a checkpoint could not be written: "
                f"{'no space is left on the disk' if full else _first_line(error)}. The "
                "checkpoints before it are whole. Mend that (`--dry_run` says how much space "
                "is needed), and run the same command again to go on."
            ) from error

    def restore_latest(self, like: Tree) -> tuple[Tree, dict[str, Any]] | None:
        """The newest whole state, in the shape and placement of `like`; None without any.

        A damaged step is moved to `damaged/` beside the checkpoints, with a warning, and
        the one before is tried.

        Raises:
            CheckpointError: there are checkpoints, but all are damaged.
        """
        steps = processes.from_first(self.steps)
        for step in reversed(steps):
            try:
                return self._restore(step, like)
            except DamagedError as error:
                moved = self._set_aside(step)
                logger.warning("%s It was moved to %s.", error, moved)
        if steps:
            raise CheckpointError(
                f"{self.folder}: all {len(steps)} checkpoints (steps {steps}) are damaged; "
                "expected at least one whole. They were moved to `damaged/` beside it. The "
                "same command starts anew from step 0, or choose another --workdir."
            )
        return None

    def _restore(self, step: int, like: Tree) -> tuple[Tree, dict[str, Any]]:
        wanted = named_leaves(like)
        arrays, meta = read_arrays(self.folder / str(step), wanted)
        leaves = [arrays[name] for name in wanted]
        return jax.tree.unflatten(jax.tree.structure(like), leaves), meta

    def _set_aside(self, step: int) -> pathlib.Path:
        self._manager.close()
        target = processes.from_first(lambda: self._move_away(step))
        self._manager = self._open()
        return target

    def _move_away(self, step: int) -> pathlib.Path:
        folder = self.folder.parent / "damaged"
        folder.mkdir(exist_ok=True)
        n_before = len(list(folder.glob(f"{step}*")))
        target = folder / (f"{step}-{n_before}" if n_before else str(step))
        (self.folder / str(step)).rename(target)
        return target


def _fvu(metrics: dict[str, float]) -> float:
    return metrics["fvu"]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def read_meta(step_folder: pathlib.Path) -> dict[str, Any]:
    """What a checkpoint says of itself, without its arrays."""
    path = step_folder / "meta" / "metadata"
    try:
        meta: dict[str, Any] = json.loads(path.read_text())
        if meta["format"] == FORMAT:
            return meta
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(
            f"{path}: cannot be read as a checkpoint's description "
            f"({type(error).__name__}: {error}); expected JSON written by sae_jax."
        ) from error
    raise CheckpointError(
        f"{path}: has format {meta['format']}; this version of sae_jax reads format {FORMAT}. "
        "Open it with the version that wrote it."
    )


def read_arrays(
    step_folder: pathlib.Path, wanted: dict[str, Any]
) -> tuple[Arrays, dict[str, Any]]:
    """The named arrays in the shape, type and placement of those wanted, and the meta.

    Each process reads its own parts. All of them come to the same result, or error.

    Raises:
        CheckpointError: an array is missing, has another shape, or fails its checksum.
    """
    meta = processes.from_first(lambda: read_meta(step_folder))
    for name, like in wanted.items():
        found, expected = meta["checksums"].get(name), checksum.kind(like)
        if found is None or not found.startswith(expected + ":"):
            raise CheckpointError(
                f"{step_folder}: {name} is {str(found).split(':')[0]}; expected {expected}. "
                "The checkpoint belongs to a run with other settings: choose its config, or "
                "another --workdir."
            )
    items: dict[str, Arrays] = {item: {} for item in map(_item, wanted)}
    for name, like in wanted.items():
        items[_item(name)][name] = jax.ShapeDtypeStruct(
            like.shape, like.dtype, sharding=getattr(like, "sharding", None)
        )
    arrays: Arrays = {}
    with processes.together():
        for item, targets in items.items():
            arrays |= _read_item(step_folder, item, targets=targets)
    for name, found in checksum.of_arrays(arrays).items():
        if found != meta["checksums"][name]:
            raise DamagedError(
                f"{step_folder}: {name} has checksum {found}; expected "
                f"{meta['checksums'][name]}. The file was damaged after it was written."
            )
    return arrays, meta


def _read_item(step_folder: pathlib.Path, item: str, *, targets: Arrays) -> Arrays:
    try:
        # Not a Checkpointer: it would wait for the other processes, though one may fail.
        arrays: Arrays = ocp.StandardCheckpointHandler().restore(
            (step_folder / item).absolute(), args=ocp.args.StandardRestore(targets)
        )
        return arrays
    except Exception as error:  # Orbax and TensorStore raise a dozen types for damage
        raise DamagedError(
            f"{step_folder / item}: cannot be restored ({_first_line(error)}); expected a "
            "whole Orbax checkpoint. It was damaged after it was written."
        ) from error
