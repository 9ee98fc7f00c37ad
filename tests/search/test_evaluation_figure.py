"""The figure of steering: each way in each panel, and a model's judgement if there is one."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from steering_numbers import add_judge, numbers

from sae_jax.analysis.drawing import as_svg
from sae_jax.search import evaluation_figure
from sae_jax.search.evaluation_table import WAYS

# What a colour, in linear RGB, is to eyes without one kind of cone: Machado et al. 2009.
EYES = {
    "all": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}  # fmt: skip
XYZ = [[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]]


@pytest.fixture
def made():
    return numbers()


def curves(axes):
    """By its name, without the lines of zero and of chance."""
    named = [line for line in axes.get_lines() if not line.get_label().startswith("_")]
    return {line.get_label(): line for line in named}


def test_each_way_is_drawn_against_the_cosine(made):
    figure = evaluation_figure.draw(made)
    assert len(figure.axes) == 8
    raised, lowered, active, _, kept, _, judged, _ = map(curves, figure.axes)
    assert list(raised) == ["latent of the autoencoder", "query's text rewritten"]
    line = raised["latent of the autoencoder"]
    assert line.get_xdata() == pytest.approx([0.9, 0.7])
    assert line.get_ydata() == pytest.approx([0.2, 0.4])
    assert lowered["query's text rewritten"].get_ydata() == pytest.approx([0.0, 0.2])
    assert active["latent of the autoencoder"].get_ydata() == pytest.approx([0.1, 0.2])
    assert kept["latent of the autoencoder"].get_ydata() == pytest.approx([0.3, 0.3])
    assert judged["latent of the autoencoder"].get_ydata() == pytest.approx([0.6, 0.6])


def test_a_text_as_written_is_at_no_cosine_of_the_curves(made):
    for axes in evaluation_figure.draw(made).axes:
        for line in curves(axes).values():
            assert line.get_xdata() == pytest.approx([0.9, 0.7])


def test_a_model_that_judged_has_panels_of_its_own(made):
    figure = evaluation_figure.draw(add_judge(made))
    assert len(figure.axes) == 10
    for axes in figure.axes[8:]:
        assert curves(axes)["latent of the autoencoder"].get_ydata() == pytest.approx([0.7] * 2)
    assert figure.axes[8].get_ylabel() == "gpt-x names it,\n1 of 5, both moved"
    name = "org/a-model-of-a-very-long-name"
    label = evaluation_figure.draw(add_judge(made, model=name)).axes[8].get_ylabel()
    assert label == "a-model-of-a-ve… names it,\n1 of 5, both moved"


def test_what_has_no_ends_is_drawn_all_the_same(made):
    for point in add_judge(made)["points"]:
        point["overlap"] |= {"low": None, "high": None}
        if point["llm"]:  # and no value: nothing was answered
            point["llm"]["sides"]["up"]["identified"] = dict.fromkeys(("value", "low", "high"))
    assert as_svg(evaluation_figure.draw(made)).startswith("<svg")


def test_the_legend_covers_no_panel(made):
    figure = evaluation_figure.draw(add_judge(made))
    figure.draw_without_rendering()
    (legend,) = figure.legends
    lowest = legend.get_window_extent().y0
    assert all(axes.get_tightbbox().y1 < lowest for axes in figure.axes)


def test_every_way_has_a_colour_and_a_mark_of_its_own():
    looks = evaluation_figure.OF_WAYS
    assert list(looks) == list(WAYS)
    assert len({look.color for look in looks.values()}) == len(WAYS)
    assert len({look.marker for look in looks.values()}) == len(WAYS)


def seen(color, eyes):
    """CIELAB, in which 2.3 is the least difference that is noticed."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x = XYZ @ np.clip(np.array(eyes) @ linear, 0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eyes", EYES)
def test_any_two_colours_are_told_apart_by(eyes):
    colors = [seen(look.color, EYES[eyes]) for look in evaluation_figure.OF_WAYS.values()]
    for one, other in itertools.combinations(colors, 2):
        assert np.linalg.norm(one - other) > 20  # ten times what is noticed, nearly
