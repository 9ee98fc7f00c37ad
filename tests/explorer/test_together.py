"""Who is on with whom, in a family."""

import itertools

import numpy as np
import pytest
from planted_codes import stored_of

from sae_jax.explorer import together
from sae_jax.search.families import sums

MEMBERS = [3, 9, 11, 20, 21]


def overlap_of(dense, one, other):
    both = np.count_nonzero((dense[:, one] > 0) & (dense[:, other] > 0))
    rarer = min(np.count_nonzero(dense[:, latent] > 0) for latent in (one, other))
    return both / max(rarer, 1)


def test_overlap_is_the_share_of_the_rarer_ones_rows(opened, dense):
    found = together.overlap(opened.stored, MEMBERS).toarray()
    expected = [
        [0.0 if one == other else overlap_of(dense, one, other) for other in MEMBERS]
        for one in MEMBERS
    ]
    assert np.max(expected) > 0
    np.testing.assert_allclose(found, expected, rtol=1e-6)  # float32


def test_the_ratio_is_of_means_with_the_parent_and_among_the_children(opened, dense):
    parent = np.mean([overlap_of(dense, 3, child) for child in MEMBERS[1:]])
    among = np.mean([overlap_of(dense, *two) for two in itertools.combinations(MEMBERS[1:], 2)])
    assert together.ratio(opened.stored, MEMBERS) == pytest.approx(parent / among, rel=1e-6)


def test_children_that_are_never_on_together_have_no_ratio():
    values = np.zeros((4, 3))
    values[:, 0], values[0, 1], values[1, 2] = 1, 1, 1
    assert np.isnan(together.ratio(stored_of(values), [0, 1, 2]))


def test_what_is_alike_stands_together():
    group = np.array([0, 1, 0, 1, 1, 0])
    found = together.ordered(np.where(group[:, None] == group, 0.8, 0.1))
    assert sorted(found) == list(range(6))
    assert np.count_nonzero(np.diff(group[found])) == 1


def test_two_are_in_their_own_order():
    assert together.ordered(np.eye(2)) == [0, 1]
    assert together.ordered(np.zeros((0, 0))) == []


def test_sums_are_of_the_members_values_in_each_row(opened, dense):
    found = sums(opened.stored, MEMBERS)
    expected = dense[:, MEMBERS].sum(axis=1)
    np.testing.assert_array_equal(found.rows, np.flatnonzero(expected))
    np.testing.assert_allclose(found.sums, expected[found.rows], rtol=1e-6)  # float32
