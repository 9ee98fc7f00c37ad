"""Steering against its formulas in NumPy, and re-encoding on a planted dictionary."""

import numpy as np
import pytest

from sae_jax.errors import UsageError
from sae_jax.search.families import Family
from sae_jax.search.query import of_latent, of_vector
from sae_jax.search.steer import Mode, code_error, re_encode, steer


@pytest.fixture
def query(dictionary):
    vector = np.random.default_rng(3).normal(size=24).astype(np.float32)
    return of_vector(vector / np.linalg.norm(vector), dictionary=dictionary, origin="a test")


def off(query, n=1):
    return [latent for latent in range(32) if latent not in query.code][:n]


@pytest.mark.parametrize("mode", [Mode.ADJUST, Mode.RE_ENCODE])
def test_neutral_sliders_leave_the_query_as_it_is(query, dictionary, mode):
    natural = {i: 100 * z / float(dictionary.highest[i]) for i, z in query.code.items()}
    for sliders in ({}, natural, {off(query)[0]: 0}):
        steered = steer(query, sliders, dictionary=dictionary, mode=mode)
        assert steered.vector is query.vector
        assert steered.deltas == {}
        assert steered.fidelity == pytest.approx(1)


def test_adjust_moves_along_the_features_and_keeps_the_rest(query, dictionary):
    on, (new,) = next(iter(query.code)), off(query)
    steered = steer(query, {on: -50, new: 140.5}, dictionary=dictionary)
    wanted = {on: -0.5 * dictionary.highest[on], new: 1.405 * dictionary.highest[new]}
    expected = query.vector.astype(np.float64)
    for latent, value in wanted.items():
        natural = query.code.get(latent, 0.0)
        expected = expected + (value - natural) * dictionary.W_dec[latent]
    np.testing.assert_allclose(steered.vector, expected, atol=1e-6)
    assert {i: steered.code[i] for i in wanted} == pytest.approx(wanted)
    norms = np.linalg.norm(expected) * np.linalg.norm(query.vector)
    assert steered.fidelity == pytest.approx(expected @ query.vector / norms, abs=1e-6)


def test_only_is_the_decoded_code_without_the_residual(query, dictionary):
    (new,) = off(query)
    steered = steer(query, {new: 80}, dictionary=dictionary, mode=Mode.ONLY)
    code = query.code | {new: 0.8 * float(dictionary.highest[new])}
    expected = dictionary.b_dec + sum(v * dictionary.W_dec[i] for i, v in code.items())
    np.testing.assert_allclose(steered.vector, expected, atol=1e-6)


def test_the_members_own_slider_wins_over_its_family(query, dictionary):
    a, b, c = off(query, n=3)
    family = Family(0, [a, b], highest=0.6)
    alone = steer(query, {}, dictionary=dictionary, families=[(family, 50)])
    assert set(alone.deltas) == {a, b}
    both = steer(query, {a: 100, c: 10}, dictionary=dictionary, families=[(family, 50)])
    assert both.deltas[a] == pytest.approx(dictionary.highest[a])
    assert both.deltas[b] == alone.deltas[b]
    assert set(both.deltas) == {a, b, c}
    # Set to its own value in the query it stays there, though its family moves.
    kept = steer(query, {a: 0}, dictionary=dictionary, families=[(family, 50)])
    assert set(kept.deltas) == {b}


def test_a_member_of_two_families_follows_the_one_that_moves_it_furthest(query, dictionary):
    a, b, c = off(query, n=3)
    families = [(Family(0, [a, b], highest=0.6), 50), (Family(1, [a, c], highest=0.6), 90)]
    one, other = (steer(query, {}, dictionary=dictionary, families=[own]) for own in families)
    for order in (families, families[::-1]):
        both = steer(query, {}, dictionary=dictionary, families=order)
        assert both.deltas == {a: other.deltas[a], b: one.deltas[b], c: other.deltas[c]}


def test_re_encoding_reaches_the_wanted_code_with_falling_errors(query, dictionary):
    first, second = list(query.code)[:2]
    (new,) = off(query)
    steered = steer(query, {first: 0, new: 120}, dictionary=dictionary, mode=Mode.RE_ENCODE)
    assert steered.errors[0] > 0.01  # the directions overlap: adjusting alone does not do it
    assert steered.errors == sorted(steered.errors, reverse=True)
    assert steered.errors[-1] < 1e-6
    found = dictionary.encode(steered.vector)
    assert found[new] == pytest.approx(1.2 * dictionary.highest[new], rel=1e-3)
    assert found.get(first, 0.0) == pytest.approx(0, abs=1e-3)
    assert found[second] == pytest.approx(query.code[second], rel=1e-2)
    error = code_error(found, {i: v for i, v in steered.code.items() if v})
    assert error == pytest.approx(steered.errors[-1], abs=1e-9)


def test_re_encoding_keeps_the_latents_of_sliders_and_drops_the_weakest_beyond_k(
    query, dictionary
):
    assert len(query.code) == 4  # k
    (new,) = off(query)
    steered = steer(query, {new: 2}, dictionary=dictionary, mode=Mode.RE_ENCODE)
    weakest = min(query.code, key=lambda latent: query.code[latent])
    on = {latent for latent, value in steered.code.items() if value}
    assert on == {new, *query.code} - {weakest}


def test_re_encoding_what_is_reached_already_takes_no_step(query, dictionary):
    vector, errors = re_encode(query.vector, query.code, dictionary=dictionary)
    assert vector is query.vector
    assert errors == [0]


def test_re_encoding_refuses_values_that_no_code_has(query, dictionary):
    (new,) = off(query)
    with pytest.raises(UsageError, match=rf"no values below 0, as is asked of latent {new} "):
        steer(query, {new: -20}, dictionary=dictionary, mode=Mode.RE_ENCODE)


@pytest.mark.parametrize("percent", [-101, 300.5, float("nan"), float("inf")])
def test_a_value_out_of_range_is_refused_with_the_range(query, dictionary, percent):
    with pytest.raises(UsageError, match=r"latent 3 is set to .* %; expected -100 to 300"):
        steer(query, {3: percent}, dictionary=dictionary)
    family = Family(7, [1, 2], highest=0.6)
    with pytest.raises(UsageError, match=r"family 7 is set to .* %; expected -100 to 300"):
        steer(query, {}, dictionary=dictionary, families=[(family, percent)])


def test_a_latent_that_is_not_there_is_refused(query, dictionary):
    with pytest.raises(UsageError, match="no latent 32"):
        steer(query, {32: 10}, dictionary=dictionary)


def test_sliders_that_leave_nothing_are_refused(dictionary):
    query = of_latent(3, dictionary=dictionary)
    for mode in (Mode.ADJUST, Mode.ONLY):
        with pytest.raises(UsageError, match="the sliders leave nothing of latent 3"):
            steer(query, {3: 0}, dictionary=dictionary, mode=mode)
