"""The parts of a score are those of its formula, and add up to it."""

import numpy as np
import pytest

from sae_jax.search.steer import Mode


@pytest.mark.parametrize("mode", list(Mode))
def test_the_parts_add_up_to_the_score(search, mode):
    query = search.row(5)
    on, weakest = next(iter(query.code)), list(query.code)[-1]
    steered = search.steer(query, {on: 20, weakest: 150, 3: 80}, mode=mode)
    for hit in search.hits(steered, k=20):
        assert hit.explanation.score == pytest.approx(hit.score, abs=1e-5)  # of float32


def test_each_part_is_the_product_that_it_says(search, unit_rows):
    dictionary, query = search.dictionary, search.row(5)
    steered = search.steer(query, {3: 80}, mode=Mode.ADJUST)
    (hit,) = search.hits(steered, k=1)
    x, q = unit_rows[hit.row], query.vector.astype(np.float64)
    scale, W_dec = 1 / np.linalg.norm(q), dictionary.W_dec.astype(np.float64)
    found = {one.latent: one for one in hit.explanation.latents}
    assert set(found) == {3, *query.code}
    for latent, one in found.items():
        z = query.code.get(latent, 0.0)
        assert one.natural == pytest.approx(scale * z * W_dec[latent] @ x, abs=1e-6)
        change = 0.8 * dictionary.highest[3] - z if latent == 3 else 0.0
        assert one.change == pytest.approx(scale * change * W_dec[latent] @ x, abs=1e-6)
        assert one.total == one.natural + one.change
    bias = scale * dictionary.b_dec @ x
    assert hit.explanation.bias == pytest.approx(bias, abs=1e-6)
    decoded = dictionary.b_dec + sum(z * W_dec[i] for i, z in query.code.items())
    residual = scale * (q - decoded) @ x
    assert hit.explanation.residual == pytest.approx(residual, abs=1e-6)
    sizes = [abs(one.total) for one in hit.explanation.latents]
    assert sizes == sorted(sizes, reverse=True)


def test_only_features_leaves_no_residual(search):
    steered = search.steer(search.row(5), {3: 80}, mode=Mode.ONLY)
    for hit in search.hits(steered):
        assert hit.explanation.residual == pytest.approx(0, abs=1e-6)


def test_a_query_from_features_alone_has_neither_bias_nor_residual(search):
    for mode in (Mode.ADJUST, Mode.ONLY):
        steered = search.steer(search.latent(3), {}, mode=mode)
        assert steered.fidelity == pytest.approx(1)
        (hit,) = search.hits(steered, k=1)
        assert hit.explanation.bias == 0
        assert hit.explanation.residual == pytest.approx(0, abs=1e-6)
        assert hit.explanation.latents[0].natural == pytest.approx(hit.score, abs=1e-6)
