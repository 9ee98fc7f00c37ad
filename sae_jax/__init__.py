"""Top-k sparse autoencoders over dense embeddings: train, read, steer."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Sae", "__version__", "load"]

if TYPE_CHECKING:
    from sae_jax.notebook import Sae, load


def __getattr__(name: str) -> Any:
    """`sae_jax.load` and `sae_jax.Sae`, imported when first used: JAX takes a second."""
    if name in ("load", "Sae"):
        import importlib

        return getattr(importlib.import_module("sae_jax.notebook"), name)
    raise AttributeError(f"module 'sae_jax' has no attribute {name!r}")
