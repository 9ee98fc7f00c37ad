"""All features as one table, and the features of any text."""

import functools
from typing import Any

import numpy as np
from jaxtyping import Float
from starlette.requests import Request

from sae_jax.errors import UsageError
from sae_jax.explorer.labels import SOURCES
from sae_jax.explorer.opened import Opened
from sae_jax.explorer.parameters import Parameters

STATES = ("alive", "dense", "dead")


def features(opened: Opened, request: Request) -> dict[str, Any]:
    """Every feature of the run, in columns; place i of each is feature i.

    `source` and `state` are places in the lists `sources` and `states`, which keeps the
    answer small; `family` has the numbers of a feature's families, the largest first.
    """
    Parameters(request)
    return _table(opened, opened.labels.n_edits)


@functools.lru_cache(maxsize=1)
def _table(opened: Opened, n_edits: int) -> dict[str, Any]:
    """Kept until a label is edited, or the run is opened anew."""
    sources = list(SOURCES)
    labels = [opened.labels.current(latent) for latent in range(opened.n_latents)]
    states = [STATES.index(opened.state(latent)) for latent in range(opened.n_latents)]
    families_of = opened.families_of  # once: where there are none, each look asks the disk
    return {
        "n": opened.n_latents,
        "n_rows": opened.n_rows,
        "sources": sources,
        "states": list(STATES),
        "columns": {
            "label": [one.text if one else None for one in labels],
            "source": [sources.index(one.source) if one else None for one in labels],
            "state": states,
            "density": _short(opened.density),
            "highest": _short(opened.dictionary.highest),
            "f1": [
                None if one is None or one.f1 is None else round(one.f1, 3) for one in labels
            ],
            "family": [families_of.get(i, []) for i in range(opened.n_latents)],
        },
    }


def _short(values: Float[np.ndarray, " n"]) -> list[float]:
    """Of four digits, which is more than a table shows."""
    return [float(f"{value:.4g}") for value in values.tolist()]


def encode(opened: Opened, request: Request) -> dict[str, Any]:
    """The features of a text, strongest first, as the run's encoder and autoencoder see it.

    Parameters:
        text: any text.
        latent: a feature whose value is told even where it is not among the k strongest.

    Example: /api/encode?text=any+text&latent={latent}
    """
    parameters = Parameters(request, "text", "latent")
    text = parameters.text("text")
    if not text.strip():
        raise UsageError("text is empty; expected some words to find the features of.")
    asked = opened.latent(parameters.text("latent")) if "latent" in parameters else None
    query = opened.text(text)
    pre_acts = _pre_acts(opened, query.vector)
    return {
        "text": text,
        "k": opened.dictionary.sae.k,
        "features": [
            opened.feature(latent) | opened.strength(latent, value) | {"rank": rank}
            for rank, (latent, value) in enumerate(query.code.items(), start=1)
        ],
        "asked": None
        if asked is None
        else opened.feature(asked)
        | opened.strength(asked, query.code.get(asked, 0.0))
        | {
            "pre_act": float(pre_acts[asked]),
            "rank": int((pre_acts > pre_acts[asked]).sum()) + 1,
        },
    }


def _pre_acts(
    opened: Opened, vector: Float[np.ndarray, " d_in"]
) -> Float[np.ndarray, " n_latents"]:
    dictionary = opened.dictionary
    return dictionary.W_enc_rows @ (vector - dictionary.b_dec) + dictionary.b_enc
