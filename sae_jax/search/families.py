"""The families of a run as sliders: one value stands for all members.

The value of a family is the sum of its members' values; its maximum is the highest sum in
one row of the corpus. All members at their own maximum at once would be another question:
measured on WordNet, such a query has a mean cosine of .52 to the one it came from for a family
of 8 members, .41 for 13, .19 for 46 and .08 for 109. At 80 % of the family's own maximum it is
.92 to .99 in families of 10 to 835.
"""

import functools
import json
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sae_jax.analysis.codes import StoredCodes
from sae_jax.errors import ShardError, UsageError
from sae_jax.search.dictionary import Dictionary


class Family(NamedTuple):
    """A family by its place in the file, the largest being 0."""

    number: int
    members: list[int]  # its parent first
    highest: float  # sum of its members' values in one row


class FamilyFile:
    """The families that `sae-jax families` has found of these codes."""

    def __init__(self, run: pathlib.Path, stored: StoredCodes) -> None:
        self.stored = stored
        self.path = run / "families" / f"{stored.folder.name}-ours.json"
        self._run = run

    @property
    def n_families(self) -> int:
        """Raises ShardError where there are none of these codes."""
        return len(self._families)

    def family(self, number: int) -> Family:
        """Raises ShardError where there are none of these codes, UsageError on no such."""
        families = self._families
        if not 0 <= number < len(families):
            raise UsageError(
                f"there is no family {number}; {self.path} has {len(families)}, from 0, the "
                "largest."
            )
        members = [families[number]["parent"], *families[number]["children"]]
        return Family(number, members, highest_together(self.stored, members))

    @property
    def _families(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.made["families"]
        return found

    @functools.cached_property
    def made(self) -> dict[str, Any]:
        """All that the file says. Raises ShardError where there is none of these codes."""
        again = f"Run `sae-jax families {self._run}`, with the same --shards."
        if not self.path.exists():
            raise ShardError(f"{self.path}: is not there, so no family is known. {again}")
        try:
            made: dict[str, Any] = json.loads(self.path.read_bytes())
            whole = isinstance(made["families"], list) and made["run_fingerprint"]
        except (ValueError, LookupError, TypeError) as error:
            raise ShardError(f"{self.path}: is damaged ({error}). {again}") from error
        manifest = self.stored.manifest
        if whole != manifest.run_fingerprint:
            raise ShardError(f"{self.path}: was made of other weights of this run. {again}")
        return made


class Sums(NamedTuple):
    """Rows on which a family is on at all, and the sum of its members' values there."""

    rows: Int[np.ndarray, " n"]
    sums: Float[np.ndarray, " n"]


def highest_together(stored: StoredCodes, members: list[int]) -> float:
    """The highest sum of their values in one row."""
    return float(sums(stored, members).sums.max(initial=0.0))


def sums(stored: StoredCodes, members: list[int]) -> Sums:
    # Plain views of the mapped files: a slice of np.memmap takes ten times as long.
    all_rows, all_values = np.asarray(stored.latent_rows), np.asarray(stored.latent_values)
    starts = stored.latent_starts
    spans = [slice(int(starts[latent]), int(starts[latent + 1])) for latent in members]
    rows = np.concatenate([all_rows[span] for span in spans])
    values = np.concatenate([all_values[span] for span in spans])
    found = np.bincount(rows, weights=values, minlength=1)
    on = np.flatnonzero(found)
    return Sums(on, found[on])


def values_of_members(
    family: Family, percent: float, *, natural: Mapping[int, float], dictionary: Dictionary
) -> dict[int, float]:
    """Its members' values where the family is at this percentage of its maximum.

    Above the query's own value each member rises by the same percentage of its own maximum.
    Below it the members that are on are lowered in proportion, to nothing at 0; below 0 each
    member gets the same negative percentage of its own maximum.
    """
    own = {latent: natural.get(latent, 0.0) for latent in family.members}
    here, wanted = sum(own.values()), percent / 100 * family.highest
    highest = dictionary.highest[family.members].astype(float)
    shares = dict(zip(family.members, (highest / highest.sum()).tolist(), strict=True))
    if wanted >= here:
        return {latent: own[latent] + (wanted - here) * shares[latent] for latent in own}
    if wanted >= 0:
        return {latent: own[latent] * wanted / here for latent in own}
    return {latent: wanted * shares[latent] for latent in own}
