"""The files of a folder of embeddings, looked at before they are opened."""

import hashlib
import pathlib
from collections.abc import Sequence
from typing import NoReturn

import numpy as np
from jaxtyping import Int64

from sae_jax.data import manifest as manifests
from sae_jax.data import mapped, records
from sae_jax.data.mapped import Layout
from sae_jax.data.records import RecordStore
from sae_jax.errors import ShardError

_INGESTED = (".parquet", ".arrow", ".feather", ".array_record")


def plain_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """The arrays of a folder without a manifest, by name."""
    if folder.is_file():
        return [folder] if folder.suffix in (".npy", ".safetensors") else []
    paths = sorted(folder.glob("*.npy")) or sorted(folder.glob("*.safetensors"))
    return [path for path in paths if path.name != manifests.HELD_OUT]


def records_beside(folder: pathlib.Path) -> RecordStore | None:
    """Texts that lie with plain arrays, under one of the names we know."""
    if folder.is_dir():
        for name in (records.ROWS_FILE, *records.PLAIN_NAMES):
            if (folder / name).exists():
                return records.open_records(folder / name)
    return None


def refuse_unreadable(folder: pathlib.Path) -> NoReturn:
    """Says what to do with a folder that has no arrays."""
    within = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    for path in within:
        if (
            path.suffix in _INGESTED
            or path.name == "dataset_info.json"
            or ".array_record" in path.name
        ):
            raise ShardError(
                f"{folder}: {path.name} cannot be read by row number fast enough to train "
                f"from. Convert it once: `sae-jax ingest {folder} --out={folder.name}-shards`."
            )
    raise ShardError(
        f"{folder}: has no {manifests.MANIFEST}, .npy or .safetensors file. Expected a folder "
        "made by `sae-jax embed` or `sae-jax ingest`, or plain arrays [rows, d_in]."
    )


def layout_of(path: pathlib.Path, *, dtype: str = "") -> Layout:
    """`dtype` is the manifest's word on what a file of uint16 means."""
    if path.suffix == ".safetensors":
        return mapped.safetensors_layout(path)
    layout = mapped.npy_layout(path)
    if layout.dtype == "uint16" and dtype == "bfloat16":
        return layout._replace(dtype="bfloat16")
    return layout


def check_layouts(layouts: Sequence[Layout]) -> None:
    """Raises ShardError where a file is cut short, or the files do not agree."""
    for layout in layouts:
        mapped.check_layout(layout)
        first = layouts[0]
        if layout.shape[1] != first.shape[1] or layout.dtype != first.dtype:
            raise ShardError(
                f"{layout.path}: rows are {layout.shape[1]} wide, {layout.dtype}; those of "
                f"{first.path.name} are {first.shape[1]} wide, {first.dtype}. Files of one "
                "folder must agree: move the others elsewhere."
            )


def read_held_out(folder: pathlib.Path, *, n_rows: int) -> Int64[np.ndarray, " n_held_out"]:
    """Raises ShardError where the file is not sorted row ids of this folder."""
    path = folder / manifests.HELD_OUT
    try:
        ids = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ShardError(f"{path}: cannot be read ({error}). Restore the file.") from error
    if (
        ids.ndim != 1
        or ids.dtype != np.int64
        or (len(ids) and (ids[0] < 0 or ids[-1] >= n_rows))
        or (np.diff(ids) <= 0).any()
    ):
        raise ShardError(
            f"{path}: is not a sorted list of different row ids below {n_rows}. Restore the "
            f"file, or remove it and run `sae-jax check {folder} --rewrite`."
        )
    return ids


def sampled_fingerprint(
    layouts: Sequence[Layout], *, held_out_ids: Int64[np.ndarray, " n_held_out"]
) -> str:
    """Of files without a manifest: reading all of them to open them would take too long."""
    digest = hashlib.sha256(held_out_ids.tobytes())
    for layout in layouts:
        digest.update(f"{layout.shape} {layout.dtype}".encode())
        digest.update(mapped.sampled_sha256(layout.path).encode())
    return digest.hexdigest()
