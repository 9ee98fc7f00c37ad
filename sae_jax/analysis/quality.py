"""The measures of `sae-jax evaluate`, each beside baselines and with its interval."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from sae_jax.analysis import coverage, retrieval
from sae_jax.analysis.codes import StoredCodes
from sae_jax.analysis.concepts import Concepts, held_out_mask
from sae_jax.analysis.coverage import Coverage
from sae_jax.data.shards import ShardReader
from sae_jax.notebook import Sae

N_QUERIES = 1_000  # held-out rows whose neighbours are looked for


def measure_retrieval(
    sae: Sae, reader: ShardReader, stored: StoredCodes, *, moments: coverage.Moments, seed: int
) -> dict[str, Any]:
    """Neighbours by reconstruction, by the codes alone, and by PCA of as many numbers."""
    rng, n = np.random.default_rng(seed), min(N_QUERIES, len(reader.held_out_ids))
    queries = np.sort(rng.choice(reader.held_out_ids, n, replace=False))
    W_dec, b_dec = np.asarray(sae.W_dec), np.asarray(sae.b_dec)
    directions = coverage.principal_directions(moments)[: sae.k]
    mean = moments.mean.astype(np.float32)
    found = retrieval.fidelity(
        {
            "embeddings": retrieval.embeddings(reader),
            "reconstruction": retrieval.reconstructions(stored, W_dec=W_dec, b_dec=b_dec),
            "codes": retrieval.sparse_codes(stored),
            f"pca_{sae.k}": retrieval.principal(reader, mean=mean, directions=directions),
        },
        truth="embeddings",
        queries=queries,
        n_rows=reader.n_rows,
        seed=seed,
    )
    return {"n_queries": n} | {name: one._asdict() for name, one in found.items()}


def measure_coverage(
    reader: ShardReader,
    stored: StoredCodes,
    *,
    concepts: Concepts,
    moments: coverage.Moments,
    say: Callable[[str], None],
    seed: int,
) -> dict[str, Any]:
    """Of single latents, and of as many dense directions as the embeddings have coordinates."""
    held_out, scores_of = held_out_mask(reader), coverage.scores_in(reader)
    directions = {
        "coordinates": np.eye(reader.d_in, dtype=np.float32),
        "pca": coverage.principal_directions(moments),
        "random": coverage.random_directions(n=reader.d_in, d_in=reader.d_in, seed=seed),
    }
    ranked: Mapping[str, Callable[[], Any]] = {
        "latents": lambda: coverage.by_latent(stored),
    } | {
        name: (lambda own=own: coverage.by_direction(scores_of, own))
        for name, own in directions.items()
    }
    made = {}
    for name, of in ranked.items():
        say(f"concepts by {name}")
        fitted = coverage.fit(of(), concepts=concepts, held_out=held_out)
        f1 = coverage.score(of(), fitted, concepts=concepts, held_out=held_out)
        made[name] = _as_json(f1, seed=seed)
    say("concepts by a direction fitted to each")
    made["supervised"] = _as_json(
        _skyline(scores_of, moments, concepts=concepts, held_out=held_out), seed=seed
    )
    return made


def _skyline(
    scores_of: coverage.Scores,
    moments: coverage.Moments,
    *,
    concepts: Concepts,
    held_out: Bool[np.ndarray, " n_rows"],
) -> Float[np.ndarray, " n_concepts"]:
    own = coverage.supervised_directions(moments)
    fitted = coverage.fit_own(
        coverage.by_direction(scores_of, own, ends=(1,)), concepts=concepts, held_out=held_out
    )
    again = coverage.by_direction(scores_of, own, ends=(1,))
    return coverage.score(again, fitted, concepts=concepts, held_out=held_out)


def _as_json(f1: Float[np.ndarray, " n_concepts"], *, seed: int) -> dict[str, Any]:
    found: Coverage = coverage.summarise(f1, seed=seed)
    return found._asdict() | {"covered": {str(x): y for x, y in found.covered.items()}}


def describe(made: Mapping[str, Any]) -> str:
    """The measures as a person reads them."""
    retrieval_ = made["retrieval"]
    lines = [f"Neighbours of {retrieval_['n_queries']:,} held-out rows: recall, nDCG at 10"]
    for name, one in retrieval_.items():
        if isinstance(one, dict):
            lines.append(
                f"  {name:<15} {one['recall']:.3f} ({one['recall_low']:.3f} to "
                f"{one['recall_high']:.3f})   {one['ndcg']:.3f}"
            )
    for place, (name, one) in enumerate(made["concepts"].items()):
        if not place:
            lines.append(
                f"Best single direction for each of {one['n_concepts']:,} concepts: held-out "
                "F1, share of concepts with 0.5 or more"
            )
        lines.append(
            f"  {name:<15} {one['mean_f1']:.3f} ({one['low']:.3f} to {one['high']:.3f})   "
            f"{100 * one['covered']['0.5']:.1f} %"
        )
    return "\n".join(lines)
