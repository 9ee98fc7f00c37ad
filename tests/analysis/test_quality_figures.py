"""Figures and tables of quality hold the numbers of the file; what it has not is left out."""

import numpy as np

from sae_jax.analysis import quality_figures, quality_headline
from sae_jax.analysis.robustness import CORRUPTIONS

RNG = np.random.default_rng(0)
KINDS = ("latents", "untrained", "coordinates", "pca", "random")


def number():
    value = float(RNG.uniform(0.2, 0.8))
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def covered(n_concepts):
    shares = sorted(RNG.random(9).tolist(), reverse=True)
    levels = [f"{level / 10:g}" for level in range(1, 10)]
    return {
        "f1": number(),
        "n_concepts": n_concepts,
        "covered": dict(zip(levels, shares, strict=True)),
    }


def targets(n_concepts):
    by_kind = {kind: {n: covered(n_concepts) for n in ("1", "4", "16")} for kind in KINDS}
    return by_kind | {"supervised": {"all": covered(n_concepts)}}


def curve(n):
    return [number() for _ in range(n)]


def quality(*, n_concepts=50, n_classes=3):
    n = len(CORRUPTIONS)
    return {
        "reconstruction": {
            name: {"fvu": number(), "cosine": number()}
            for name in ("autoencoder", "untrained", "pca_8", "mean")
        },
        "progressive": {"k": [2, 8, 32]}
        | {name: curve(3) for name in ("autoencoder", "untrained", "pca")},
        "retrieval": {"n_queries": 10}
        | {
            name: {"recall": number(), "ndcg": number()}
            for name in ("reconstruction", "codes", "pca_8", "untrained")
        },
        "concepts": targets(n_concepts),
        "classes": targets(n_classes),
        "robustness": {
            "corruptions": [one._asdict() for one in CORRUPTIONS],
            "fvu": {"reconstruction": curve(n), "embeddings": curve(n)},
            "latents_kept": {"latents": curve(n)},
            "recall": {name: curve(n) for name in ("embeddings", "reconstruction", "codes")},
        },
    }


def values(found):
    return [one["value"] for one in found]


def test_other_k_are_drawn_against_what_they_leave_out():
    made = quality()
    axes = quality_figures.draw_progressive(made).axes[0]
    *lines, trained = axes.lines
    for line, name in zip(lines, ("autoencoder", "untrained", "pca"), strict=True):
        assert line.get_xdata().tolist() == [2, 8, 32]
        assert line.get_ydata().tolist() == values(made["progressive"][name])
    assert set(trained.get_xdata()) == {8}
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in axes.texts] == ["autoencoder", "untrained", "PCA"]


def test_curves_begin_with_clean_rows_on_both_sides():
    made = quality()
    robustness = made["robustness"]
    panels = quality_figures.draw_robustness(made).axes
    assert len(panels) == 2 * 3  # no classes and no concepts: no curves of them
    for left, right, measure in zip(
        panels[::2], panels[1::2], ("fvu", "recall", "latents_kept"), strict=True
    ):
        for place, found in enumerate(robustness[measure].values()):
            noise, dropped = left.lines[place], right.lines[place]
            assert noise.get_xdata().tolist() == [0, 0.1, 0.2, 0.4, 0.8]
            assert dropped.get_xdata().tolist() == [0, 0.05, 0.1, 0.2, 0.4]
            assert noise.get_ydata().tolist() == values(found[:5])
            assert dropped.get_ydata().tolist() == values([found[0], *found[5:]])
        assert len(right.texts) == len(robustness[measure])
        assert left.get_ylim()[0] == 0


def test_a_number_that_is_not_known_leaves_a_gap():
    made = quality()
    unknown = {"value": None, "low": None, "high": None}
    made["robustness"]["latents_kept"]["latents"][8] = unknown
    panels = quality_figures.draw_robustness(made).axes
    assert np.isnan(panels[5].lines[0].get_ydata()[-1])
    assert len(panels[5].texts) == 0


def test_coverage_is_drawn_of_as_many_as_make_a_share():
    made = quality()
    panels = quality_figures.draw_coverage(made).axes
    assert len(panels) == 3
    for axes, n in zip(panels, ("1", "4", "16"), strict=True):
        assert len(axes.lines) == 6
        for line, kind in zip(axes.lines, made["concepts"], strict=True):
            by_number = made["concepts"][kind]
            shares = by_number.get(n, by_number.get("all"))["covered"]
            assert line.get_ydata().tolist() == list(shares.values())
    assert len(quality_figures.draw_coverage(quality(n_classes=45)).axes) == 6
    assert quality_figures.draw_coverage(quality(n_concepts=9)) is None
    del made["concepts"], made["classes"]
    assert quality_figures.draw_coverage(made) is None


def test_density_counts_each_latent_that_is_ever_on():
    density = np.concatenate([np.zeros(5), RNG.uniform(1e-4, 0.5, 200)])
    axes = quality_figures.draw_density(density).axes[0]
    assert axes.patches[0].get_data().values.sum() == 200
    assert len(quality_figures.draw_density(np.zeros(3)).axes[0].patches) == 0


def test_the_headline_needs_no_classes():
    made = quality()
    table = quality_headline.headline(made)
    assert list(table.head) == ["held-out rows", "fvu", "cosine", "recall@10", "nDCG@10"]
    assert [row[0] for row in table.rows] == [
        "reconstruction", "codes", "untrained", "PCA, 8", "the mean",
    ]  # fmt: skip
    fvu = made["reconstruction"]["autoencoder"]["fvu"]
    assert table.rows[0][1].startswith(f"{fvu['value']:.3f} (")
    assert table.rows[1][1] == ""
    assert quality_headline.trained_k(made) == 8


def test_features_stand_beside_what_a_fitted_direction_reaches():
    made = quality()
    table = quality_headline.features(made, targets="concepts")
    rows = {row[0]: row[1:] for row in table.rows}
    assert list(rows) == [
        "latents", "untrained", "single coordinates", "PCA", "random directions", "supervised",
    ]  # fmt: skip
    own, fitted = made["concepts"]["latents"], made["concepts"]["supervised"]["all"]
    assert rows["latents"][2].startswith(f"{own['16']['f1']['value']:.3f} (")
    assert rows["latents"][-2] == f"{100 * own['1']['covered']['0.5']:.1f} %"
    assert rows["latents"][-1] == f"{100 * own['16']['covered']['0.5']:.1f} %"
    assert rows["supervised"][:3] == [""] * 3
    assert rows["supervised"][3].startswith(f"{fitted['f1']['value']:.3f} (")
    assert rows["supervised"][-1] == f"{100 * fitted['covered']['0.5']:.1f} %"


def test_sparsity_is_shown_with_quantiles():
    quantiles = {"0.05": 0.001, "0.5": 0.01, "0.95": 0.1}
    made = {
        "sparsity": {
            "l0": {"value": 7.5, "low": 7.0, "high": 8.0},
            "dead_fraction": 0.25,
            "density_quantiles": quantiles,
            "encoder_decoder_cosine": {"mean": 0.5, "quantiles": quantiles},
        }
    }
    rows = dict(quality_headline.sparsity(made).rows)
    assert rows["L0"] == "7.5 (7.0 to 8.0)"
    assert rows["dead"] == "25.00 %"
    assert rows["density: 5 %, median, 95 %"] == "0.00100, 0.01000, 0.10000"
    assert rows["encoder–decoder cosine: mean"] == "0.500"
