"""Documents: one with its features and its neighbours, several in short, those with a word."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from starlette.requests import Request

from sae_jax.errors import UsageError
from sae_jax.explorer.opened import Opened
from sae_jax.explorer.parameters import NotThereError, Parameters, place
from sae_jax.search.documents import MOST_RANKED
from sae_jax.search.index import best

N_NEAR = 10
MOST_ROWS = 200  # in one answer


def document(opened: Opened, request: Request) -> dict[str, Any]:
    """One document: its text and fields, its features, how much they explain, its neighbours.

    It is named by its row, or by its own id.
    """
    Parameters(request)
    row = opened.row(request.path_params["row"])
    x = opened.search.reader.read(np.array([row]))[0].astype(np.float32)
    (shown,) = opened.shown([row], whole=True)
    return {
        "document": shown,
        "n_rows": opened.n_rows,
        "k": opened.dictionary.sae.k,
        "features": _features(opened, row),
        "reconstruction": reconstruction(opened, row, x=x),
        "near": {"dense": _near_dense(opened, row, x=x), "code": _near_code(opened, row)},
    }


def documents(opened: Opened, request: Request) -> list[dict[str, Any]]:
    """Documents as lists show them.

    Parameters:
        rows: their rows, such as 1,2,3; 200 at most.

    Example: /api/documents?rows=0,1
    """
    words = Parameters(request, "rows").text("rows").split(",")
    if len(words) > MOST_ROWS:
        raise UsageError(f"rows names {len(words):,} rows; expected {MOST_ROWS} at most.")
    rows = [place(word.strip(), of="document", n=opened.n_rows) for word in words if word]
    return opened.shown(rows)


def keywords(opened: Opened, request: Request) -> dict[str, Any]:
    """The documents that hold all of some words, the best first.

    Parameters:
        q: the words.
        k: how many documents, 1 to 200.

    Example: /api/keywords?q=the&k=2
    """
    asked = Parameters(request, "q", "k")
    k = asked.whole("k", default=10, low=1, high=MOST_ROWS)
    if opened.documents is None:
        raise NotThereError(
            f"{opened.search.reader.folder} has no texts, so there is nothing to find words in."
        )
    found = opened.documents.with_words(asked.text("q"), k=k, most_ranked=MOST_RANKED)
    return {
        "documents": opened.shown(found.rows),
        "n": found.n,
        "ranked": found.n <= MOST_RANKED,  # else they are the first by row
    }


def reconstruction(
    opened: Opened, row: int, *, x: Float[np.ndarray, " d_in"]
) -> dict[str, float | int]:
    """How much of a document its features say.

    x̂ = Σ value · direction + b_dec. The features are said to explain 1 − ‖x − x̂‖² / ‖x −
    b_dec‖²: of what the document has beyond b_dec, which all documents have in common.
    """
    dictionary, stored = opened.dictionary, opened.stored
    values, indices = np.asarray(stored.values[row]), np.asarray(stored.indices[row])
    x_hat = values @ dictionary.W_dec[indices] + dictionary.b_dec
    error = float(np.linalg.norm(x - x_hat))
    beyond = float(np.linalg.norm(x - dictionary.b_dec))
    norm = float(np.linalg.norm(x))
    return {
        "n_on": int((values > 0).sum()),
        "cosine": _cosine(x, x_hat),
        "explained": 1 - (error / beyond) ** 2 if beyond else math.nan,
        "missing_norm": error / norm if norm else math.nan,
        "bias_cosine": _cosine(x, dictionary.b_dec),
        "bias_norm": float(np.linalg.norm(dictionary.b_dec)),
        "norm": norm,
    }


def _cosine(x: Float[np.ndarray, " d_in"], y: Float[np.ndarray, " d_in"]) -> float:
    lengths = float(np.linalg.norm(x)) * float(np.linalg.norm(y))
    return float(x @ y) / lengths if lengths else math.nan


def _features(opened: Opened, row: int) -> list[dict[str, Any]]:
    """Those that are on, strongest first."""
    stored = opened.stored
    code = zip(stored.indices[row].tolist(), stored.values[row].tolist(), strict=True)
    return [
        opened.feature(latent) | opened.strength(latent, value)
        for latent, value in code
        if value > 0
    ]


def _near_dense(
    opened: Opened, row: int, *, x: Float[np.ndarray, " d_in"]
) -> list[dict[str, Any]]:
    """By the cosine of embeddings. A vector of zeros is near to nothing."""
    norm = float(np.linalg.norm(x))
    if not norm:
        return []
    return _nearest(opened, opened.search.index.scores((x / norm)[None])[0], row=row)


def _near_code(opened: Opened, row: int) -> list[dict[str, Any]]:
    """By the cosine of codes: the rows of each of its features are gone through."""
    stored, scores = opened.stored, np.zeros(opened.n_rows, np.float32)
    for latent, value in zip(
        stored.indices[row].tolist(), stored.values[row].tolist(), strict=True
    ):
        if value > 0:
            rows, values = map(np.asarray, (stored.rows_of(latent), stored.values_of(latent)))
            scores[rows] += np.float32(value) * values
    norms = opened.code_norms
    lengths = norms * norms[row]
    scores = np.divide(scores, lengths, out=np.zeros_like(scores), where=lengths > 0)
    return [one for one in _nearest(opened, scores, row=row) if one["score"] > 0]


def _nearest(
    opened: Opened, scores: Float[np.ndarray, " n_rows"], *, row: int
) -> list[dict[str, Any]]:
    """The rows of highest score, without this one."""
    hits = best(scores, k=N_NEAR + 1)
    others = [
        (own, score)
        for own, score in zip(hits.rows.tolist(), hits.scores.tolist(), strict=True)
        if own != row
    ][:N_NEAR]
    shown = opened.shown([own for own, _ in others])
    return [one | {"score": score} for one, (_, score) in zip(shown, others, strict=True)]
