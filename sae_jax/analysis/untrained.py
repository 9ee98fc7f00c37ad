"""The same autoencoder before training: what its shape alone achieves."""

import numpy as np

from sae_jax.data.shards import ShardReader
from sae_jax.model.registry import architecture
from sae_jax.notebook import Sae
from sae_jax.train.statistics import spread_positions

INIT_ROWS = 8_192  # for the geometric median that is taken off


def untrained(sae: Sae, reader: ShardReader, *, seed: int) -> Sae:
    """Random unit decoder rows, each latent's encoder the same direction; as many, same k."""
    rows = reader.read(reader.train_row_ids(spread_positions(reader.n_train, most=INIT_ROWS)))
    create = architecture(sae.config.architecture).create
    model = create(sae.config, seed=seed, rows=rows.astype(np.float32))
    return Sae(model, config=sae.config, step=0)
