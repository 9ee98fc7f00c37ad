"""The matrix and the trees of families, against what was planted."""

import numpy as np
import pytest
from planted_codes import stored_of

from sae_jax.analysis import codes, cooccurrence, families, family_figures

# 0 above 1 and 2, both of which are above 3; 4 above 5, 6 and 7.
EDGES = [[0, 1], [0, 2], [1, 3], [2, 3], [4, 5], [4, 6], [4, 7]]
MADE = {
    "families": [{"parent": 4, "children": [5, 6, 7]}, {"parent": 0, "children": [1, 2, 3]}],
    "edges": EDGES,
}
NAMES = {0: "animal", 3: "$x$"}


def planted(seed=0):
    """Values of 8 latents on 400 rows: a child is on where one of its parents is."""
    rng = np.random.default_rng(seed)
    on = rng.random((400, 8)) < 0.5
    for child in (1, 2, 3, 5, 6, 7):
        parents = [parent for parent, below in EDGES if below == child]
        on[:, child] &= on[:, parents].any(axis=1)
    return np.where(on, rng.random(on.shape) + 0.1, 0.0)


def texts(tree):
    return [tree.text, [texts(child) for child in tree.children]]


@pytest.mark.parametrize("latents", [[3, 0, 5], list(range(8)), [6]])
def test_overlaps_are_those_of_the_dense_rows(latents):
    values = planted()
    values[:, 6] = 0  # never on
    found = family_figures.overlaps(stored_of(values), np.array(latents))
    on = values > 0
    for i, one in enumerate(latents):
        for j, other in enumerate(latents):
            rarer = min(on[:, one].sum(), on[:, other].sum())
            expected = (on[:, one] & on[:, other]).sum() / rarer if rarer else 0
            assert found[i, j] == pytest.approx(expected)


def test_blocks_hold_each_latent_once_in_its_first_family(monkeypatch):
    made = MADE | {"families": [*MADE["families"], {"parent": 8, "children": [3, 5, 9]}]}
    assert [block.latents for block in family_figures.blocks(made)] == [
        [4, 5, 6, 7], [0, 1, 3, 2], [8, 9],
    ]  # fmt: skip
    monkeypatch.setattr(family_figures, "LATENTS_PER_BLOCK", 2)
    monkeypatch.setattr(family_figures, "MOST_BLOCKS", 2)
    assert family_figures.blocks(made) == [(0, [4, 5], 2), (1, [0, 1], 2)]


def test_the_matrix_shows_the_overlaps_with_a_block_for_each_family():
    stored = stored_of(planted())
    axes = family_figures.draw_matrix(MADE, stored, names=NAMES).axes[0]
    (picture,) = axes.images
    shown = np.nan_to_num(picture.get_array().filled(0))
    order = np.array([4, 5, 6, 7, 0, 1, 3, 2])
    expected = family_figures.overlaps(stored, order)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(shown, expected)
    outlines = [(patch.get_x(), patch.get_y(), patch.get_width()) for patch in axes.patches]
    assert outlines == [(-0.5, -0.5, 4), (3.5, 3.5, 4)]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["4", "0 animal"]


def test_a_latent_with_two_parents_stands_below_each():
    trees = family_figures.family_trees(MADE, names=NAMES)
    assert [texts(tree) for tree in trees] == [
        ["4", [["5", []], ["6", []], ["7", []]]],
        ["0 animal", [["1", [["3 $x$", []]]], ["2", [["3 $x$", []]]]]],
    ]
    axes = family_figures.draw_trees(MADE, names=NAMES).axes[0]
    shown = [text.get_text() for text in axes.texts]
    assert sorted(shown) == sorted(["4", "5", "6", "7", "0 animal", "1", "2", "3 $x$", "3 $x$"])
    assert len(axes.lines) == 3 + 4
    heads = [tick.get_text() for tick in axes.get_xticklabels()]
    assert heads == ["parent", "its children", "below these"]


def test_trees_of_planted_codes_are_those_that_were_planted():
    on = cooccurrence.active(stored_of(planted()))
    found = families.find_families(on, least_ratio=1.5)
    made = {
        "edges": found.edges.tolist(),
        "families": [family._asdict() for family in found.families],
    }
    below = {i: {j for parent, j in found.edges.tolist() if parent == i} for i in range(8)}

    def check(tree):
        children = {int(child.text) for child in tree.children}
        assert children == below[int(tree.text)]
        for child in tree.children:
            check(child)

    trees = family_figures.family_trees(made, names={})
    assert {tree.text for tree in trees} >= {"4"}
    for tree in trees:
        check(tree)


def test_what_has_no_place_is_counted():
    children = list(range(1, 12))
    edges = [[0, child] for child in children] + [[9, child] for child in (20, 21, 22, 23)]
    made = {
        "families": [{"parent": 0, "children": [*children, 20, 21, 22, 23]}],
        "edges": edges,
    }
    (tree,) = family_figures.family_trees(made, names={})
    assert tree.n_hidden == 11 - family_figures.MOST_BELOW_ROOT
    first = tree.children[0]  # it has most below it
    assert first.text == "9"
    assert first.n_hidden == 4 - family_figures.MOST_BELOW
    assert "0 (+5)" in [
        text.get_text() for text in family_figures.draw_trees(made).axes[0].texts
    ]


def test_only_the_entries_of_the_chosen_latents_are_read():
    stored = stored_of(planted())
    read = []

    class Watched(codes.StoredCodes):
        def rows_of(self, latent):
            read.append(latent)
            return super().rows_of(latent)

    watched = Watched(**{name: getattr(stored, name) for name in stored.__dataclass_fields__})
    family_figures.overlaps(watched, np.array([2, 5]))
    assert read == [2, 5]
