"""Which of several equal ways a step is computed: by a small table, or as forced.

All of them give the values and gradients of the dense float32 step (tests/model): the
choice is of speed alone, except `matmul`, which trades precision for it and is therefore
never chosen automatically.
"""

from typing import NamedTuple

import jax

from sae_jax.config import SaeConfig
from sae_jax.model import selection

# From so many latents on sparse products are faster than dense ones. CPU: measured from 512
# on (2 cores, d_in 384, k 32, batch 1,024; ms a step): 512 19 against 25, 1,024 27 and 47,
# 2,048 36 and 76, 6,144 68 and 187, 24,576 200 and 774. GPU and TPU: not measured; estimated
# from bytes gathered against FLOP, at k 32 and batch 1,024.
SPARSE_FROM = {"cpu": 512, "gpu": 8_192, "tpu": 65_536}


class Paths(NamedTuple):
    """Resolved: nothing here is "auto"."""

    products: str  # "sparse" or "dense": decode and gradients
    selection: str  # "lax" or "chunks": top-k
    matmul: str  # "float32", "tf32" or "bfloat16": inputs of dense products


def _sparse_from() -> int:
    return SPARSE_FROM.get(jax.default_backend(), SPARSE_FROM["gpu"])


def choose(sae: SaeConfig) -> Paths:
    """The ways for this shape on the default backend."""
    products = sae.products
    if products == "auto":
        products = "sparse" if sae.n_latents >= _sparse_from() else "dense"
    chosen = selection.choose(sae.selection, n_latents=sae.n_latents, k=sae.k)
    return Paths(products, chosen, sae.matmul)


def describe(sae: SaeConfig) -> str:
    """What was chosen and why, for the plan."""
    paths, backend = choose(sae), jax.default_backend()
    least = _sparse_from()
    products = (
        f"{backend}: from {least:,} latents"
        if paths.products == "sparse"
        else (f"{backend}: below {least:,} latents")
    )
    width = f"{backend}: {sae.n_latents:,} latents"
    return (
        f"{paths.products} products ({products if sae.products == 'auto' else 'as set'}), "
        f"{paths.selection} top-k ({width if sae.selection == 'auto' else 'as set'}), "
        f"{paths.matmul} matmuls"
    )
