"""Curves begin clean, and each is what its definition gives at one level."""

import numpy as np
import pytest
from tiny import planted_rows, train

from sae_jax.analysis import classes, concepts, coverage, probes, retrieval, robustness, scorers
from sae_jax.analysis.robustness import CORRUPTIONS, Corruption, Single
from sae_jax.analysis.scorers import Weighted
from sae_jax.data.shards import open_shards
from sae_jax.notebook import load


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    folder = tmp_path_factory.mktemp("robustness")
    np.save(folder / "a.npy", planted_rows(2_000))
    reader = open_shards(folder)
    mean = reader.read(np.arange(2_000)).mean(axis=0)
    return robustness.Curves(
        load(train(folder, folder / "run", n_steps=200)), reader, mean=mean, seed=0
    )


def test_noise_has_the_length_that_it_says_and_dropped_coordinates_are_the_mean():
    rng = np.random.default_rng(0)
    x, mean = rng.normal(size=(4_000, 20)), np.full(20, 7.0)
    noisy = Corruption("noise", 0.4)(x, mean=mean, spread=3.0, rng=rng)
    length = np.sqrt(np.sum((noisy - x) ** 2, axis=1).mean())
    assert length == pytest.approx(0.4 * 3.0, rel=0.02)
    dropped = Corruption("dropped", 0.2)(x, mean=mean, spread=3.0, rng=rng)
    changed = dropped != x.astype(np.float32)
    assert changed.mean() == pytest.approx(0.2, abs=0.01)
    assert (dropped[changed] == 7).all()


def test_without_corruption_nothing_changes(curves):
    clean = curves.rows[0]
    np.testing.assert_array_equal(clean.x, curves.reader.read(curves.row_ids))
    assert curves.latents_kept()[0] == (1, 1, 1)
    assert curves.reconstruction()["embeddings"][0].value == 0


def test_curves_are_those_of_a_loop_over_rows(curves):
    at = next(i for i, one in enumerate(CORRUPTIONS) if one == ("noise", 0.4))
    rows, clean = curves.rows[at], curves.rows[0]
    x_hat = np.asarray(curves.sae.decode(curves.sae.encode(rows.x)))
    spread = np.sum((clean.x - curves.mean) ** 2)
    fvu = curves.reconstruction()
    assert fvu["reconstruction"][at].value == pytest.approx(
        np.sum((clean.x - x_hat) ** 2) / spread, rel=1e-4
    )
    assert fvu["embeddings"][at].value == pytest.approx(0.16, rel=0.1)
    shares = []
    for old, new in zip(clean.codes, rows.codes, strict=True):
        assert len(old) == len(new)
    for i in range(len(clean.x)):
        old, new = (
            {
                int(latent)
                for latent, value in zip(codes.indices[i], codes.values[i], strict=True)
                if value > 0
            }
            for codes in (clean.codes, rows.codes)
        )
        shares.append(len(old & new) / max(len(old), 1))
    assert curves.latents_kept()[at].value == pytest.approx(np.mean(shares))


def test_more_corruption_leaves_less(curves):
    n_noise = sum(one.kind == "noise" for one in CORRUPTIONS)
    x = curves.reader.read(np.arange(2_000))
    codes = curves.sae.encode(x)
    spaces = {
        "embeddings": lambda rows: x[rows],
        "reconstruction": lambda rows: np.asarray(curves.sae.decode(codes))[rows],
        "codes": lambda rows: retrieval.as_vectors(
            np.array(codes.values)[rows], np.array(codes.indices)[rows], n_latents=64
        ),
    }
    recall = curves.recall(spaces)
    assert recall["embeddings"][0].value == 1.0
    for own in (curves.latents_kept(), *recall.values()):
        values = [one.value for one in own]
        for some in (values[:n_noise], [values[0], *values[n_noise:]]):
            assert some[0] > some[-2] > some[-1]  # a little noise may help by chance


def test_probes_and_features_that_were_fitted_clean_are_scored_corrupted(curves):
    reader, sae = curves.reader, curves.sae
    x = reader.read(np.arange(2_000))
    of_row = (x[:, 0] > np.median(x[:, 0])).astype(int)
    known = classes.Classes("side", ["low", "high"], of_row)
    probe = probes.fit(
        lambda rows: x[rows],
        row_ids=reader.train_row_ids(np.arange(reader.n_train)),
        of_row=of_row,
        n_classes=2,
    )
    accuracy = curves.accuracy({"embeddings": probe}, of_row=of_row)["embeddings"]
    values = [one.value for one in accuracy]
    assert values[0] > 0.95
    assert values[4] < values[0] - 0.1
    targets = known.as_concepts()
    held_out = concepts.held_out_mask(reader)
    one = Weighted(np.array([0]), np.array([1.0]))
    side = [one._replace(weights=np.array([-1.0])), one]  # of coordinate 0: low, high
    latents = [Weighted(np.array([i]), np.array([1.0])) for i in (3, 5)]
    kinds = {
        "coordinates": (scorers.Directions(scorers.scores_in(reader), np.eye(16)), side),
        "latents": (
            scorers.LatentsOf(sae.encode(x), n_latents=64, row_ids=np.arange(2_000)),
            latents,
        ),
    }
    judged = {
        name: coverage.judge(kind.summed(own), concepts=targets, held_out=held_out)
        for name, (kind, own) in kinds.items()
    }
    found = curves.concepts(
        {name: Single(kinds[name][1], one.threshold) for name, one in judged.items()},
        directions={"coordinates": np.eye(16)},
        concepts=targets,
    )
    assert len(curves.row_ids) == held_out.sum()  # all of them, so that clean is the same
    for name, own in judged.items():
        assert found[name][0].value == pytest.approx(own.f1.mean())
    assert found["coordinates"][0].value == pytest.approx(1, abs=0.05)
    assert found["coordinates"][4].value < found["coordinates"][0].value


def test_neighbours_are_asked_for_by_rows_from_all_of_the_corpus(curves, monkeypatch):
    """Rows of one kind often lie together: the first of them are no sample."""
    monkeypatch.setattr(robustness, "N_QUERIES", 20)
    asked = curves.row_ids[curves.query_places]
    assert len(asked) == 20
    assert len(set((asked * 10 // 2_000).tolist())) >= 9  # of ten tenths
