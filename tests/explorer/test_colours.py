"""Colours of points and curves can be told from the ground that they are on."""

import re

import pytest

from sae_jax.explorer.app import STATIC

LEAST = 4.5  # WCAG 2.2, of text; asks 3 of graphics


def themes(name):
    """The variables of a style sheet: of the light theme, the dark by choice and by system."""
    blocks = re.findall(r":root[^{]*{([^}]*)}", (STATIC / name).read_text())
    found = [dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", block)) for block in blocks]
    return [block for block in found if block]


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_categories_and_the_upper_part_of_the_scale_stand_out_from_the_ground(dark):
    colours = themes("colours.css")[int(dark)]
    ground = themes("style.css")[int(dark)]["--ground"]
    named = [f"--category-{i}" for i in range(8)] + ["--ramp-1", "--ramp-2"]
    found = {name: contrast(colours[name], ground) for name in named}
    assert min(found.values()) >= LEAST, found


def test_both_ways_into_the_dark_theme_have_the_same_colours():
    light, *dark = themes("colours.css")
    assert dark[0] == dark[1] != light
