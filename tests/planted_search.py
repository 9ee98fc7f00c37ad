"""A corpus whose concepts are directions that latents have, and what search needs to see it."""

import dataclasses
import json
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from planted_codes import stored_of
from scipy import sparse

from sae_jax.analysis.concepts import Concepts, held_out_mask
from sae_jax.config import SaeConfig
from sae_jax.data.shards import ShardReader, open_shards
from sae_jax.model.topk import TopKAutoencoder
from sae_jax.notebook import Sae
from sae_jax.search.dictionary import Dictionary
from sae_jax.search.index import ExactIndex, open_exact

N_ROWS, N_CONCEPTS, D_IN = 2_000, 16, 32


class Planted(NamedTuple):
    reader: ShardReader
    index: ExactIndex
    dictionary: Dictionary
    concepts: Concepts
    held_out: np.ndarray
    rows: np.ndarray


def make(folder) -> Planted:
    """A row is the sum of its three concepts' directions, and noise.

    A row's text names its concepts. Latent i < 16 is concept i; the others are on for rows at
    random, along directions of their own.
    """
    rng = np.random.default_rng(2)
    W_dec = np.linalg.qr(rng.normal(size=(D_IN, D_IN)))[0].astype(np.float32)
    which = rng.permuted(np.tile(np.arange(N_CONCEPTS), (N_ROWS, 1)), axis=1)[:, :3]
    belongs = np.zeros((N_ROWS, N_CONCEPTS), bool)
    np.put_along_axis(belongs, which, True, axis=1)
    values = np.zeros((N_ROWS, D_IN))
    values[:, :N_CONCEPTS] = belongs * rng.uniform(0.5, 1.5, size=belongs.shape)
    values[:, N_CONCEPTS:] = (rng.random((N_ROWS, N_CONCEPTS)) < 0.1) * 0.2
    rows = (values @ W_dec + 0.02 * rng.normal(size=(N_ROWS, D_IN))).astype(np.float32)
    folder.mkdir()
    np.save(folder / "a.npy", rows)
    texts = (
        json.dumps({"text": f"query {row} {' '.join(f'c{i}' for i in sorted(own))}"})
        for row, own in enumerate(which.tolist())
    )
    (folder / "texts.jsonl").write_text("\n".join(texts) + "\n")
    reader = open_shards(folder)
    settings = SaeConfig(d_in=D_IN, n_latents=D_IN, k=4, products="dense")
    model = TopKAutoencoder(
        W_enc=jnp.asarray(W_dec.T), b_enc=jnp.zeros(D_IN), W_dec=jnp.asarray(W_dec),
        b_dec=jnp.zeros(D_IN),
    )  # fmt: skip
    names = [f"c{i}" for i in range(N_CONCEPTS)]
    none_above = sparse.csr_array((N_CONCEPTS, N_CONCEPTS), dtype=np.int32)
    return Planted(
        reader,
        open_exact(reader, out=folder.parent / "index", say=lambda line: None),
        Dictionary(sae=Sae(model, config=settings, step=0), stored=by_row(values, k=19)),
        Concepts(names, names, sparse.csr_array(belongs.astype(np.int32)), none_above),
        held_out_mask(reader),
        rows,
    )


def by_row(values: np.ndarray, *, k: int):
    """Stored codes that hold the values row by row, too."""
    indices = np.argsort(-values, axis=1, kind="stable")[:, :k]
    kept = np.take_along_axis(values, indices, axis=1).astype(np.float32)
    return dataclasses.replace(stored_of(values), values=kept, indices=indices.astype(np.int32))
