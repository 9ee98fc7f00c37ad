"""Writes a manifest for arrays that have none, or that were changed on purpose."""

import dataclasses
import json
import pathlib
from typing import Any

from sae_jax.data import manifest as manifests
from sae_jax.data import plain
from sae_jax.data.check import Report, check_records, check_rows
from sae_jax.data.manifest import HELD_OUT, HeldOut, Manifest, Provenance, ShardEntry
from sae_jax.errors import ShardError


def rewrite(folder: str | pathlib.Path, *, dtype: str = "") -> Manifest:
    """Describes the arrays of a folder as they are now.

    `dtype` says what files of uint16 mean where the old manifest cannot be read.

    Raises:
        ShardError: a file is cut short, or has rows that cannot be trained on.
    """
    folder = pathlib.Path(folder)
    old = _old_manifest(folder)
    dtype = dtype or str(old.get("dtype", ""))
    paths = plain.plain_files(folder)
    if not paths:
        raise ShardError(f"{folder}: has no .npy or .safetensors file to describe.")
    layouts = [plain.layout_of(path, dtype=dtype) for path in paths]
    plain.check_layouts(layouts)
    report = Report(folder)
    check_rows(report, layouts=layouts, d_in=layouts[0].shape[1])
    n_rows = sum(layout.shape[0] for layout in layouts)
    store = plain.records_beside(folder)
    check_records(report, store=store, n_rows=n_rows)
    if report.problems:
        raise ShardError(f"cannot describe a damaged folder. {report.problems[0]}")
    manifest = Manifest(
        d_in=layouts[0].shape[1],
        dtype=layouts[0].dtype,
        n_rows=n_rows,
        shards=tuple(
            ShardEntry(**dataclasses.asdict(manifests.file_entry(path, n_rows=layout.shape[0])))
            for path, layout in zip(paths, layouts, strict=True)
        ),
        held_out=_held_out(folder, n_rows=n_rows, old=old),
        provenance=_provenance(old, folder=folder),
        rows_file=manifests.file_entry(store.path, n_rows=n_rows) if store else None,
        identity=str(old.get("identity", "")),
    )
    manifest.write(folder)
    return manifest


def _old_manifest(folder: pathlib.Path) -> dict[str, Any]:
    """Whatever can still be read of it."""
    try:
        found = json.loads((folder / manifests.MANIFEST).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _held_out(folder: pathlib.Path, *, n_rows: int, old: dict[str, Any]) -> HeldOut:
    """Keeps the rows held out so far; chooses anew where their number has changed."""
    if (folder / HELD_OUT).exists() and old.get("n_rows", n_rows) == n_rows:
        ids = plain.read_held_out(folder, n_rows=n_rows)
        entry = manifests.file_entry(folder / HELD_OUT, n_rows=len(ids))
        told = old.get("held_out")
        rule = str(told.get("rule", "")) if isinstance(told, dict) else ""
        return HeldOut(**dataclasses.asdict(entry), rule=rule or "as found in the folder")
    ids = manifests.held_out_row_ids(n_rows)
    return manifests.write_held_out(folder, ids, rule=manifests.held_out_rule())


def _provenance(old: dict[str, Any], *, folder: pathlib.Path) -> Provenance:
    try:
        return Provenance(**old["provenance"])
    except (KeyError, TypeError):
        return Provenance(source=folder.name)
