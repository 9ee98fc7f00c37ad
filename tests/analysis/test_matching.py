"""Latents of two runs: dense cosines agree, planted matches are found, chance makes none."""

import pathlib
from dataclasses import replace

import numpy as np
import pytest
from planted_codes import stored_of

from sae_jax.analysis import matching, matching_report
from sae_jax.analysis.matching_runs import Run
from sae_jax.errors import UsageError


def run_of(values, W_dec, *, folder="run", corpus="corpus"):
    stored = stored_of(values)
    manifest = replace(stored.manifest, data_fingerprint=corpus, shards=f"data/{corpus}")
    stored = replace(stored, manifest=manifest, folder=pathlib.Path(folder, "codes", corpus))
    return Run(pathlib.Path(folder).name, pathlib.Path(folder), W_dec, stored)


def random_values(rng, n_rows=3_000, n_latents=60):
    density = rng.uniform(0.005, 0.3, n_latents)
    on = rng.random((n_rows, n_latents)) < density
    return on * rng.uniform(0.1, 1, on.shape)


def random_rows(rng, n=60, d_in=12):
    """Directions of a space that is wide along few axes, as embeddings' is; not unit."""
    rows = rng.normal(size=(n, d_in)) * np.linspace(3, 0.3, d_in) + 0.5
    return rows.astype(np.float32)


def random_run(seed, *, folder="run", **sizes):
    rng = np.random.default_rng(seed)
    values = random_values(rng, **sizes)
    return run_of(values, random_rows(rng, n=values.shape[1]), folder=folder)


def dense(run):
    values = np.zeros((run.stored.manifest.n_rows, run.stored.manifest.n_latents))
    for latent in range(values.shape[1]):
        values[run.stored.rows_of(latent), latent] = run.stored.values_of(latent)
    return values


def test_the_nearest_are_those_of_dense_products(monkeypatch):
    monkeypatch.setattr(matching, "LATENTS_AT_ONCE", 7)
    one, other = random_run(0), random_run(1, n_latents=45)
    a, b = dense(one), dense(other)
    unit = [run.W_dec / np.linalg.norm(run.W_dec, axis=1)[:, None] for run in (one, other)]
    likeness = {
        "activation": np.corrcoef(a.T, b.T)[:60, 60:],
        "decoder": unit[0] @ unit[1].T,
    }
    pair = matching.match(one, other)
    for way, similarity in likeness.items():
        for direction, own in (("forward", similarity), ("backward", similarity.T)):
            found = getattr(pair.real[way], direction)
            np.testing.assert_array_equal(found.latent, own.argmax(axis=1))
            # float32 products of 12 numbers, and of values stored as float32
            np.testing.assert_allclose(found.similarity, own.max(axis=1), atol=1e-5)
            mutual = own.argmax(axis=0)[own.argmax(axis=1)] == np.arange(len(own))
            np.testing.assert_array_equal(found.mutual, mutual)
            assert 0 < mutual.sum() < len(own)
            least = float(np.median(own.max(axis=1)))
            np.testing.assert_array_equal(
                found.same(least=least), mutual & (found.similarity >= least)
            )


def test_latents_in_another_order_match_in_full():
    one = random_run(0)
    order = np.random.default_rng(5).permutation(60)
    other = run_of(dense(one)[:, order] * 2, 3 * one.W_dec[order])
    pair = matching.match(one, other)
    for way in matching.WAYS:
        found = pair.real[way].forward
        np.testing.assert_array_equal(order[found.latent], np.arange(60))
        assert found.mutual.all()
        np.testing.assert_allclose(found.similarity, 1, atol=1e-5)
        summary = matching.summarise(found, pair.null[way].forward)
        assert summary.mutual["0.9"][:3] == (1, 1, 1)
        assert summary.mutual["0.9"].null < 0.2
        assert summary.median.value > summary.median.null + 0.1
        assert summary.same_number == (order == np.arange(60)).mean()


@pytest.mark.parametrize("seed", range(3))
def test_latents_that_have_nothing_in_common_are_as_alike_as_by_chance(seed):
    one = random_run(seed, n_rows=10_000, n_latents=300)
    other = random_run(seed + 100, n_rows=10_000, n_latents=300)
    pair = matching.match(one, other)
    for way in matching.WAYS:
        real, null = pair.real[way].forward.similarity, pair.null[way].forward.similarity
        # The medians of 300: each is sure to two hundredths of what it is.
        assert np.median(real) == pytest.approx(np.median(null), rel=0.1)
        summary = matching.summarise(pair.real[way].forward, pair.null[way].forward)
        for share in summary.mutual.values():
            assert share.value <= share.null + 0.05


