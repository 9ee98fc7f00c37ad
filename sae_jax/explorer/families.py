"""Families of features: their list, and of one its tree, its rows and who is on with whom."""

import math
from typing import Any

import numpy as np
from starlette.requests import Request

from sae_jax.analysis.families import LEAST_MEMBERS, LEAST_RATIO, LEAST_SHARE
from sae_jax.explorer import together
from sae_jax.explorer.opened import Opened
from sae_jax.explorer.parameters import Parameters, place
from sae_jax.search.families import Family, sums
from sae_jax.search.index import best

MOST_IN_MATRIX = 60
MOST_UNASKED = 300  # members whose matrix a page shows without being asked
N_ROWS = 12
N_FEATURES = 3  # named of each row
NOTE = (
    "Families depend on how they were made: with other bounds, or on another corpus, the same "
    "features fall into others. A latent may lie below several parents; the method of arXiv "
    "2408.00657 (--method=paper) cuts such edges to a spanning tree, and gives other families."
)


def families(opened: Opened, request: Request) -> dict[str, Any]:
    """All families, the largest first, with their measures against chance."""
    Parameters(request)
    made = opened.search.families.made
    return {
        "families": [in_short(opened, one) for one in opened.families],
        "method": made["method"],
        "bounds": {
            "least_share": LEAST_SHARE,
            "least_ratio": LEAST_RATIO,
            "least_members": LEAST_MEMBERS,
        },
        "metrics": made["metrics"],
        "note": NOTE,
    }


def ratios(opened: Opened, request: Request) -> list[float]:
    """R of each family: overlap of parent and children over that among children.

    By the families' numbers. The first time it takes a second or two.
    """
    Parameters(request)
    return [opened.family_ratio(one.number) for one in opened.families]


def family(opened: Opened, request: Request) -> dict[str, Any]:
    """One family: its tree, and the documents on which it is strongest."""
    Parameters(request)
    one = _named(opened, request)
    made = opened.search.families.made
    own = set(one.members)
    edges = [pair for pair in made["edges"] if pair[0] in own and pair[1] in own]
    return in_short(opened, one) | {
        "n_families": len(opened.families),
        "members": [opened.feature(latent) for latent in one.members],
        "edges": edges,
        "shared": {
            str(latent): others
            for latent in one.members
            if (others := [n for n in opened.families_of[latent] if n != one.number])
        },
        "rows": _rows(opened, one),
        "matrix_unasked": len(one.members) <= MOST_UNASKED,
        "note": NOTE,
    }


def matrix(opened: Opened, request: Request) -> dict[str, Any]:
    """How the members of a family overlap, and how alike their directions are.

    Of its parent and of the children that are on most often, in an order that shows blocks.
    """
    Parameters(request)
    one = _named(opened, request)
    chosen = one.members[:MOST_IN_MATRIX]
    overlap = together.overlap(opened.stored, chosen).toarray()
    np.fill_diagonal(overlap, 1)
    # The parent stands first: it overlaps with all of them, and would cut through the blocks.
    order = [0, *(1 + place for place in together.ordered(overlap[1:, 1:]))]
    latents = [chosen[place] for place in order]
    directions = opened.dictionary.W_dec[latents]
    return {
        "latents": [opened.feature(latent) for latent in latents],
        "n_members": len(one.members),
        "overlap": np.round(overlap[np.ix_(order, order)].astype(float), 4).tolist(),
        "cosine": np.round((directions @ directions.T).astype(float), 4).tolist(),
        "ratio": opened.family_ratio(one.number),
    }


def in_short(opened: Opened, one: Family) -> dict[str, Any]:
    """What lists say of a family."""
    return {
        "number": one.number,
        "parent": opened.feature(one.members[0]),
        "n_members": len(one.members),
        "highest": one.highest,
    }


def _named(opened: Opened, request: Request) -> Family:
    every = opened.families
    return every[place(request.path_params["number"], of="family", n=len(every))]


def _rows(opened: Opened, one: Family) -> list[dict[str, Any]]:
    """The rows of the highest sum, and which members make most of it."""
    found = sums(opened.stored, one.members)
    hits = best(found.sums, k=N_ROWS)
    rows, own = found.rows[hits.rows], set(one.members)
    shown = opened.shown(rows)
    return [
        document | _parts(opened, row, total=total, own=own) | {"percent": _percent(total, one)}
        for document, row, total in zip(shown, rows.tolist(), hits.scores.tolist(), strict=True)
    ]


def _parts(opened: Opened, row: int, *, total: float, own: set[int]) -> dict[str, Any]:
    code = zip(opened.stored.indices[row].tolist(), opened.stored.values[row], strict=True)
    on = [(latent, float(value)) for latent, value in code if value > 0 and latent in own]
    features = [opened.feature(latent) | {"value": value} for latent, value in on[:N_FEATURES]]
    return {"value": total, "n_on": len(on), "features": features}


def _percent(total: float, one: Family) -> float:
    return 100 * total / one.highest if one.highest else math.nan
