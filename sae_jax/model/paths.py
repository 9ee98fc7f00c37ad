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
# on, where they were 1.3 times faster (experiments/benchmarks/step.py; 2 cores). GPU and
# TPU: not measured; estimated from bytes gathered against FLOP, at k 32 and batch 1,024.
SPARSE_FROM = {"cpu": 512, "gpu": 8_192, "tpu": 65_536}


class Paths(NamedTuple):
    """Resolved: nothing here is "auto"."""

    products: str  # "sparse" or "dense": decode and gradients
    selection: str  # "lax" or "chunks": top-k
    matmul: str  # "float32", "tf32" or "bfloat16": inputs of dense products


def choose(sae: SaeConfig) -> Paths:
    """The ways for this shape on the default backend."""
    products = sae.products
    if products == "auto":
        enough = sae.n_latents >= SPARSE_FROM.get(jax.default_backend(), 8_192)
        products = "sparse" if enough else "dense"
    chosen = selection.choose(sae.selection, n_latents=sae.n_latents, k=sae.k)
    return Paths(products, chosen, sae.matmul)


def describe(sae: SaeConfig) -> str:
    """What was chosen and why, for the plan."""
    paths, backend = choose(sae), jax.default_backend()
    least = SPARSE_FROM.get(backend, 8_192)
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
