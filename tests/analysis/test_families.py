"""Co-occurrence and families: brute force agrees, planted ones are found, chance makes none."""

import itertools

import networkx
import numpy as np
import pytest
from planted_codes import stored_of
from scipy import sparse, stats

from sae_jax.analysis import cooccurrence, families, family_metrics, paper_families
from sae_jax.analysis.families import Family


def random_codes(seed, n_rows=3_000, n_latents=60):
    rng = np.random.default_rng(seed)
    density = rng.uniform(0.005, 0.2, n_latents)
    return rng.random((n_rows, n_latents)) * (rng.random((n_rows, n_latents)) < density)


# Three roots; 1 and 2 below 0, 3 and 4 below 1, 5 below both 1 and 2; 7, 8, 9 below 6.
PLANTED = {1: [0], 2: [0], 3: [1], 4: [1], 5: [1, 2], 7: [6], 8: [6], 9: [6]}


def planted_codes(seed=0, n_rows=20_000, n_latents=30):
    """Each planted latent is on for a third of the rows on which all of its parents are."""
    rng = np.random.default_rng(seed)
    on = rng.random((n_rows, n_latents)) < 0.02
    on[:, [0, 6]] = rng.random((n_rows, 2)) < 0.3
    for child, parents in PLANTED.items():
        on[:, child] = on[:, parents].all(axis=1) & (rng.random(n_rows) < 0.33)
    noise = rng.random((n_rows, n_latents)) < 0.001
    return (on ^ noise) * rng.uniform(0.1, 1, on.shape)


def test_active_and_counts_are_those_of_a_dense_product():
    dense = random_codes(0)
    on = cooccurrence.active(stored_of(dense))
    binary = (dense > 0).astype(int)
    np.testing.assert_array_equal(on.toarray(), binary)
    chosen = np.array([3, 7, 50])
    both = binary.T @ binary
    np.testing.assert_array_equal(
        cooccurrence.counts(on, chosen).toarray(), both[np.ix_(chosen, chosen)]
    )


def test_pairs_are_those_of_a_loop_with_its_false_discoveries(monkeypatch):
    monkeypatch.setattr(cooccurrence, "LATENTS_AT_ONCE", 7)
    dense = random_codes(1)
    dense[:, 5] = dense[:, 4] * (np.random.default_rng(2).random(len(dense)) < 0.5)
    on = cooccurrence.active(stored_of(dense))
    binary, n = (dense > 0).astype(int), len(dense)
    n_on, both = binary.sum(axis=0), binary.T @ binary
    tests = []
    for i, j in itertools.combinations(range(60), 2):
        expected = n_on[i] * n_on[j] / n
        p = stats.poisson.sf(both[i, j] - 1, expected)
        # Chance is hypergeometric; Poisson's tail is above it where it is small.
        exact = stats.hypergeom.sf(both[i, j] - 1, n, n_on[i], n_on[j])
        assert p >= min(exact, 0.01)
        tests.append((p, i, j, both[i, j] / expected))
    tests.sort()
    passing = [rank for rank, (p, *_) in enumerate(tests, 1) if p <= 0.01 * rank / len(tests)]
    wanted = {(i, j): lift for p, i, j, lift in tests[: max(passing)] if lift > 1}
    found = cooccurrence.significant_pairs(on)
    ours = dict(
        zip(
            zip(found.first.tolist(), found.second.tolist(), strict=True),
            found.lift,
            strict=True,
        )
    )
    assert ours.keys() == wanted.keys()
    assert (4, 5) in ours
    for pair, lift in wanted.items():
        assert ours[pair] == pytest.approx(lift)


def test_a_planted_hierarchy_is_recovered_with_several_parents():
    on = cooccurrence.active(stored_of(planted_codes()))
    found = families.find_families(on)
    planted = {(parent, child) for child, parents in PLANTED.items() for parent in parents}
    assert set(map(tuple, found.edges.tolist())) == planted
    assert [one.parent for one in found.families] == [0, 6]
    assert set(found.families[0].children) == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("seed", range(3))
def test_chance_makes_no_families(seed):
    on = cooccurrence.active(stored_of(random_codes(seed, n_rows=20_000, n_latents=200)))
    found = families.find_families(on)
    assert len(found.edges) <= 2  # one in a hundred of what is called significant
    assert found.families == []
    none = sparse.csc_array((100, 5), dtype=np.int32)
    assert families.find_families(none).families == []


