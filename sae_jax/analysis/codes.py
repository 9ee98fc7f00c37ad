"""The codes of a corpus on disk, row by row and latent by latent, all memory-mapped.

A folder of .npy files beside `manifest.json`, which is written last:
values, indices [n_rows, k]: each row's latents, strongest first; a value of 0 is off.
latent_starts [n_latents + 1], latent_rows, latent_values [n_on]: the same entries by latent,
  strongest first (of equals the earlier row), without those that are off.
near_rows, near_pre_acts [n_latents, N_NEAR]: rows on which a latent is off though its
  pre-activation is highest, highest first: what it nearly responds to.
"""

import dataclasses
import hashlib
import json
import pathlib
from typing import Any, get_type_hints

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy import sparse  # type: ignore[import-untyped]

from sae_jax.data.manifest import write_atomically
from sae_jax.errors import ShardError
from sae_jax.notebook import Sae

FORMAT = 1
N_NEAR = 48  # near misses kept of each latent
MANIFEST = "manifest.json"
BY_ROW = ("values", "indices")
BY_LATENT = ("latent_starts", "latent_rows", "latent_values")
NEAR = ("near_rows", "near_pre_acts")
FINGERPRINTS = ("run_fingerprint", "data_fingerprint")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """Which run's codes of which corpus these are."""

    run_fingerprint: str  # of the weights
    step: int  # of the checkpoint
    data_fingerprint: str
    shards: str  # where the corpus lay; it may have moved
    n_rows: int
    n_latents: int
    k: int
    n_on: int  # entries that are not off
    format: int = FORMAT

    @property
    def fingerprints(self) -> dict[str, str]:
        """What a file that is made of these codes says of them."""
        return {name: getattr(self, name) for name in FINGERPRINTS}

    def to_json(self) -> bytes:
        return (json.dumps(dataclasses.asdict(self), indent=2) + "\n").encode()


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class StoredCodes:
    """An open folder of codes. Reading one latent or one row touches its entries alone."""

    folder: pathlib.Path
    manifest: Manifest
    values: Float[np.ndarray, "n_rows k"]
    indices: Int[np.ndarray, "n_rows k"]
    latent_starts: Int[np.ndarray, " n_latents_and_one"]
    latent_rows: Int[np.ndarray, " n_on"]
    latent_values: Float[np.ndarray, " n_on"]
    near_rows: Int[np.ndarray, "n_latents n_near"]
    near_pre_acts: Float[np.ndarray, "n_latents n_near"]

    @property
    def n_on(self) -> Int[np.ndarray, " n_latents"]:
        """On how many rows each latent is on."""
        return np.diff(self.latent_starts)

    @property
    def density(self) -> Float[np.ndarray, " n_latents"]:
        """On what share of the rows each latent is on."""
        return self.n_on / self.manifest.n_rows

    def rows_of(self, latent: int) -> Int[np.ndarray, " n"]:
        """The rows on which it is on, strongest first."""
        return self.latent_rows[self._span(latent)]

    def values_of(self, latent: int) -> Float[np.ndarray, " n"]:
        """Its values on those rows."""
        return self.latent_values[self._span(latent)]

    def matrix(
        self,
        entries: Shaped[np.ndarray, " n_on"],
        *,
        rows: Int[np.ndarray, " n_on"] | None = None,
    ) -> sparse.csc_array:
        """[n_rows, n_latents] with these for latent_values, and other rows where given."""
        places = self.latent_rows if rows is None else rows
        shape = self.manifest.n_rows, self.manifest.n_latents
        return sparse.csc_array((entries, places, self.latent_starts), shape=shape)

    def totals(self, entries: Shaped[np.ndarray, " n_on"]) -> Float[np.ndarray, " n_latents"]:
        """The sum of these for latent_values, by latent."""
        n_latents = self.manifest.n_latents
        of = np.repeat(np.arange(n_latents), self.n_on)
        # Of no entries at all NumPy makes whole numbers.
        return np.bincount(of, entries, minlength=n_latents).astype(np.float64)

    def _span(self, latent: int) -> slice:
        return slice(int(self.latent_starts[latent]), int(self.latent_starts[latent + 1]))


def fingerprint(sae: Sae) -> str:
    """Of the weights: two autoencoders with the same one give the same codes."""
    digest = hashlib.sha256()
    for array in (sae.W_enc, sae.b_enc, sae.W_dec, sae.b_dec):
        digest.update(np.asarray(array).tobytes())
    digest.update(str(sae.k).encode())
    return digest.hexdigest()


def shapes(manifest: Manifest) -> dict[str, tuple[tuple[int, ...], type]]:
    """Of each array its shape and type."""
    by_row = manifest.n_rows, manifest.k
    near = manifest.n_latents, N_NEAR
    return {
        "values": (by_row, np.float32),
        "indices": (by_row, np.int32),
        "latent_starts": ((manifest.n_latents + 1,), np.int64),
        "latent_rows": ((manifest.n_on,), np.int32),
        "latent_values": ((manifest.n_on,), np.float32),
        "near_rows": (near, np.int32),
        "near_pre_acts": (near, np.float32),
    }


def read_manifest(folder: pathlib.Path) -> Manifest | None:
    """None where there is none, so that the codes are not, or not all, there.

    Raises:
        ShardError: it cannot be read.
    """
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        fields: dict[str, Any] = json.loads(path.read_text())
        if fields.get("format") != FORMAT:
            raise ValueError(f"has format {fields.get('format')}; expected {FORMAT}")
        for name, kind in get_type_hints(Manifest).items():
            if not isinstance(fields.get(name), kind):
                raise ValueError(f"{name} is {fields.get(name)!r}")
        return Manifest(**fields)
    except (ValueError, TypeError, AttributeError) as error:
        raise ShardError(
            f"{path}: cannot be read ({error}). Remove {folder} and run `sae-jax encode` again."
        ) from error


def write_manifest(manifest: Manifest, *, folder: pathlib.Path) -> None:
    write_atomically(folder / MANIFEST, manifest.to_json())


def open_codes(folder: str | pathlib.Path) -> StoredCodes:
    """Maps the arrays of a folder that `sae-jax encode` has completed.

    Raises:
        ShardError: it is not complete, or an array is not what the manifest says.
    """
    folder = pathlib.Path(folder)
    manifest = read_manifest(folder)
    if manifest is None:
        raise ShardError(
            f"{folder}: has no {MANIFEST}, so its codes are not complete. Run `sae-jax encode` "
            "for this run; it goes on where it was."
        )
    arrays = {
        name: _map(folder / f"{name}.npy", shape=shape, dtype=dtype)
        for name, (shape, dtype) in shapes(manifest).items()
    }
    return StoredCodes(folder=folder, manifest=manifest, **arrays)


def _map(path: pathlib.Path, *, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r" if 0 not in shape else None)
    except (OSError, ValueError) as error:
        raise ShardError(
            f"{path}: cannot be opened ({error}). Remove {path.parent} and run `sae-jax "
            "encode` again."
        ) from error
    if array.shape != shape or array.dtype != dtype:
        raise ShardError(
            f"{path}: holds {array.dtype} {list(array.shape)}; the manifest says "
            f"{np.dtype(dtype)} {list(shape)}. Remove {path.parent} and run `sae-jax encode` "
            "again."
        )
    return array
