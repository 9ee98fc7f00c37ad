"""What figures share: names that do not overlap, and files that are the same again."""

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from sae_jax.analysis import drawing


@pytest.mark.parametrize("seed", range(5))
def test_names_are_moved_apart_but_no_further_than_needed(seed):
    heights = np.random.default_rng(seed).random(4)
    moved = drawing.spread(heights, gap=0.1)
    ordered = moved[np.argsort(heights)]
    assert np.diff(ordered).min() >= 0.1 - 1e-9
    assert 0 <= ordered[0] <= ordered[-1] <= 1
    # The best of all placements on a fine grid is no better.
    order, grid = np.argsort(heights), np.linspace(0, 1, 41)
    places = np.stack(np.meshgrid(*[grid] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    places = places[(np.diff(places, axis=1) >= 0.1 - 1e-9).all(axis=1)]
    best = ((places - heights[order]) ** 2).sum(axis=1).min()
    assert ((ordered - heights[order]) ** 2).sum() <= best + 1e-12


def test_names_that_are_far_apart_stay():
    heights = np.array([0.9, 0.1, 0.5])
    np.testing.assert_allclose(drawing.spread(heights, gap=0.2), heights)


def test_names_stay_within_the_axis():
    moved = drawing.spread(np.array([0.0, 0.01, 0.02]), gap=0.1)
    np.testing.assert_allclose(moved, [0, 0.1, 0.2])


def test_names_stand_where_their_lines_end():
    figure = Figure()
    axes = figure.subplots()
    axes.set(yscale="log", ylim=(0.1, 10))
    ends = [("pca_32", 10.0), ("autoencoder", 1.0), ("untrained", None)]
    drawing.label_ends(axes, ends)
    found = {text.get_text(): text.xy[1] for text in axes.texts}
    assert found == {"PCA, 32": pytest.approx(1.0), "autoencoder": pytest.approx(0.5)}


def test_the_same_figure_gives_the_same_file_whatever_its_letters():
    def draw():
        with matplotlib.rc_context(drawing.STYLE):
            figure = Figure()
            figure.subplots().set_title("日本")  # warns, were it not for as_svg
            return figure

    assert drawing.as_svg(draw()) == drawing.as_svg(draw())
    assert drawing.as_svg(draw()).startswith("<svg")
    assert drawing.as_png(draw()).startswith(b"\x89PNG")


def test_long_texts_are_cut():
    assert drawing.shorten("abcdef", most=6) == "abcdef"
    assert drawing.shorten("abcdefg", most=6) == "abcde…"
