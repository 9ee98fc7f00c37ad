"""Encodes a corpus into a folder of codes: in parts, on all devices, resumable."""

import functools
import io
import pathlib
import shutil
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int, Shaped
from numpy.lib.format import open_memmap

from sae_jax.analysis import by_latent, codes
from sae_jax.analysis.codes import N_NEAR, Manifest, StoredCodes
from sae_jax.config import SaeConfig
from sae_jax.data.claim import held
from sae_jax.data.manifest import write_atomically
from sae_jax.data.progress import Progress
from sae_jax.data.shards import ShardReader
from sae_jax.errors import ShardError
from sae_jax.model.protocol import Autoencoder
from sae_jax.notebook import Sae

ROWS_PER_PART = 16_384  # what a kill loses at most
ROWS_PER_CALL = 1_024  # of each device


class Encoded(NamedTuple):
    """Of the rows of one call."""

    values: Float[Array, "rows k"]
    indices: Int[Array, "rows k"]
    near_pre_acts: Float[Array, "n_latents n"]
    near_rows: Int[Array, "n_latents n"]  # counted from the first of the call


class Near(NamedTuple):
    """The best near misses so far, highest first; a place left empty has row −1."""

    pre_acts: Float[np.ndarray, "n_latents n_near"]
    rows: Int[np.ndarray, "n_latents n_near"]


def folder_for(run: pathlib.Path, reader: ShardReader) -> pathlib.Path:
    """Where a run keeps its codes of a corpus: one folder for each corpus."""
    return run / "codes" / f"{reader.folder.absolute().name}-{reader.fingerprint[:8]}"


def encode_corpus(
    sae: Sae,
    reader: ShardReader,
    *,
    out: pathlib.Path,
    task_index: int = 0,
    task_count: int = 1,
) -> Manifest | None:
    """Encodes this task's parts of the rows; the task that ends last makes the rest.

    Returns the manifest, or None where other tasks have not finished. Codes of other
    weights that lie in `out` are replaced.
    """
    weights = codes.fingerprint(sae)
    with held(out):  # one task at a time begins or finishes the folder
        manifest = _begin(sae, reader, out=out, weights=weights)
    if manifest is not None:
        return manifest
    own = range(task_index, _n_parts(reader), task_count)
    left = [part for part in own if not _part_path(out, part).exists()]
    done = sum(len(_rows_of(part, reader)) for part in own if part not in left)
    total = sum(len(_rows_of(part, reader)) for part in own)
    with Progress("encode", total=total, done=done) as progress:
        _encode_parts(sae, reader, parts=left, out=out, weights=weights, progress=progress)
    with held(out):
        manifest = codes.read_manifest(out)
        everything = [_part_path(out, part) for part in range(_n_parts(reader))]
        if manifest is None and all(path.exists() for path in everything):
            manifest = _finish(sae, reader, parts=everything, out=out, weights=weights)
    return manifest


def open_run_codes(run: pathlib.Path, sae: Sae, reader: ShardReader) -> StoredCodes:
    """The codes that `sae-jax encode` has made of this corpus.

    Raises:
        ShardError: there are none, or they are of other weights.
    """
    folder = folder_for(run, reader)
    again = f"Run `sae-jax encode {run}`, with --shards for another corpus than the run's own."
    if codes.read_manifest(folder) is None:
        raise ShardError(f"{folder}: has no codes, or not all of them. {again}")
    stored = codes.open_codes(folder)
    if stored.manifest.run_fingerprint != codes.fingerprint(sae):
        raise ShardError(
            f"{folder}: holds the codes of step {stored.manifest.step}; the run is at step "
            f"{sae.step}. {again}"
        )
    return stored


def disk_bytes(sae: Sae, reader: ShardReader) -> int:
    """At most: of a folder in which every row has k latents on, before its parts are joined."""
    near = 8 * sae.n_latents * (N_NEAR + 1)
    return 16 * reader.n_rows * sae.k + near * (_n_parts(reader) + 1)


