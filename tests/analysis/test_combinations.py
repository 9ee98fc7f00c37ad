"""The few features chosen are those of a pursuit on the centred matrix itself."""

import numpy as np
import pytest
from planted_codes import stored_of
from scipy import sparse

from sae_jax.analysis import combinations, concepts, coverage, directions, scorers
from sae_jax.data.shards import open_shards

SIZES = (1, 3)


def case(seed, n_rows=300, n_features=12):
    rng = np.random.default_rng(seed)
    values = rng.random((n_rows, n_features)) * (rng.random((n_rows, n_features)) < 0.3)
    belongs = rng.random((n_rows, 4)) < 0.3
    if n_features > 7:
        belongs[:, 0] = (values[:, 2] > 0) | (values[:, 7] > 0)
    members = sparse.csr_array(belongs.astype(np.int32))
    names = [str(i) for i in range(4)]
    above = sparse.csr_array((4, 4))
    return (
        values.astype(np.float32),
        concepts.Concepts(names, names, members, above),
        rng.random(n_rows) < 0.2,
    )


def pursuit(x, y, *, n):
    """Of centred columns: the textbook's loop, by least squares on the matrix itself."""
    x, y, chosen = x - x.mean(axis=0), y - y.mean(), []
    left = y
    for _ in range(n):
        likeness = np.abs(x.T @ left) / np.linalg.norm(x, axis=0)
        likeness[chosen] = -1
        chosen.append(int(likeness.argmax()))
        weights = np.linalg.lstsq(x[:, chosen], y, rcond=None)[0]
        left = y - x[:, chosen] @ weights
    return chosen, weights


@pytest.mark.parametrize("seed", range(4))
def test_latents_are_chosen_as_on_the_matrix(seed):
    values, found, held_out = case(seed)
    latents = scorers.StoredLatents(stored_of(values))
    by_size = combinations.among_latents(
        latents, concepts=found, held_out=held_out, sizes=SIZES
    )
    for n, chosen in zip(SIZES, by_size, strict=True):
        for concept, own in enumerate(chosen):
            y = found.members.toarray()[~held_out, concept].astype(float)
            members, weights = pursuit(values[~held_out].astype(float), y, n=n)
            assert own.features.tolist() == members
            # The ridge is 1e-4 of a variance.
            np.testing.assert_allclose(own.weights, weights, rtol=2e-3, atol=2e-4)


def test_two_latents_that_make_up_a_concept_are_found_and_say_it_all():
    values, found, held_out = case(0)
    latents = scorers.StoredLatents(stored_of(values))
    (one, two) = combinations.among_latents(
        latents, concepts=found, held_out=held_out, sizes=(1, 2)
    )
    assert set(two[0].features.tolist()) == {2, 7}
    f1 = {
        n: coverage.judge(latents.summed(own), concepts=found, held_out=held_out).f1[0]
        for n, own in ((1, one), (2, two))
    }
    assert f1[1] < 0.9 < f1[2] == 1.0


def test_directions_are_chosen_as_on_the_projections(tmp_path):
    values, found, held_out = case(1)
    np.save(tmp_path / "x.npy", values)
    reader = open_shards(tmp_path)
    moments = directions.moments(reader, concepts=found, held_out=held_out)
    own = directions.random(n=9, d_in=12, seed=3)
    kind = scorers.Directions(scorers.scores_in(reader), own)
    (three,) = combinations.among_directions(kind, moments=moments, sizes=(3,))
    projected = (values @ own.T).astype(float)
    for concept, chosen in enumerate(three):
        y = found.members.toarray()[~held_out, concept].astype(float)
        members, weights = pursuit(projected[~held_out], y, n=3)
        assert chosen.features.tolist() == members
        np.testing.assert_allclose(chosen.weights, weights, rtol=2e-3, atol=2e-4)
        (summed,) = kind.summed([chosen])
        expected = projected[:, members] @ chosen.weights
        np.testing.assert_allclose(summed.scores, expected, rtol=1e-4, atol=1e-5)


def test_more_features_than_there_are_take_all_that_vary():
    values, found, held_out = case(2, n_features=3)
    values[:, 1] = 0
    latents = scorers.StoredLatents(stored_of(values))
    (all_of_them,) = combinations.among_latents(
        latents, concepts=found, held_out=held_out, sizes=(5,)
    )
    assert all(set(own.features.tolist()) <= {0, 2} for own in all_of_them)


def test_where_no_latent_varies_there_is_none_and_nothing_is_found():
    values, found, held_out = case(3, n_features=2)
    latents = scorers.StoredLatents(stored_of(np.zeros_like(values)))
    (none,) = combinations.among_latents(latents, concepts=found, held_out=held_out, sizes=(1,))
    assert [own.features.tolist() for own in none] == [[]] * 4
    judged = coverage.judge(latents.summed(none), concepts=found, held_out=held_out)
    assert (judged.f1 == 0).all()
