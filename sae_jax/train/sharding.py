"""Where arrays live: one mesh of devices, `data` × `latent`, and one table by name.

The batch is split over `data`, the dictionary over `latent`. One device is a mesh of 1 × 1,
so that there is one code path. The layout shapes no result: it is no part of the config.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array

from sae_jax.config import Config
from sae_jax.errors import UsageError
from sae_jax.train.checkpoint import named_leaves

Tree = TypeVar("Tree")
ROWS_SPEC = P(None, "data", None)  # [steps, batch, d_in]
# By the last part of an array's name, so that averages and moments follow their parameter.
STATE_SPECS = {
    "W_enc_rows": P("latent", None),
    "b_enc": P("latent"),
    "W_dec": P("latent", None),
    "b_dec": P(),
    "examples_since_fired": P("latent"),
    "step": P(),
    "data_variance": P(),
}


def make_mesh(*, latent_shards: int, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """All devices of all processes: `latent_shards` of them hold one dictionary together.

    Raises:
        UsageError: the devices cannot be divided so.
    """
    devices = jax.devices() if devices is None else devices
    n_devices = len(devices)
    if latent_shards < 1 or n_devices % latent_shards:
        divisors = [str(n) for n in range(1, n_devices + 1) if n_devices % n == 0]
        raise UsageError(
            f"--latent_shards={latent_shards}: found {n_devices} devices; expected a number "
            f"that divides them. Choose one of {', '.join(divisors)}."
        )
    return jax.make_mesh(
        (n_devices // latent_shards, latent_shards),
        ("data", "latent"),
        axis_types=(AxisType.Auto,) * 2,
        devices=devices,
    )


def one_device() -> Mesh:
    """A mesh for this process alone, of its first device."""
    return make_mesh(latent_shards=1, devices=jax.local_devices()[:1])


def check_layout(config: Config, mesh: Mesh) -> None:
    """Raises UsageError where this config cannot be divided over this mesh."""
    n_data, n_latent = mesh.shape["data"], mesh.shape["latent"]
    sae = config.sae
    every = sae.auxk_every if sae.auxk_coefficient else 1
    if config.batch_size % (n_data * every):
        multiple = n_data * every
        of_auxk = f", and AuxK takes one of {every} examples" if every > 1 else ""
        raise UsageError(
            f"batch_size={config.batch_size}: the mesh splits it over {n_data} "
            f"devices{of_auxk}; expected a multiple of {multiple}. Set --config.batch_size="
            f"{-(-config.batch_size // multiple) * multiple}, or another --latent_shards."
        )
    if sae.n_latents % n_latent:
        raise UsageError(
            f"sae.n_latents={sae.n_latents}: --latent_shards={n_latent} splits them; expected "
            f"a multiple of {n_latent}. Set --config.sae.n_latents="
            f"{-(-sae.n_latents // n_latent) * n_latent}, or another --latent_shards."
        )
    if sae.k > sae.n_latents // n_latent:
        raise UsageError(
            f"sae.k={sae.k}: --latent_shards={n_latent} leaves {sae.n_latents // n_latent} of "
            f"sae.n_latents={sae.n_latents} on each device, of which each offers its own k "
            "strongest; expected at least k. Lower sae.k, or --latent_shards."
        )


def spec_of(name: str) -> P:
    """How the array of this name (of `checkpoint.named_leaves`) is split over the mesh.

    Raises:
        ValueError: nobody has said; replicating it silently could fill every device.
    """
    last = name.rsplit(".", 1)[-1]
    if last not in STATE_SPECS:
        raise ValueError(
            f"{name}: how it is split over devices is not known; expected one of "
            f"{', '.join(STATE_SPECS)}. Add it to STATE_SPECS in {__name__}."
        )
    return STATE_SPECS[last]


def state_shardings(mesh: Mesh, state: Tree) -> Tree:
    """A sharding for each array of a state, real or abstract, in the same structure."""
    shardings = [NamedSharding(mesh, spec_of(name)) for name in named_leaves(state)]
    return jax.tree.unflatten(jax.tree.structure(state), shardings)


def created(make: Callable[[], Tree], *, mesh: Mesh) -> Tree:
    """What `make` returns, computed in parts: no device ever holds a whole dictionary."""
    with jax.set_mesh(mesh):
        return jax.jit(make, out_shardings=state_shardings(mesh, jax.eval_shape(make)))()


def rows_here(mesh: Mesh, *, n_rows: int) -> slice:
    """The rows of each batch that this process's devices work on.

    Processes with the same place along `data` read the same rows.
    """
    ours = np.vectorize(lambda device: device.process_index)(mesh.devices)
    places = np.flatnonzero((ours == jax.process_index()).any(axis=1))
    per_place = n_rows // mesh.shape["data"]
    return slice(int(places[0]) * per_place, (int(places[-1]) + 1) * per_place)


def put(host: np.ndarray, *, mesh: Mesh, spec: P, n_rows: int) -> Array:
    """The global array of n_rows along `data`, of which `host` is what `rows_here` says."""
    axis = tuple(spec).index("data")
    first = rows_here(mesh, n_rows=n_rows).start

    def part(index: tuple[slice, ...] | None) -> np.ndarray:
        assert index is not None
        start, stop, _ = index[axis].indices(n_rows)
        return host[(slice(None),) * axis + (slice(start - first, stop - first),)]

    shape = (*host.shape[:axis], n_rows, *host.shape[axis + 1 :])
    return jax.make_array_from_callback(shape, NamedSharding(mesh, spec), part)


def describe(mesh: Mesh) -> str:
    """The devices as a person reads them: 8 × TPU v5: data 4 × latent 2; 2 processes."""
    kind = f"{mesh.size} × {mesh.devices.flat[0].device_kind}"
    if mesh.size == 1:
        return kind
    n_processes = jax.process_count()
    processes = f"; {n_processes} processes" if n_processes > 1 else ""
    return f"{kind}: data {mesh.shape['data']} × latent {mesh.shape['latent']}{processes}"