def test_chance_knows_that_the_space_is_wide_along_few_axes_only():
    rng = np.random.default_rng(0)
    rows = random_rows(rng, n=4_000)
    drawn = matching.alike(rows / np.linalg.norm(rows, axis=1)[:, None], rng=rng)
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1, rtol=1e-5)
    of = [np.linalg.eigvalsh(np.cov(one.T)) for one in (rows, drawn)]
    assert of[0][-1] / of[0][0] > 20
    assert of[1][-1] / of[1][0] > 20
    sphere = rng.normal(size=rows.shape)
    sphere /= np.linalg.norm(sphere, axis=1)[:, None]
    assert np.median((drawn[:99] @ drawn.T).max(axis=1)) > np.median(
        (sphere[:99] @ drawn.T).max(axis=1)
    )


def test_chance_leaves_each_latent_its_values_and_its_company():
    one = random_run(0)
    values = dense(one)
    values[:, 1] = values[:, 0] * (np.arange(len(values)) % 3 > 0)
    one = run_of(values, one.W_dec)
    pair = matching.match(one, one)
    null = pair.null["activation"].forward.similarity
    assert np.nanmax(null) < 0.2  # not even a latent with itself
    assert pair.real["activation"].forward.similarity == pytest.approx(1)


def test_latents_that_are_on_nearly_everywhere_are_not_alike_for_that():
    rng = np.random.default_rng(0)
    values = [(rng.random((5_000, 2)) < 0.9) * 1.0 for _ in range(2)]
    cosine = values[0][:, 0] @ values[1][:, 0] / (0.9 * 5_000)
    runs = [run_of(own, random_rows(rng, n=2)) for own in values]
    found = matching.match(*runs).real["activation"].forward
    assert cosine > 0.85
    assert found.similarity.max() < 0.1
    everywhere = run_of(np.ones((5_000, 2)), random_rows(rng, n=2))
    found = matching.match(runs[0], everywhere).real["activation"].forward
    np.testing.assert_array_equal(found.similarity, 0)


def test_latents_that_are_never_on_match_nothing_and_are_counted():
    one, other = random_run(0), random_run(1)
    values = dense(other)
    values[:, [3, 9]] = 0
    W_dec = other.W_dec.copy()
    W_dec[3] = one.W_dec[5]
    pair = matching.match(one, run_of(values, W_dec))
    for way in matching.WAYS:
        assert not np.isin(pair.real[way].forward.latent, [3, 9]).any()
        back = pair.real[way].backward
        assert back.latent[[3, 9]].tolist() == [-1, -1]
        assert np.isnan(back.similarity[[3, 9]]).all()
        assert not back.mutual[[3, 9]].any()
        summary = matching.summarise(back, pair.null[way].backward)
        assert (summary.n_latents, summary.n_dead) == (58, 2)


def test_universal_latents_are_in_every_run():
    one = random_run(0)
    others = []
    for own in (range(40), range(20, 60)):  # so many latents of the first run, and noise
        values = dense(random_run(7 + len(others)))
        values[:, list(own)] = dense(one)[:, list(own)]
        W_dec = random_rows(np.random.default_rng(len(others)))
        W_dec[list(own)] = one.W_dec[list(own)]
        others.append(run_of(values, W_dec))
    pairs = [matching.match(one, other) for other in others]
    found = matching.universality(pairs, way="activation")
    assert (found["every"].value, found["any"].value) == (20 / 60, 1)
    assert found["every"].low < 20 / 60 < found["every"].high
    assert found["any"].null == 0
    strict = matching.universality(pairs, way="decoder", least=1.01)
    assert strict["any"].value == 0


def test_the_seed_draws_what_chance_gives():
    one, other = random_run(0), random_run(1)
    null = [matching.match(one, other, seed=seed).null for seed in (0, 0, 1)]
    for way in matching.WAYS:
        same, again, else_ = (own[way].forward.similarity for own in null)
        np.testing.assert_array_equal(same, again)
        assert (same != else_).any()


def test_codes_of_two_corpora_are_not_matched_and_it_is_said_which_to_make():
    one = random_run(0, folder="runs/a")
    other = run_of(dense(one), one.W_dec, folder="runs/b", corpus="else")
    with pytest.raises(UsageError, match="sae-jax encode runs/b --shards=data/corpus"):
        matching.match(one, other)


def test_rows_of_two_widths_are_not_matched():
    one = random_run(0)
    with pytest.raises(UsageError, match="are 5 wide; those of run are 12"):
        matching.match(one, one._replace(W_dec=one.W_dec[:, :5]))


def test_a_run_without_a_latent_that_is_on_is_named():
    one = random_run(0)
    with pytest.raises(UsageError, match="0 of 60 latents are ever on"):
        matching.match(one, run_of(0 * dense(one), one.W_dec))


def test_runs_of_one_name_have_files_of_their_own():
    runs = [random_run(0, folder=folder) for folder in ("x/a", "x/b", "y/b")]
    names = [matching_report.file_name([runs[0], other]) for other in runs[1:]]
    assert [name[:2] for name in names] == ["b-", "b-"]
    assert names[0] != names[1]
    many = [runs[0], *[random_run(0, folder=f"x/{'long' * 9}{i}") for i in range(9)]]
    assert len(matching_report.file_name(many)) < 200
