"""Runs a function on each device's part of its arrays, where a mesh is set.

A mesh has the axes "data" (the batch is split) and "latent" (the dictionary is split).
XLA partitions the plain code around these functions by itself; it must not choose for a
top-k or for a product with sparse codes, which it would gather whole.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import PartitionSpec as P
from jaxtyping import Array

EXAMPLES = P("data")  # arrays with one row an example: the batch, codes
LATENTS = P("latent")  # arrays with one row a latent
GRID = P("data", "latent")  # one row an example, one column a latent
WHOLE = P()


def split() -> bool:
    """Whether a mesh of more than one device is set (`jax.set_mesh`)."""
    mesh = jax.sharding.get_abstract_mesh()
    return not mesh.empty and mesh.size > 1 and "data" in mesh.axis_names


def on_parts(local: Callable[..., Any], *arrays: Any, specs: tuple[P, ...], out: Any) -> Any:
    """local(*arrays) on every device's parts. Without a mesh there is one part."""
    if not split():
        return local(*arrays)
    return jax.shard_map(local, in_specs=specs, out_specs=out, check_vma=False)(*arrays)


def _inside(axis: str) -> bool:
    return axis in jax.sharding.get_abstract_mesh().manual_axes


def total(array: Array, axis: str) -> Array:
    """The sum over the devices along this axis."""
    return jax.lax.psum(array, axis) if _inside(axis) else array


def side_by_side(array: Array, axis: str) -> Array:
    """The columns of all devices along this axis."""
    if not _inside(axis):
        return array
    return jax.lax.all_gather(array, axis, axis=1, tiled=True)


def place(axis: str) -> Array | int:
    """Which part along this axis is this device's: 0, 1, …"""
    return jax.lax.axis_index(axis) if _inside(axis) else 0


def n_parts(axis: str) -> int:
    return jax.lax.axis_size(axis) if _inside(axis) else 1
