"""The architectures by name. A new one is a file beside this and a line here."""

from sae_jax.config import ARCHITECTURES
from sae_jax.model.protocol import Autoencoder
from sae_jax.model.topk import TopKAutoencoder

_BY_NAME: dict[str, type[Autoencoder]] = {"topk": TopKAutoencoder}
assert set(_BY_NAME) == set(ARCHITECTURES), "config.ARCHITECTURES and the registry differ"


def architecture(name: str) -> type[Autoencoder]:
    """The class of a validated `sae.architecture`."""
    return _BY_NAME[name]
