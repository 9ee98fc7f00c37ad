"""The rows that all trainers see, and in which order, as files that torch workers can open.

WordNet's own width, 384, is used as it lies. Other widths are synthetic, made from the same
rows: x' = x P + ‖x‖ e with P a fixed random matrix (orthonormal rows where the width is
larger, so distances are kept) and e Gaussian noise with E‖e‖² = NOISE. Deterministic.
"""

import json
import pathlib
from typing import Any

import numpy as np

from sae_jax.data.shards import ShardReader, open_shards
from sae_jax.data.stream import RowStream
from sae_jax.train import statistics

N_SYNTHETIC = 40_000  # rows of a synthetic width: 123 MB as float16 at 1,536
NOISE = 0.1  # share of a row's squared norm
N_STEPS = 1_040  # of the exported order; longer runs begin it again


def folder_for(
    shards: str, *, d_in: int, batch_size: int, cache: pathlib.Path
) -> dict[str, str]:
    """The shards of this width for our trainer, and the exported folder for the others."""
    reader = open_shards(shards)
    if d_in != reader.d_in:
        reader = open_shards(synthetic(reader, d_in=d_in, cache=cache))
    folder = cache / f"rows-{d_in}-b{batch_size}-{reader.fingerprint[:12]}"
    if not (folder / "rows.json").exists():
        export(reader, batch_size=batch_size, folder=folder)
    return {"shards": str(reader.folder), "folder": str(folder)}


def synthetic(reader: ShardReader, *, d_in: int, cache: pathlib.Path) -> pathlib.Path:
    """A folder of one .npy file, float16."""
    folder = cache / f"synthetic-{d_in}-{reader.fingerprint[:12]}"
    path = folder / "rows.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        row_ids = statistics.spread_positions(reader.n_rows, most=N_SYNTHETIC)
        rows = reader.read(row_ids).astype(np.float32)
        write_whole(path, widened(rows, d_in=d_in).astype(np.float16))
    return folder


def widened(rows: np.ndarray, *, d_in: int, seed: int = 0) -> np.ndarray:
    """The rows at another width; see the module."""
    rng = np.random.default_rng(seed)
    tall = rng.normal(size=(max(d_in, rows.shape[1]), min(d_in, rows.shape[1])))
    basis = np.linalg.qr(tall)[0].astype(np.float32)
    turned = rows @ (basis.T if d_in >= rows.shape[1] else basis)
    noise = rng.normal(size=turned.shape).astype(np.float32) * np.sqrt(NOISE / d_in)
    return turned + np.linalg.norm(rows, axis=1, keepdims=True) * noise


def export(reader: ShardReader, *, batch_size: int, folder: pathlib.Path) -> None:
    """All rows as float32, the rows of each step of our stream, held-out rows, the mean."""
    folder.mkdir(parents=True, exist_ok=True)
    stream = RowStream(reader=reader, seed=0, batch_size=batch_size)
    order = np.stack([stream.row_ids(step) for step in range(N_STEPS)])
    rows = reader.read(np.arange(reader.n_rows)).astype(np.float32)
    write_whole(folder / "rows.npy", rows)
    write_whole(folder / "order.npy", order)
    write_whole(folder / "held_out.npy", reader.held_out_ids)
    write_whole(folder / "mean.npy", statistics.measure(reader).mean)
    facts: dict[str, Any] = {"n_rows": reader.n_rows, "fingerprint": reader.fingerprint}
    (folder / "rows.json").write_text(json.dumps(facts) + "\n")  # last: all of it is there


def write_whole(path: pathlib.Path, array: np.ndarray) -> None:
    """A file that is there is complete."""
    part = path.with_suffix(".part.npy")
    np.save(part, array)
    part.rename(path)
