"""All that is said of the families of a run: measures, agreement with the truth, examples."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import sparse  # type: ignore[import-untyped]

from sae_jax.analysis import agreement, family_metrics
from sae_jax.analysis.agreement import Agreement
from sae_jax.analysis.codes import StoredCodes
from sae_jax.analysis.concepts import read_concepts
from sae_jax.analysis.families import Families
from sae_jax.analysis.family_metrics import FamilyMetrics
from sae_jax.data.shards import ShardReader
from sae_jax.errors import UsageError
from sae_jax.notebook import Sae

FORMAT = 1
MOST_LINKED = 16_384  # latents: agglomerative clustering takes their number squared
LATENTS_PER_CLUSTER = 16  # or as many clusters as families, where these are more


def make(
    found: Families, *, sae: Sae, stored: StoredCodes, on: sparse.csc_array, reader: ShardReader
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        **stored.manifest.fingerprints,
        "metrics": family_metrics.measure(found.families, stored=stored, on=on),
        "agreement": _agreement(found, sae=sae, stored=stored, reader=reader),
        "families": found.families,
        "edges": found.edges.tolist(),
    }


def _agreement(
    found: Families, *, sae: Sae, stored: StoredCodes, reader: ShardReader
) -> dict[str, Any]:
    """Of these edges and of those from clusters; empty where no hierarchy is known."""
    try:
        concepts = read_concepts(reader)
    except UsageError:
        return {}
    standing = agreement.stand_for(stored, concepts)
    alive = np.flatnonzero(stored.n_on)
    n_clusters = max(len(found.families), len(alive) // LATENTS_PER_CLUSTER)
    directions = np.asarray(sae.W_dec)[alive]
    edges = {"families": found.edges}
    ways: dict[str, Callable[..., np.ndarray]] = {"k-means": agreement.clusters_by_kmeans}
    if len(alive) <= MOST_LINKED:
        ways["agglomerative"] = agreement.clusters_by_linkage
    for name, way in ways.items():
        clusters = way(directions, n_clusters=n_clusters)
        edges[name] = alive[agreement.edges_of_clusters(clusters, n_on=stored.n_on[alive])]
    return {
        "n_standing": int((standing.concept >= 0).sum()),
        "least_f1": agreement.LEAST_F1,
    } | {
        name: agreement.agree(own, standing.concept, concepts=concepts)
        for name, own in edges.items()
    }


def describe(made: Mapping[str, Any], *, names: Mapping[int, str], most: int) -> str:
    """The measures and the largest families, as a person reads them; of what `make` made."""
    metrics: FamilyMetrics = made["metrics"]
    lines = [
        f"{metrics.n_families} families of {metrics.mean_size:.1f} children on average; "
        f"{100 * metrics.membership:.1f} % of latents are in one",
    ]
    for measured, said in (
        (metrics.parent_ratio, "R, parent–child over child–child overlap"),
        (metrics.block_ratio, "overlap inside over between families"),
        (metrics.block_ratio_activations, "the same of activations' cosine"),
    ):
        lines.append(
            f"  {said:<42} {measured.value:6.2f}   null {measured.null:.2f} "
            f"(97.5 %: {measured.null_high:.2f})"
        )
    for name, one in made["agreement"].items():
        if isinstance(one, Agreement):
            lines.append(
                f"  {name:<14} {one.n_edges:>6,} edges between concepts, "
                f"{100 * one.precision:.1f} % right (null {100 * one.null:.1f} %), "
                f"recall {100 * one.recall:.2f} %"
            )
    for family in made["families"][:most]:
        children = [names.get(child, str(child)) for child in family.children[:6]]
        more = len(family.children) - len(children)
        lines.append(
            f"  {names.get(family.parent, family.parent)} > {'; '.join(children)}"
            + (f"; and {more} more" if more > 0 else "")
        )
    return "\n".join(lines)
