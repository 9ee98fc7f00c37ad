"""How the held-out error falls with the dictionary's size and with k: 12 members.

sae-jax sweep --config=experiments/wordnet_grid.py --config.shards=DATA/wordnet-glosses \
    --workdir=runs/wordnet-grid
"""

import itertools
from collections.abc import Iterator

BASE = "experiments/wordnet.py"


def sweep() -> Iterator[dict[str, object]]:
    """Yields, for each member, the settings in which it differs from BASE."""
    for n_latents, k in itertools.product((1_536, 3_072, 6_144), (16, 32, 64, 128)):
        yield {"sae.n_latents": n_latents, "sae.k": k}