def paper_oracle(dense):
    """The paper's steps with networkx and dense matrices, as its program takes them."""
    binary = (dense > 0).astype(float)
    n_on, found = binary.sum(axis=0), []
    nodes = [i for i in range(dense.shape[1]) if n_on[i]]

    def roots(graph):
        for node in [n for n in graph if not graph.in_degree(n) and graph.out_degree(n) > 2]:
            below = networkx.descendants(graph, node)
            yield node, below
            yield from roots(graph.subgraph(below))

    for threshold in (0.1, 0.07, 0.07, 0.07):
        both = binary[:, nodes].T @ binary[:, nodes]
        share = both / (n_on[nodes][:, None] + 1)
        share[share < threshold] = 0
        np.fill_diagonal(share, 0)
        share = np.where(share > 0, np.exp(share), 0)
        graph = networkx.from_numpy_array(share)
        for a, b in itertools.combinations(range(len(nodes)), 2):
            weight = share[b, a] or share[a, b]
            if weight:
                graph.add_edge(a, b, weight=weight)
        tree = networkx.maximum_spanning_tree(graph)
        directed = networkx.DiGraph()
        directed.add_nodes_from(nodes)
        for a, b in tree.edges:
            one, other = nodes[min(a, b)], nodes[max(a, b)]
            directed.add_edge(*((one, other) if n_on[one] > n_on[other] else (other, one)))
        here = list(roots(directed))
        found += [(root, below) for root, below in here if len(below) > 3]
        nodes = [n for n in nodes if n not in {root for root, _ in here}]
    kept = []
    for root, below in sorted(found, key=lambda one: (-len(one[1]), one[0])):
        if all(len(below & other) / len(below | other) <= 0.6 for _, other in kept):
            kept.append((root, below))
    return {(root, frozenset(below)) for root, below in kept}


@pytest.mark.parametrize("seed", range(4))
def test_the_papers_algorithm_gives_the_families_of_an_oracle(seed):
    dense = planted_codes(seed, n_rows=4_000)
    found = paper_families.find_paper_families(cooccurrence.active(stored_of(dense)))
    ours = {(one.parent, frozenset(one.children)) for one in found.families}
    assert ours == paper_oracle(dense)
    assert len(ours) >= 1


def test_metrics_are_those_of_dense_matrices():
    dense = planted_codes(n_rows=3_000)
    stored = stored_of(dense)
    on = cooccurrence.active(stored)
    found = [Family(0, [1, 2, 3, 4, 5]), Family(6, [7, 8, 9, 1])]
    measured = family_metrics.measure(found, stored=stored, on=on)
    binary = (dense > 0).astype(float)
    both, n_on = binary.T @ binary, binary.sum(axis=0)
    overlap = both / np.minimum.outer(n_on, n_on)
    norms = np.linalg.norm(dense, axis=0)
    cosine = dense.T @ dense / np.outer(norms, norms)
    ratios = []
    for one in found:
        c = one.children
        between = [overlap[a, b] for a, b in itertools.permutations(c, 2)]
        ratios.append(overlap[one.parent, c].mean() / np.mean(between))
    assert measured.parent_ratio.value == pytest.approx(np.mean(ratios), rel=1e-4)
    block = dict.fromkeys(range(6), 0) | dict.fromkeys(range(6, 10), 1)
    for likeness, ours in (
        (overlap, measured.block_ratio),
        (cosine, measured.block_ratio_activations),
    ):
        pairs = list(itertools.permutations(block, 2))
        inside = np.mean([likeness[a, b] for a, b in pairs if block[a] == block[b]])
        outside = np.mean([likeness[a, b] for a, b in pairs if block[a] != block[b]])
        assert ours.value == pytest.approx(inside / outside, rel=1e-3)
        assert ours.value > ours.null_high
        assert ours.null == pytest.approx(1, abs=0.5)
    assert measured.membership == pytest.approx(10 / 30)
    assert measured.mean_size == 4.5


def test_without_families_the_metrics_say_so():
    stored = stored_of(random_codes(0))
    measured = family_metrics.measure([], stored=stored, on=cooccurrence.active(stored))
    assert (measured.n_families, measured.membership) == (0, 0.0)
    assert np.isnan(measured.parent_ratio.value)
