"""What each latent responds to: the rows on which it is strongest."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sae_jax.data.shards import ShardReader
from sae_jax.notebook import Sae

ROWS_PER_BLOCK = 4_096


class Examples(NamedTuple):
    """Per latent its strongest rows, strongest first; a place left empty has row id −1."""

    values: Float[np.ndarray, "n_latents n_examples"]
    row_ids: Int[np.ndarray, "n_latents n_examples"]
    density: Float[np.ndarray, " n_latents"]  # share of all rows on which the latent is on


def strongest_examples(sae: Sae, reader: ShardReader, *, n_examples: int = 10) -> Examples:
    """One pass over all rows, in memory that does not grow with them."""
    shape = (sae.n_latents, n_examples)
    values, row_ids = np.zeros(shape, np.float32), np.full(shape, -1, np.int64)
    n_on = np.zeros(sae.n_latents, np.int64)
    for first, rows in reader.blocks(n_rows_per_block=ROWS_PER_BLOCK):
        codes = sae.encode(rows)
        on = np.asarray(codes.values) > 0
        latents = np.asarray(codes.indices)[on]
        n_on += np.bincount(latents, minlength=sae.n_latents)
        here = first + np.nonzero(on)[0]
        values, row_ids = _merge(
            values, row_ids, latents=latents, strengths=np.asarray(codes.values)[on], here=here
        )
        reader.forget()
    return Examples(values, row_ids, n_on / reader.n_rows)


def _merge(
    values: Float[np.ndarray, "n_latents n_examples"],
    row_ids: Int[np.ndarray, "n_latents n_examples"],
    *,
    latents: Int[np.ndarray, " n"],
    strengths: Float[np.ndarray, " n"],
    here: Int[np.ndarray, " n"],
) -> tuple[Float[np.ndarray, "n_latents n_examples"], Int[np.ndarray, "n_latents n_examples"]]:
    """The strongest of those kept so far and the new ones; of equals, the earlier row."""
    n_latents, n_examples = values.shape
    all_latents = np.concatenate([np.repeat(np.arange(n_latents), n_examples), latents])
    all_values = np.concatenate([values.reshape(-1), strengths])
    all_rows = np.concatenate([row_ids.reshape(-1), here])
    order = np.lexsort((all_rows, -all_values, all_latents))
    starts = np.searchsorted(all_latents[order], np.arange(n_latents))
    best = order[starts[:, None] + np.arange(n_examples)]  # each has n_examples at least
    return all_values[best], all_rows[best]
