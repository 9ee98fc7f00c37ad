"""Agreement of edges with a true hierarchy: known answers, and beside them the null."""

import numpy as np
import pytest
from planted_codes import stored_of

from sae_jax.analysis import agreement, concepts

# Rows are 30 leaves; ten under each of b, c and d; b and c under a.
IDS = ["a", "b", "c", "d", *(f"leaf{i}" for i in range(30))]
PARENTS = {"a": [], "b": ["a"], "c": ["a"], "d": []} | {
    f"leaf{i}": ["bcd"[i // 10]] for i in range(30)
}


@pytest.fixture
def truth():
    return concepts.make_concepts(IDS, names=IDS, parents=PARENTS, least_rows=8)


def belongs(truth, name):
    return truth.members[:, [truth.ids.index(name)]].toarray().ravel() > 0


def test_a_latent_stands_for_the_concept_that_it_tells_best(truth):
    values = np.zeros((34, 4), np.float32)
    for latent, name in enumerate("abd"):
        values[belongs(truth, name), latent] = 1
    values[5, 3] = 1
    standing = agreement.stand_for(stored_of(values), truth)
    assert [truth.ids[i] for i in standing.concept[:3]] == ["a", "b", "d"]
    assert standing.f1[:3].tolist() == [1, 1, 1]
    assert standing.concept[3] == -1


def test_edges_are_right_where_the_parent_is_above(truth):
    place = {name: truth.ids.index(name) for name in "abcd"}
    concept = np.array([place["a"], place["b"], place["c"], place["d"], -1, place["b"]])
    edges = np.array([[0, 1], [0, 2], [3, 1], [1, 0], [0, 4], [1, 5]])
    found = agreement.agree(edges, concept, concepts=truth)
    assert found.n_edges == 4  # one end of (0, 4) is unknown; (1, 5) are the same concept
    assert found.precision == 2 / 4
    assert found.recall == 2 / 3  # a above b twice, and above c
    assert found.null < found.precision
    none = agreement.agree(np.zeros((0, 2), np.int64), concept, concepts=truth)
    assert (none.n_edges, none.precision, none.recall) == (0, 0.0, 0.0)


@pytest.mark.parametrize("way", [agreement.clusters_by_kmeans, agreement.clusters_by_linkage])
def test_clusters_of_directions_are_found(way):
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 20))
    directions = np.repeat(centres, 10, axis=0) + 0.05 * rng.normal(size=(30, 20))
    directions = (directions / np.linalg.norm(directions, axis=1)[:, None]).astype(np.float32)
    clusters = way(directions, n_clusters=3)
    assert len(set(zip(clusters.tolist(), np.repeat(range(3), 10).tolist(), strict=True))) == 3


def test_the_most_frequent_member_heads_its_cluster():
    clusters, n_on = np.array([0, 1, 0, 1, 2]), np.array([3, 9, 5, 9, 1])
    edges = agreement.edges_of_clusters(clusters, n_on=n_on)
    assert sorted(map(tuple, edges.tolist())) == [(1, 3), (2, 0)]
