"""Splitting: planted splits are found, with their trees; where there are none, none are."""

import pathlib

import numpy as np
import pytest
from planted_codes import stored_of

from sae_jax.analysis import (
    concepts,
    matching,
    matching_figures,
    matching_report,
    matching_words,
    splitting,
)
from sae_jax.analysis.matching_runs import Run

N_ROWS = 4_000


def run_of(values, W_dec=None, *, name="run"):
    rng = np.random.default_rng(values.shape[1])
    W_dec = rng.normal(size=(values.shape[1], 30)) if W_dec is None else W_dec
    return Run(name, pathlib.Path(name), W_dec.astype(np.float32), stored_of(values))


def planted(n_latents, *, seed=0):
    rng = np.random.default_rng(seed)
    on = rng.random((N_ROWS, n_latents)) < 0.05
    return on * rng.uniform(0.5, 1, on.shape)


def divided(values, *, latent, into):
    """The values without the latent, and behind them its rows, divided among so many."""
    part = np.arange(len(values)) % into
    pieces = [values[:, latent] * (part == i) for i in range(into)]
    return np.column_stack([np.delete(values, latent, axis=1), *pieces])


@pytest.fixture
def sizes():
    """Latent 0 splits in two, the first of these in three; each time one is new."""
    first = planted(10)
    second = np.column_stack([divided(first, latent=0, into=2), planted(1, seed=1)])
    third = np.column_stack([divided(second, latent=9, into=3), planted(1, seed=2)])
    return [run_of(values, name=f"n{values.shape[1]}") for values in (first, second, third)]


@pytest.fixture
def steps(sizes):
    pairs = [matching.match(*sizes[:2]), matching.match(*sizes[1:])]
    return [splitting.find_step(pair) for pair in pairs]


def test_a_planted_split_is_found_and_nothing_else_is(steps):
    assert steps[0].parent.tolist() == [*range(1, 10), 0, 0, -1]
    found = splitting.measure(steps[0])
    assert (found.n_parents, found.n_larger, found.most_children) == (10, 12, 2)
    assert [one.value for one in (found.split, found.one, found.vanished)] == [0.1, 0.9, 0]
    assert found.novel.value == pytest.approx(1 / 12)
    assert found.children.value == 1.1
    assert found.rows_shared.value == 1
    assert found.rows_shared.null < 0.5
    assert [one.null for one in (found.split, found.one, found.novel)] == [0, 0, 1]


def test_a_tree_leads_through_all_sizes(steps):
    tree = splitting.grow(0, steps)
    assert {child.latent for child in tree.children} == {9, 10}
    below = {child.latent: [one.latent for one in child.children] for child in tree.children}
    assert sorted(below[9]) == [11, 12, 13]
    assert below[10] == [9]
    likeness = [child.similarity for child in tree.children]
    assert likeness == sorted(likeness, reverse=True)
    # A child with half of the rows, and with values like its parent's: about the root of 1/2.
    assert likeness == pytest.approx([0.7, 0.7], abs=0.05)
    assert splitting.ancestors(steps)[[11, 12, 13, 9, 14]].tolist() == [0, 0, 0, 0, -1]
    cut = steps[1]._replace(parent=np.where(steps[1].parent == 9, -1, 10))
    assert splitting.ancestors([steps[0], cut])[[0, 11, 12]].tolist() == [0, -1, -1]
    assert splitting.ancestors([steps[0]._replace(parent=np.arange(12) - 1), cut])[11] == -1


def test_ways_through_all_sizes_are_compared_with_the_direct_one(sizes, steps):
    direct = splitting.find_step(matching.match(sizes[0], sizes[2]))
    assert splitting.consistency(steps, direct).value == 1
    wrong = direct._replace(parent=np.where(direct.parent == 0, 1, direct.parent))
    found = splitting.consistency(steps, wrong)
    n = int(((splitting.ancestors(steps) >= 0) & (wrong.parent >= 0)).sum())
    assert found.value == pytest.approx(1 - (direct.parent == 0).sum() / n)
    assert found.null < found.value


def test_where_nothing_splits_nothing_is_found():
    values = planted(12)
    step = splitting.find_step(matching.match(run_of(values[:, :10]), run_of(values)))
    found = splitting.measure(step)
    assert (found.split.value, found.vanished.value, found.one.value) == (0, 0, 1)
    assert found.novel.value == pytest.approx(2 / 12)
    stranger = splitting.find_step(matching.match(run_of(values), run_of(planted(24, seed=9))))
    found = splitting.measure(stranger)
    assert (found.vanished.value, found.novel.value, found.children.value) == (1, 1, 0)
    assert np.isnan(found.rows_shared.value)


def test_the_least_similarity_decides_who_is_a_child(sizes):
    pair = matching.match(*sizes[:2])
    strict = splitting.find_step(pair, least=0.9)
    assert strict.parent.tolist() == [*range(1, 10), -1, -1, -1]
    assert splitting.measure(strict).vanished.value == 0.1


def test_by_decoder_children_point_where_their_parent_does():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(6, 30))
    children = np.repeat(rows, 2, axis=0) + 0.3 * rng.normal(size=(12, 30))
    children[11] = rng.normal(size=30)
    pair = matching.match(run_of(planted(6), rows), run_of(planted(12, seed=1), children))
    step = splitting.find_step(pair, way="decoder")
    assert step.parent.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, -1]
    assert splitting.find_step(pair).links.shape == (0, 2)


