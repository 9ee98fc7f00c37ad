"""The map: features by their directions, or documents by their rows, as points of a plane.

The plane is that of the two principal components. It shows the largest differences and no
others: the share of the variance that it holds is always said beside it.
"""

import functools
import threading
import weakref
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg  # type: ignore[import-untyped]
from jaxtyping import Bool, Float, Int64
from starlette.requests import Request

from sae_jax.errors import UsageError
from sae_jax.explorer.opened import Opened
from sae_jax.explorer.parameters import Parameters

MOST_POINTS = 20_000
MOST_WORDS = 80  # characters of a document's name
N_FOUND = 20  # features of a selection
LEAST_ON = 3  # documents of the selection on which such a feature must be on
OF = ("features", "documents")


class Plane(NamedTuple):
    """Points by their two largest principal components."""

    points: Float[np.ndarray, "n 2"]
    share: list[float]  # of the variance, that each of the two axes shows


class Points(NamedTuple):
    """What a map shows."""

    ids: Int64[np.ndarray, " n"]  # latents or rows, ascending
    n: int  # how many there are, of which these are all or a uniform sample
    plane: Plane
    names: list[str | None]  # titles of documents, or how their texts begin


def plane_of(vectors: Float[np.ndarray, "n d"]) -> Plane:
    """By PCA. The largest coordinate of each axis is positive, so that it is never mirrored."""
    centred = vectors - vectors.mean(axis=0)
    covariance = centred.T @ centred
    d = len(covariance)
    if d < 2:
        return Plane(np.pad(centred, ((0, 0), (0, 1))).astype(np.float64), [1.0, 0.0])
    found, axes = scipy.linalg.eigh(covariance, subset_by_index=[d - 2, d - 1])
    found, axes = found[::-1].clip(0), axes[:, ::-1]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    total = float(np.trace(covariance)) or 1.0
    return Plane(np.asarray(centred @ axes, np.float64), (found / total).tolist())


def sample_of(n: int) -> Int64[np.ndarray, " m"]:
    """All of n, or as many as a map shows; the same each time."""
    if n <= MOST_POINTS:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, MOST_POINTS, replace=False))


_made: weakref.WeakKeyDictionary[Opened, dict[str, Points]] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def points_of(opened: Opened, of: str) -> Points:
    """Computed once of each run that is open."""
    with _making:
        made = _made.setdefault(opened, {})
        if of not in made:
            made[of] = _points(opened, of)
        return made[of]


def _points(opened: Opened, of: str) -> Points:
    n = opened.n_latents if of == "features" else opened.n_rows
    ids = sample_of(n)
    if of == "features":
        return Points(ids, n, plane_of(opened.dictionary.W_dec[ids]), [])
    rows = opened.search.reader.read(ids).astype(np.float32)
    return Points(ids, n, plane_of(rows), _names(opened, ids))


def points(opened: Opened, request: Request) -> dict[str, Any]:
    """All points of the map: where they lie, what they are called, and what colours them.

    The plane is that of the two largest principal components (PCA). Of more than 20,000
    features or documents it is that of a uniform sample. Of a document `feature` is the one
    that is strongest in it. A family lies where its parent does, or in the middle of the
    documents whose strongest feature is in it.

    Parameters:
        of: features or documents; features where it is not given.
    Example: /api/map?of=features
    """
    of = Parameters(request, "of").choice("of", OF)
    found = points_of(opened, of)
    columns = _feature_columns if of == "features" else _document_columns
    return {
        "of": of,
        "method": "PCA",
        "share": found.plane.share,
        "n": found.n,
        "n_shown": len(found.ids),
        "ids": found.ids.tolist(),
        "x": found.plane.points[:, 0].round(5).tolist(),
        "y": found.plane.points[:, 1].round(5).tolist(),
        **columns(opened, found),
    }


def _feature_columns(opened: Opened, found: Points) -> dict[str, Any]:
    latents = found.ids.tolist()
    labels = [opened.labels.current(latent) for latent in latents]
    places = dict(zip(latents, found.plane.points.round(5).tolist(), strict=True))
    shown = [one for one in _families(opened) if one.members[0] in places]
    return {
        "label": [label and label.text for label in labels],
        "f1": [label and label.f1 for label in labels],
        "density": opened.density[found.ids].tolist(),
        "state": [opened.state(latent) for latent in latents],
        "family": [_family_of(opened, latent) for latent in latents],
        "families": [
            _family(opened, one.number, members=one.members, place=places[one.members[0]])
            for one in shown
        ],
    }


