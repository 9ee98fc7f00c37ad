import numpy as np
import pytest

from sae_jax.data import permutation


def order(size, seed=0):
    return permutation.permute(np.arange(size), size=size, key=permutation.key(seed))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 1000, 4097, 70_000])
def test_it_is_a_permutation_of_any_size(size):
    assert sorted(order(size).tolist()) == list(range(size))


def test_it_does_not_depend_on_which_places_are_asked_for_together():
    whole = order(1000)
    places = np.array([999, 0, 17, 17, 500])
    key = permutation.key(0)
    np.testing.assert_array_equal(
        permutation.permute(places, size=1000, key=key), whole[places]
    )


def test_keys_depend_on_every_word_and_their_order():
    keys = [
        permutation.key(*words) for words in [(1, 2), (2, 1), (1,), (1, 2, 0), (12,), (-1, 2)]
    ]
    assert len(set(keys)) == len(keys)
    assert all(0 <= key < 2**64 for key in keys)


def test_other_keys_give_other_orders():
    assert len({order(1000, seed).tobytes() for seed in range(200)}) == 200


def test_elements_move_as_far_as_in_a_true_shuffle():
    """The mean of |i - p(i)| over uniform permutations is (n² - 1) / 3n."""
    size, n_keys = 5_000, 100
    moved = [np.abs(order(size, seed) - np.arange(size)).mean() for seed in range(n_keys)]
    # Over 100 keys the mean's own spread is 0.1 %: 0.5 % is five of it.
    assert np.mean(moved) == pytest.approx((size**2 - 1) / (3 * size), rel=5e-3)


def test_neighbours_do_not_stay_together():
    """A true shuffle leaves 2 pairs of neighbours adjacent on average, whatever its size."""
    adjacent = [(np.abs(np.diff(order(4096, seed))) == 1).sum() for seed in range(200)]
    assert np.mean(adjacent) == pytest.approx(2, abs=0.5)  # its standard error is 0.1


@pytest.mark.parametrize("size", [10, 16, 100, 1000])
def test_every_element_comes_first_equally_often(size):
    n_keys = 40 * size if size < 1000 else 20_000
    place = np.zeros(1, np.int64)
    first = [
        int(permutation.permute(place, size=size, key=permutation.key(seed))[0])
        for seed in range(n_keys)
    ]
    counts = np.bincount(first, minlength=size)
    chi_square = ((counts - n_keys / size) ** 2).sum() / (n_keys / size)
    assert chi_square < size - 1 + 5 * np.sqrt(2 * size)


def test_large_sizes_stay_in_range():
    size = 10**12 + 39
    places = np.linspace(0, size - 1, 5_000).astype(np.int64)
    found = permutation.permute(places, size=size, key=7)
    assert found.min() >= 0
    assert found.max() < size
    assert len(np.unique(found)) == 5_000
