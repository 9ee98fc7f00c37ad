"""Ways of steering, each a direction: to raise a concept, to lower another, or both at once.

A direction d moves a query q to q + a d. Whatever a is, the result lies in the plane of the
two; the cosine c that is asked for decides where, so that all ways can be compared at the same
distance from the query: q' = c q + √(1 − c²) e, e being the part of d across q, at unit length.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from sae_jax.analysis.directions import Moments, supervised
from sae_jax.embed.encoder import Encoder
from sae_jax.search.dictionary import Dictionary
from sae_jax.search.trials import Cases, Targets

EDITS = ("up", "down", "both")
SAE, REWRITING, NAME = "sae", "rewriting", "name"  # the latent; words added; the name's vector
SUPERVISED, MEANS, RANDOM = "supervised", "means", "random"  # fitted; of members; any latent
N_SIMILAR = 50  # latents of the most similar density, of which one is drawn as the random one

Vectors = Float[np.ndarray, "n d_in"]


def turned(queries: Vectors, directions: Vectors, *, cosine: float) -> Vectors:
    """Queries of unit length, moved along their directions to this cosine."""
    across = directions - (directions * queries).sum(axis=1, keepdims=True) * queries
    moved = cosine * queries + np.sqrt(1 - cosine**2) * units(across)
    return np.asarray(moved, np.float32)


def lengths(queries: Vectors, directions: Vectors, *, cosine: float) -> Float[np.ndarray, " n"]:
    """The a at which q + a d has this cosine to q, a unit; NaN where d itself is nearer."""
    along = (directions * queries).sum(axis=1)
    across = np.linalg.norm(directions - along[:, None] * queries, axis=1)
    tangent = np.sqrt(1 - cosine**2) / cosine
    left = across - along * tangent
    return np.where(left > 0, tangent / np.where(left > 0, left, 1), np.nan)


def units(vectors: Vectors) -> Vectors:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), np.float32)


def of_vectors(
    vectors: Float[np.ndarray, "n_targets d_in"], cases: Cases
) -> dict[str, Vectors]:
    """Where each target has a vector: added, taken away, and both in equal parts."""
    own = units(vectors)
    up, down = own[cases.up], -own[cases.down]
    return {"up": up, "down": down, "both": up + down}


def without_words(
    cases: Cases, targets: Targets, *, dictionary: Dictionary, moments: Moments, seed: int
) -> dict[str, dict[str, Vectors]]:
    """All ways that need no encoder; moments are those of the targets' concepts."""
    any_latents = similar_latents(targets, dictionary=dictionary, seed=seed)
    by_target = {
        SAE: dictionary.W_dec[targets.latents],
        SUPERVISED: supervised(moments),
        MEANS: moments.by_concept.astype(np.float32),
        RANDOM: dictionary.W_dec[any_latents],
    }
    return {way: of_vectors(vectors, cases) for way, vectors in by_target.items()}


def similar_latents(
    targets: Targets, *, dictionary: Dictionary, seed: int
) -> Int[np.ndarray, " n_concepts"]:
    """For each target another latent that is on about as often, at random."""
    rng, n_on = np.random.default_rng(seed), dictionary.stored.n_on.astype(np.int64)
    found = []
    for latent in targets.latents.tolist():
        others = np.flatnonzero(n_on > 0)
        others = others[others != latent]
        order = np.argsort(np.abs(n_on[others] - n_on[latent]), kind="stable")
        found.append(int(rng.choice(others[order[:N_SIMILAR]])))
    return np.array(found)


def with_words(
    cases: Cases, targets: Targets, *, texts: list[str], encoder: Encoder
) -> dict[str, dict[str, Vectors]]:
    """The query's text with words added to it, and the vector of the words alone."""
    names = units(encoder.encode(targets.concepts.names))
    written = rewritten(cases, targets, texts=texts)
    rewriting = {edit: units(encoder.encode(written[edit])) for edit in EDITS}
    return {REWRITING: rewriting, NAME: of_vectors(names, cases)}


def rewritten(cases: Cases, targets: Targets, *, texts: list[str]) -> Mapping[str, list[str]]:
    """What somebody would type who wants more of one concept and less of the other."""
    names = targets.concepts.names
    found: dict[str, list[str]] = {edit: [] for edit in EDITS}
    for text, up, down in zip(texts, cases.up.tolist(), cases.down.tolist(), strict=True):
        found["up"].append(f"{text}, {names[up]}")
        found["down"].append(f"{text}, but not {names[down]}")
        found["both"].append(f"{text}, {names[up]}, but not {names[down]}")
    return found


def slid(
    cases: Cases, targets: Targets, *, dictionary: Dictionary, edit: str, percent: int | float
) -> Vectors:
    """The queries with the slider of the concept's latent at this mark, of unit length."""
    latents, before = _latents(cases, targets, dictionary=dictionary, edit=edit)
    delta = percent / 100 * dictionary.highest[latents] - before
    return units(
        cases.queries * cases.norms[:, None] + delta[:, None] * dictionary.W_dec[latents]
    )


def marks(
    cases: Cases, targets: Targets, *, dictionary: Dictionary, edit: str, cosine: float
) -> Float[np.ndarray, " n"]:
    """Where that slider stands, in percent, when the query has moved to this cosine."""
    latents, before = _latents(cases, targets, dictionary=dictionary, edit=edit)
    sign = 1 if edit == "up" else -1
    a = lengths(cases.queries, sign * dictionary.W_dec[latents], cosine=cosine) * cases.norms
    return np.asarray(100 * (before + sign * a) / dictionary.highest[latents], np.float64)


def _latents(
    cases: Cases, targets: Targets, *, dictionary: Dictionary, edit: str
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Of the concept to raise or to lower, and its value in the query; 0 where it is off."""
    latents, stored = (
        targets.latents[cases.up if edit == "up" else cases.down],
        dictionary.stored,
    )
    own = stored.indices[cases.rows] == latents[:, None]
    return latents, np.asarray((stored.values[cases.rows] * own).sum(axis=1), np.float64)
