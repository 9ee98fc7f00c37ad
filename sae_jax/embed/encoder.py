"""What turns texts into rows: the one protocol that every encoder follows."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float


@runtime_checkable
class Encoder(Protocol):
    """Texts in, one row each out, in the order given."""

    @property
    def name(self) -> str:
        """Names the model and whatever else decides a vector; kept in the manifest."""

    @property
    def d_in(self) -> int:
        """Width of a row."""

    @property
    def normalisation(self) -> str:
        """What was done to the rows, such as "L2"."""

    def plan(self, sample: Sequence[str], *, n_texts: int) -> str:
        """What the work takes, in words, judged by a sample of the texts."""

    def encode(self, texts: Sequence[str]) -> Float[np.ndarray, "n_texts d_in"]:
        """Float32 rows; raises EncoderError rather than invent one."""
