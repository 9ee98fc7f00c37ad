"""What a search asks for, read from its address."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool
from starlette.requests import Request

from sae_jax.errors import UsageError
from sae_jax.explorer.opened import Opened
from sae_jax.explorer.parameters import Parameters, place
from sae_jax.search.query import Query
from sae_jax.search.session import named_mode
from sae_jax.search.steer import Mode

FROM = ("q", "row", "feature", "family")  # what is searched from
PARAMETERS = (
    *FROM,
    "w",
    "mode",
    "k",
    "where",
    "holding",
    "run",
)  # run: of a copied link, read by the page
MOST_HITS = 100
MOST_SLIDERS = 64


class Asked(NamedTuple):
    """A search as an address says it."""

    query: Query
    sliders: dict[int, float]
    families: dict[int, float]
    mode: Mode
    k: int
    among: Bool[np.ndarray, " n_rows"] | None  # rows that filters leave; None: all


def read(opened: Opened, request: Request, *more: str, most: int = MOST_HITS) -> Asked:
    """Raises UsageError on parameters that do not make one search."""
    parameters = Parameters(request, *PARAMETERS, *more)
    mode = named_mode(parameters.text("mode") or Mode.ADJUST)
    k = parameters.whole("k", default=10, low=1, high=most)
    sliders, families = _sliders(opened, parameters)
    among = opened.filters.mask(
        where=parameters.text("where"), holding=parameters.text("holding")
    )
    return Asked(_query(opened, parameters), sliders, families, mode, k, among)


def _sliders(
    opened: Opened, parameters: Parameters
) -> tuple[dict[int, float], dict[int, float]]:
    """Of w=417:140,f12:80 the latents and the families."""
    pairs = parameters.pairs("w")
    if len(pairs) > MOST_SLIDERS:
        raise UsageError(f"w sets {len(pairs)} sliders; expected {MOST_SLIDERS} at most.")
    sliders, families = {}, {}
    for name, percent in pairs.items():
        if name.startswith("f"):
            n = opened.search.families.n_families
            families[place(name[1:], of="family", n=n)] = percent
        else:
            sliders[opened.latent(name)] = percent
    return sliders, families


def _query(opened: Opened, parameters: Parameters) -> Query:
    given = [name for name in FROM if name in parameters]
    if len(given) != 1:
        raise UsageError(
            f"found {' and '.join(given) or 'nothing'} to search from; expected one of "
            f"{', '.join(FROM)}."
        )
    (kind,), search = given, opened.search
    text = parameters.text(kind)
    if kind == "q":
        return opened.text(text)
    if kind == "row":
        row = opened.row(text)
        return opened.queries.of(("row", row), lambda: search.row(row))
    if kind == "feature":
        return search.latent(opened.latent(text))
    return search.family(place(text, of="family", n=search.families.n_families))