def test_scattered_links_leave_as_many_without_as_a_draw_does():
    drawn = np.random.default_rng(0).integers(50, size=(4_000, 60))
    n = np.stack([np.bincount(own, minlength=50) for own in drawn])
    values = planted(50)
    pair = matching.match(
        run_of(values), run_of(np.column_stack([values, planted(10, seed=3)]))
    )
    step = splitting.find_step(pair)._replace(parent=np.arange(60) % 50)
    found = splitting.measure(step).scattered
    for name, share in (("split", n >= 2), ("one", n == 1), ("vanished", n == 0)):
        # 4,000 draws of 50 latents: sure to a thousandth.
        assert found[name] == pytest.approx(share.mean(), abs=0.004)


def test_rows_shared_are_counted_row_by_row(sizes):
    dense = np.zeros((2, N_ROWS, 15), bool)
    for place, run in enumerate(sizes[1:]):
        for latent in range(run.stored.manifest.n_latents):
            dense[place, run.stored.rows_of(latent), latent] = True
    links = np.array([[3, 5], [9, 11], [11, 0]])
    found = splitting.rows_shared(links, sizes[1].stored, sizes[2].stored)
    for share, (parent, child) in zip(found, links, strict=True):
        assert share == dense[0, dense[1, :, child], parent].mean()


# Ten leaves under each of b, c and d; b and c under a.
IDS = ["a", "b", "c", "d", *(f"leaf{i}" for i in range(30))]
PARENTS = {"a": [], "b": ["a"], "c": ["a"], "d": []} | {
    f"leaf{i}": ["bcd"[i // 10]] for i in range(30)
}


def test_splitting_follows_a_true_hierarchy_where_children_are_below():
    truth = concepts.make_concepts(IDS, names=IDS, parents=PARENTS, least_rows=8)
    belongs = {name: truth.members[:, [i]].toarray() > 0 for i, name in enumerate(truth.ids)}
    smaller = run_of(np.column_stack([belongs[name] for name in "ad"]) * 1.0)
    larger = run_of(np.column_stack([belongs[name] for name in "bcd"]) * 1.0)
    step = splitting.find_step(matching.match(smaller, larger))
    assert step.parent.tolist() == [0, 0, 1]
    found = splitting.follow_truth(step, truth)
    assert found[:4] == (3, pytest.approx(1 / 3), pytest.approx(2 / 3), 0)
    assert found.null < 0.9
    back = splitting.find_step(matching.match(larger, smaller), least=0.1)
    assert splitting.follow_truth(back, truth).below == 0.5
    none = step._replace(parent=np.full(3, -1))
    assert splitting.follow_truth(none, truth).n_links == 0


def test_figures_show_what_was_found(sizes):
    compared = matching_report.compare([sizes[1], sizes[0], sizes[2]], say=str)
    assert [step.smaller.name for step in compared.steps] == ["n10", "n12"]
    made = matching_report.make(compared, concepts=None)
    trees = matching_figures.draw_trees(made).axes[0]
    shown = [text.get_text() for text in trees.texts]
    assert shown.count("0") == 1  # the one root that has split, and its six below
    assert len(shown) == 7
    assert len(trees.lines) == 6
    assert [tick.get_text() for tick in trees.get_xticklabels()] == [
        "10 latents", "12 latents", "15 latents",
    ]  # fmt: skip
    panels = matching_figures.draw_similarities(made).axes
    assert len(panels) == 2 * 2 * 2  # pairs, directions, ways
    assert panels[0].get_title(loc="left") == "n12 to n10"
    counts = made["pairs"][0]["activation"]["forward"]["histogram"]["n_latents"]
    assert sum(counts) == 12
    np.testing.assert_array_equal(panels[0].patches[1].get_data().values, counts)


def test_of_three_runs_two_of_one_size_are_not_a_step_but_two_alone_are_a_control(sizes):
    again = sizes[0]._replace(name="again")
    compared = matching_report.compare([*sizes, again], say=str)
    assert compared.steps == []
    assert matching_report.make(compared, concepts=None)["splitting"] is None
    made = matching_report.make(
        matching_report.compare([sizes[0], again], say=str), concepts=None
    )
    (step,) = made["splitting"]["steps"]
    assert (step["split"]["value"], step["one"]["value"], step["novel"]["value"]) == (0, 1, 0)
    assert "Both are of one size" in matching_words.describe(made)


def test_of_fewer_than_ten_latents_a_number_is_said_without_an_interval():
    first = planted(6)
    second, third = divided(first, latent=0, into=2), np.roll(first, 7, axis=0)[:, :5]
    runs = [run_of(values, name=f"n{values.shape[1]}") for values in (first, second, third)]
    two = matching_report.compare(runs[:2], say=str)
    said = matching_words.describe(matching_report.make(two, concepts=None))
    assert "16.7 % (0.0 %) split into two or more" in said
    assert "a child's parent is on for 100.0 % (" in said
    assert "None" not in said
    # n5 is like nothing: no latent has an ancestor in it.
    three = matching_report.compare(runs, say=str)
    made = matching_report.make(three, concepts=None)
    assert made["splitting"]["consistency"]["value"] is None
    assert "the same ancestor" not in matching_words.describe(made)