def _begin(
    sae: Sae, reader: ShardReader, *, out: pathlib.Path, weights: str
) -> Manifest | None:
    """The manifest where all is done; else the arrays that parts are written into are there."""
    manifest = codes.read_manifest(out)
    if manifest is not None and manifest.run_fingerprint == weights:
        return manifest
    if _begun_with(out) != weights:
        (out / codes.MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(out / "parts", ignore_errors=True)
        (out / "parts").mkdir()
        for name, dtype in (("values", np.float32), ("indices", np.int32)):
            shape = reader.n_rows, sae.k
            path = out / f"{name}.npy"
            path.unlink(missing_ok=True)  # a task of other weights may still write into it
            open_memmap(path, mode="w+", dtype=dtype, shape=shape).flush()
        write_atomically(out / "parts" / "run_fingerprint", weights.encode())
    return None


def _begun_with(out: pathlib.Path) -> str:
    """The fingerprint of the weights that parts are there of; empty: of none."""
    path = out / "parts" / "run_fingerprint"
    return path.read_text() if path.exists() else ""


def _n_parts(reader: ShardReader) -> int:
    return -(-reader.n_rows // ROWS_PER_PART)


def _rows_of(part: int, reader: ShardReader) -> range:
    first = part * ROWS_PER_PART
    return range(first, min(first + ROWS_PER_PART, reader.n_rows))


def _part_path(out: pathlib.Path, part: int) -> pathlib.Path:
    """Its near misses; written when its codes are on the disk, so that it also says so."""
    return out / "parts" / f"{part:05d}.npz"


def _encode_parts(
    sae: Sae,
    reader: ShardReader,
    *,
    parts: Sequence[int],
    out: pathlib.Path,
    weights: str,
    progress: Progress,
) -> None:
    if not parts:
        return
    encode, n_rows = _compile(sae)
    arrays = {name: np.load(out / f"{name}.npy", mmap_mode="r+") for name in codes.BY_ROW}
    for part in parts:
        rows, near = _rows_of(part, reader), _no_near(sae.n_latents)
        for start in range(rows.start, rows.stop, n_rows):
            ids = np.arange(start, min(start + n_rows, rows.stop))
            x = np.zeros((n_rows, sae.d_in), reader.dtype)
            x[: len(ids)] = reader.read(ids)
            _check_finite(x, reader=reader, first=start)
            found = jax.device_get(encode(x, len(ids)))
            for name in codes.BY_ROW:
                arrays[name][start : start + len(ids)] = getattr(found, name)[: len(ids)]
            here = Near(found.near_pre_acts, _shifted(found, by=start))
            near = merge_near(near, here)
            progress.add(len(ids))
        for array in arrays.values():
            array.flush()
        reader.forget()
        text = io.BytesIO()
        np.savez(text, pre_acts=near.pre_acts, rows=near.rows)
        with held(out):
            if _begun_with(out) != weights:
                raise ShardError(
                    f"{out}: another task has begun to encode with other weights, as the run "
                    "was trained on meanwhile. Run all tasks of `sae-jax encode` again."
                )
            write_atomically(_part_path(out, part), text.getvalue())


def _check_finite(rows: np.ndarray, *, reader: ShardReader, first: int) -> None:
    finite = np.isfinite(rows.astype(np.float32)).all(axis=1)
    if not finite.all():
        at = reader.locate(first + int(np.argmin(finite)))
        raise ShardError(
            f"{reader.folder}: {at} holds NaN or Inf; expected finite numbers. `sae-jax "
            "check` finds all such rows, and embedding or ingesting again leaves them out."
        )


def _shifted(found: Encoded, *, by: int) -> np.ndarray:
    known = np.isfinite(found.near_pre_acts)
    return np.where(known, found.near_rows + by, -1).astype(np.int32)


def _compile(sae: Sae) -> tuple[Callable[[np.ndarray, int], Encoded], int]:
    """A function of (rows, how many of them are real), and how many rows it takes."""
    devices = jax.local_devices()
    # Not the axis `data` of training, along which the model would split its work itself.
    mesh = jax.make_mesh(
        (len(devices),), ("rows",), axis_types=(AxisType.Auto,), devices=devices
    )
    n_rows = ROWS_PER_CALL * len(devices)
    along = P("rows")
    run = jax.jit(
        jax.shard_map(
            functools.partial(_encode, config=sae.config),
            mesh=mesh,
            in_specs=(P(), along, P()),
            out_specs=(along, along, P(None, "rows"), P(None, "rows")),
            check_vma=False,
        )
    )
    model = jax.device_put(sae.model, NamedSharding(mesh, P()))

    def encode(rows: np.ndarray, n_real: int) -> Encoded:
        with jax.set_mesh(mesh):
            return Encoded(*run(model, rows, np.int32(n_real)))

    return encode, n_rows


def _encode(
    model: Autoencoder,
    rows: Shaped[Array, "rows d_in"],
    n_real: Int[Array, ""],
    *,
    config: SaeConfig,
) -> tuple[Array, ...]:
    """What Encoded holds, of one device's rows."""
    x = rows.astype(jnp.float32)
    first = jax.lax.axis_index("rows") * len(x)
    found = model.encode(x, config)
    pre_acts = model.pre_acts(x, config)
    on = (pre_acts >= found.values[:, -1:]) & (pre_acts > 0)
    real = first + jnp.arange(len(x)) < n_real
    off = jnp.where(on | ~real[:, None], -jnp.inf, pre_acts)
    near_pre_acts, near_rows = jax.lax.top_k(off.T, min(N_NEAR, len(x)))
    return *found, near_pre_acts, near_rows + first


def _no_near(n_latents: int) -> Near:
    shape = n_latents, N_NEAR
    return Near(np.full(shape, -np.inf, np.float32), np.full(shape, -1, np.int32))


def merge_near(one: Near, other: Near) -> Near:
    """The highest of both; of equals the earlier row."""
    pre_acts = np.concatenate([one.pre_acts, other.pre_acts], axis=1)
    rows = np.concatenate([one.rows, other.rows], axis=1)
    best = np.lexsort((rows, -pre_acts), axis=1)[:, :N_NEAR]
    return Near(*(np.take_along_axis(a, best, axis=1) for a in (pre_acts, rows)))


def _finish(
    sae: Sae, reader: ShardReader, *, parts: Sequence[pathlib.Path], out: pathlib.Path,
    weights: str,
) -> Manifest:  # fmt: skip
    """The codes by latent and the near misses of all parts; last, the manifest."""
    near = _no_near(sae.n_latents)
    for path in parts:
        with np.load(path) as found:
            near = merge_near(near, Near(found["pre_acts"], found["rows"]))
    np.save(out / "near_pre_acts.npy", near.pre_acts)
    np.save(out / "near_rows.npy", near.rows)
    by_row = {name: np.load(out / f"{name}.npy", mmap_mode="r") for name in codes.BY_ROW}
    n_on = by_latent.write_by_latent(out, **by_row, n_latents=sae.n_latents)
    manifest = Manifest(
        run_fingerprint=weights,
        step=sae.step,
        data_fingerprint=reader.fingerprint,
        shards=str(reader.folder),
        n_rows=reader.n_rows,
        n_latents=sae.n_latents,
        k=sae.k,
        n_on=n_on,
    )
    codes.write_manifest(manifest, folder=out)
    shutil.rmtree(out / "parts")
    return manifest
