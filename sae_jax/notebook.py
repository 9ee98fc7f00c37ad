"""Opens a trained autoencoder in a notebook, on one CPU, whatever trained it."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from sae_jax.config import SaeConfig
from sae_jax.data.shards import ShardReader, open_shards
from sae_jax.errors import CheckpointError, UsageError
from sae_jax.model.protocol import Autoencoder
from sae_jax.model.registry import architecture
from sae_jax.model.sparse import Codes
from sae_jax.train import checkpoint, run_folder

ROWS_PER_CALL = 4_096


class Sae:
    """A trained autoencoder: `codes = sae.encode(x)`, `x_hat = sae.decode(codes)`.

    W_enc [d_in, n_latents], b_enc [n_latents], W_dec [n_latents, d_in] and b_dec [d_in]
    are its parameters; `step` says how long it was trained; `model` is the pytree itself.
    """

    def __init__(self, model: Autoencoder, *, config: SaeConfig, step: int) -> None:
        self.config, self.step, self.model = config, step, model
        self.d_in, self.n_latents, self.k = config.d_in, config.n_latents, config.k
        self.W_enc: Float[Array, "d_in n_latents"] = model.W_enc
        self.b_enc: Float[Array, " n_latents"] = model.b_enc[...]
        self.W_dec: Float[Array, "n_latents d_in"] = model.W_dec[...]
        self.b_dec: Float[Array, " d_in"] = model.b_dec[...]
        self._encode = jax.jit(functools.partial(type(model).encode, config=config))
        self._decode = jax.jit(functools.partial(type(model).decode, config=config))

    def encode(self, x: Shaped[np.ndarray | Array, "*rows d_in"]) -> Codes:
        """The k strongest latents of each row, strongest first.

        x holds embeddings from the encoder and with the normalisation that the SAE was
        trained on, `[d_in]` or `[rows, d_in]`, of any float type. Values and indices come
        as `[k]` or `[rows, k]`, float32 and int32; a value of 0 means that the latent is off.

        Raises:
            UsageError: x has another width, is no float array, or holds NaN or Inf.
        """
        rows = np.asarray(x)
        if rows.ndim not in (1, 2) or rows.shape[-1] != self.d_in:
            raise UsageError(
                f"x has shape {list(rows.shape)}; expected [rows, {self.d_in}] or "
                f"[{self.d_in}], embeddings from the encoder that this SAE was trained on."
            )
        if not jnp.issubdtype(rows.dtype, jnp.floating):
            raise UsageError(f"x has type {rows.dtype}; expected floats, such as float32.")
        rows = rows.astype(np.float32)
        if not np.isfinite(rows).all():
            row = int(np.argmin(np.isfinite(rows.reshape(-1, self.d_in)).all(axis=1)))
            raise UsageError(f"x holds NaN or Inf in row {row}; expected finite numbers.")
        parts = [
            self._encode(self.model, jnp.asarray(part))
            for part in _parts(rows.reshape(-1, self.d_in))
        ]
        return Codes(
            *(
                jnp.concatenate(field).reshape(*rows.shape[:-1], self.k)
                for field in zip(*parts, strict=True)
            )
        )

    def decode(self, codes: Codes) -> Float[Array, "*rows d_in"]:
        """The rows that these codes stand for: Σ_j values_j W_dec[indices_j] + b_dec.

        The codes may have been edited, and may hold any number of latents per row.

        Raises:
            UsageError: values and indices differ in shape, or an index is no latent.
        """
        values, indices = np.asarray(codes[0], np.float32), np.asarray(codes[1])
        if values.shape != indices.shape or values.ndim not in (1, 2):
            raise UsageError(
                f"values have shape {list(values.shape)} and indices {list(indices.shape)}; "
                "expected the same, [k] or [rows, k], as `encode` gives."
            )
        if indices.size and (indices.min() < 0 or indices.max() >= self.n_latents):
            raise UsageError(
                f"indices run from {indices.min()} to {indices.max()}; expected 0 to "
                f"{self.n_latents - 1}. The codes are of another SAE, or were mis-edited."
            )
        flat = values.reshape(-1, values.shape[-1]), indices.reshape(-1, values.shape[-1])
        parts = [
            self._decode(self.model, Codes(jnp.asarray(v), jnp.asarray(i, jnp.int32)))
            for v, i in zip(_parts(flat[0]), _parts(flat[1]), strict=True)
        ]
        return jnp.concatenate(parts).reshape(*values.shape[:-1], self.d_in)

    def __repr__(self) -> str:
        return (
            f"Sae({self.config.architecture}, d_in={self.d_in}, n_latents={self.n_latents}, "
            f"k={self.k}, step={self.step})"
        )


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    """At most ROWS_PER_CALL rows each, so that memory is bounded; one part at least."""
    return [rows[i : i + ROWS_PER_CALL] for i in range(0, max(len(rows), 1), ROWS_PER_CALL)]


def open_corpus(
    run: str | pathlib.Path, sae: Sae, *, shards: str | pathlib.Path = ""
) -> ShardReader:
    """The embeddings that the run was trained on, or others of the same encoder.

    Raises:
        UsageError: their rows have another width than the run's.
        ShardError: the folder is absent or damaged.
    """
    reader = open_shards(shards or run_folder.read_config(pathlib.Path(run)).shards)
    if reader.d_in != sae.d_in:
        raise UsageError(
            f"{reader.folder}: its rows are {reader.d_in} wide; {run} was trained on rows of "
            f"{sae.d_in}. Give the embeddings of the same encoder with --shards."
        )
    return reader


def load(run: str | pathlib.Path, *, step: int | None = None) -> Sae:
    """The autoencoder of a run folder, from its last checkpoint or the one of `step`.

    Raises:
        CheckpointError: the folder is not a run, has no such checkpoint, or it is damaged.
    """
    folder = pathlib.Path(run).absolute()
    config = run_folder.read_config(folder)
    found = run_folder.steps(folder)
    if not found or (step is not None and step not in found):
        raise CheckpointError(
            f"{folder}: has checkpoints of the steps {found}; expected "
            f"{'at least one' if step is None else step}. Train it first with `sae-jax train`, "
            "or choose another step."
        )
    step = found[-1] if step is None else step
    item = "ema" if config.optimizer.ema_decay else "model"
    abstract = jax.eval_shape(
        lambda: architecture(config.sae.architecture).create(
            config.sae, seed=0, rows=np.zeros((1, config.sae.d_in), np.float32)
        )
    )
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    wanted = {
        f"{item}.{name}": jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device)
        for name, leaf in checkpoint.named_leaves(abstract).items()
    }
    arrays, _ = checkpoint.read_arrays(folder / "checkpoints" / str(step), wanted)
    leaves = [arrays[name] for name in wanted]
    model = jax.tree.unflatten(jax.tree.structure(abstract), leaves)
    return Sae(model, config=config.sae, step=step)