def _document_columns(opened: Opened, found: Points) -> dict[str, Any]:
    strongest = np.asarray(opened.stored.indices[found.ids, 0])
    values = np.asarray(opened.stored.values[found.ids, 0])
    latents = [
        int(i) if v > 0 else None for i, v in zip(strongest, values, strict=True)
    ]  # null: no latent is on
    families = [None if i is None else _family_of(opened, i) for i in latents]
    of_point = np.array([-1 if one is None else one for one in families])
    shown = []
    for one in _families(opened):
        inside = of_point == one.number
        if inside.any():
            place = found.plane.points[inside].mean(axis=0).round(5).tolist()
            shown.append(_family(opened, one.number, members=one.members, place=place))
    named = sorted({latent for latent in latents if latent is not None})
    return {
        "label": found.names,
        "feature": latents,
        "value": values.astype(float).round(5).tolist(),
        "family": families,
        "features": {str(latent): opened.labels.name.get(latent) for latent in named},
        "families": shown,
    }


def _names(opened: Opened, rows: Int64[np.ndarray, " n"]) -> list[str | None]:
    if opened.documents is None:
        return [None] * len(rows)
    found = opened.documents.read(rows)
    return [_cut(one.title or one.text) or None for one in found]


def _cut(text: str) -> str:
    return text if len(text) <= MOST_WORDS else text[:MOST_WORDS].rsplit(" ", 1)[0] + " …"


def _families(opened: Opened) -> list[Any]:
    return [] if opened.missing_families() else opened.families


def _family_of(opened: Opened, latent: int) -> int | None:
    """The largest that it is in."""
    return min(opened.families_of.get(latent, ()), default=None)


def _family(
    opened: Opened, number: int, *, members: list[int], place: list[float]
) -> dict[str, Any]:
    return {
        "number": number,
        "latent": members[0],
        "label": opened.labels.name.get(members[0]),
        "n": len(members),
        "x": place[0],
        "y": place[1],
    }


def selection(opened: Opened, request: Request) -> dict[str, Any]:
    """What is in a box of the map: which features are on there more often than elsewhere.

    Of documents: features that are on in at least 3 of those inside, and the lift of each,
    its share of the documents inside over its share of all that are shown; sorted by how much
    they tell of the selection, their number inside times the logarithm of the lift. Of
    features: those inside, the most often on first.

    Parameters:
        of: features or documents.
        x: from where to where along the first axis, as LOW:HIGH.
        y: the same along the second.
    Example: /api/map/selection?of=features&x=-0.1:0.1&y=-0.1:0.1
    """
    asked = Parameters(request, "of", "x", "y")
    of = asked.choice("of", OF)
    found = points_of(opened, of)
    inside = np.ones(len(found.ids), bool)
    for axis, name in enumerate(("x", "y")):
        low, high = interval(asked.text(name), of=name)
        place = found.plane.points[:, axis].round(5)  # as they were told
        inside &= (low <= place) & (place <= high)
    told = {"of": of, "n_inside": int(inside.sum()), "n_shown": len(found.ids)}
    if of == "features":
        return told | {"features": _features_inside(opened, found.ids[inside])}
    return told | {
        "features": over_represented(opened, found.ids, inside=inside),
        "documents": opened.shown(found.ids[inside][:N_FOUND]),
    }


def interval(text: str, *, of: str) -> tuple[float, float]:
    """Raises UsageError on anything but LOW:HIGH."""
    low, colon, high = text.partition(":")
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = (np.nan, np.nan)
    if not colon or not np.isfinite(ends).all() or ends[0] > ends[1]:
        raise UsageError(f"{of}={text[:40]!r}: expected two numbers, LOW:HIGH.")
    return ends


def _features_inside(opened: Opened, latents: Int64[np.ndarray, " n"]) -> list[dict[str, Any]]:
    order = np.argsort(-opened.density[latents], kind="stable")[:N_FOUND]
    return [{"feature": opened.feature(int(latent))} for latent in latents[order]]


def over_represented(
    opened: Opened, rows: Int64[np.ndarray, " n"], *, inside: Bool[np.ndarray, " n"]
) -> list[dict[str, Any]]:
    """Features by how much they tell of the rows inside, among all of these rows."""
    if not inside.any():
        return []
    indices, on = opened.stored.indices[rows], opened.stored.values[rows] > 0
    count = functools.partial(np.bincount, minlength=opened.n_latents)
    n_all, n_in = count(indices[on]), count(indices[inside][on[inside]])
    share = len(rows) / inside.sum()
    lift = n_in * share / np.maximum(n_all, 1)
    kept = np.flatnonzero((n_in >= LEAST_ON) & (lift > 1))
    order = np.argsort(-n_in[kept] * np.log(lift[kept]), kind="stable")[:N_FOUND]
    return [
        {
            "feature": opened.feature(latent),
            "lift": float(lift[latent]),
            "n_inside": int(n_in[latent]),
            "n_shown": int(n_all[latent]),
        }
        for latent in kept[order].tolist()
    ]
