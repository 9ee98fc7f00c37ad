"""Dense products at the precision that was asked for, on every backend.

JAX by default multiplies float32 at less than float32: bfloat16 on TPUs, TF32 on GPUs.
Here that is a setting, `sae.matmul`. Sums are always float32.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array


def product(a: Array, b: Array, *, matmul: str) -> Array:
    """a @ b for matrices. "tf32" where there is no such unit rounds as one does, unhurried."""
    dot = functools.partial(jnp.matmul, preferred_element_type=jnp.float32)
    if matmul == "bfloat16":
        return dot(a.astype(jnp.bfloat16), b.astype(jnp.bfloat16))
    if matmul == "tf32" and jax.default_backend() == "gpu":
        return dot(a, b, precision=lax.DotAlgorithmPreset.TF32_TF32_F32)
    if matmul == "tf32":
        a, b = (lax.reduce_precision(m, exponent_bits=8, mantissa_bits=10) for m in (a, b))
    return dot(a, b, precision=lax.Precision.HIGHEST)
