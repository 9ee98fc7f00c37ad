"""The numbers of a steering file as a table, as text and as a figure."""

import csv
import io

import pytest

from sae_jax.search import evaluation_table


def interval(value):
    return {"value": value, "low": value - 0.04, "high": value + 0.06}


def side(change):
    return {
        name: interval(value)
        for name, value in (
            ("precision", change + 0.5), ("change", change), ("active", change / 2),
            ("identified", 0.6),
        )
    }  # fmt: skip


def point(edit, way, at, *, change):
    sides = ("up", "down") if edit == "both" else (edit,)
    return {
        "edit": edit, "way": way, "at": at, "overlap": interval(0.3),
        "cosine": interval(float(at.split()[1]) if at.startswith("cosine") else 0.93),
        "sides": {own: side(change) for own in sides},
    }  # fmt: skip


@pytest.fixture
def made():
    return {
        "n_queries": 7, "n_concepts": 9, "n_hits": 10, "latent_f1": interval(0.6),
        "neutral": {"up": interval(0.01), "down": interval(0.54)},
        "points": [
            point(edit, way, f"cosine {cosine:g}", change=change - cosine)
            for edit in ("up", "down", "both")
            for way, change in (("sae", 1.1), ("rewriting", 0.9))
            for cosine in (0.9, 0.7)
        ] + [point("up", "rewriting", "as written", change=0.02)],
        "marks": [
            {"edit": "up", "at": "cosine 0.9", "median": 108.3, "reached": 1.0},
            {"edit": "up", "at": "cosine 0.7", "median": 227.1, "reached": 0.86},
            {"edit": "down", "at": "cosine 0.7", "median": None, "reached": 0.0},
        ],
        "ahead": [
            {"edit": own, "side": own, "than": "rewriting", "at": "cosine 0.7",
             "precision": interval(value)}
            for own, value in (("up", 0.2), ("down", 0.01))
        ],
    }  # fmt: skip


def test_the_table_has_every_mean_with_its_interval(made):
    rows = list(csv.DictReader(io.StringIO(evaluation_table.to_csv(made))))
    # Of 9 points with one side 6 measures, of 4 with two sides 10; and two comparisons.
    assert len(rows) == 9 * 6 + 4 * 10 + 2
    (row,) = [
        row
        for row in rows
        if (row["edit"], row["side"], row["way"], row["at"], row["measure"])
        == ("both", "down", "sae", "cosine 0.7", "change")
    ]
    assert [float(row[name]) for name in ("value", "low", "high")] == pytest.approx(
        [0.4, 0.36, 0.46]
    )


def test_the_text_says_who_goes_further(made):
    shown = evaluation_table.describe(made)
    assert "raises precision further than the query's text rewritten: +0.20 ±.05" in shown
    assert "lowers precision about as far as the query's text rewritten: +0.01 ±.05" in shown
    made["ahead"][0]["precision"] = interval(-0.2)
    assert "raises precision less far than the" in evaluation_table.describe(made)
    assert max(map(len, shown.splitlines())) <= 100


def test_the_text_has_a_line_for_each_way_that_was_tried(made):
    shown = evaluation_table.describe(made)
    assert shown.count("  latent of the autoencoder   +0.20 ±.05  +0.40 ±.05\n") == 4
    assert shown.count("  latent of the autoencoder   0.60 ±.05") == 2
    assert "any other latent" not in shown
    assert "  up   rewriting as written    0.93  0.30  up +0.02 ±.05" in shown


def test_the_text_says_where_the_slider_stands(made):
    shown = evaluation_table.describe(made)
    assert "\n  up   0.9: 108 % (100%), 0.7: 227 % (86%)\n  down 0.7: none (0%)\n" in shown


def test_the_figure_draws_each_way_against_the_cosine(made):
    figure = evaluation_table.draw(made)
    assert len(figure.axes) == 4
    first = figure.axes[0].get_lines()
    assert [line.get_label() for line in first] == [
        "latent of the autoencoder", "query's text rewritten",
    ]  # fmt: skip
    assert first[0].get_xdata() == pytest.approx([0.9, 0.7])
    assert first[0].get_ydata() == pytest.approx([0.2, 0.4])
    judged = figure.axes[3].get_lines()
    assert judged[0].get_ydata() == pytest.approx([0.6, 0.6])
