"""The numbers of a steering file as a table and as text."""

import csv
import io

import pytest
from steering_numbers import add_judge, interval, numbers

from sae_jax.search import evaluation_table


@pytest.fixture
def made():
    return numbers()


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


def test_a_models_judgements_stand_beside_counting(made):
    before = evaluation_table.describe(made)
    made = add_judge(made)
    shown = evaluation_table.describe(made)
    assert "\nThe same by org/gpt-x, of 50 of the queries (192 ok, 8 failed):\n" in shown
    assert shown.count("  latent of the autoencoder   0.70 ±.05") == 2
    assert shown.count("  latent of the autoencoder   0.62 ±.05") == 2
    assert "The same by" not in before
    assert max(map(len, shown.splitlines())) <= 100
    rows = list(csv.DictReader(io.StringIO(evaluation_table.to_csv(made))))
    own = {
        (row["side"], row["measure"]): (row["value"], row["low"])
        for row in rows
        if (row["edit"], row["way"], row["at"]) == ("both", "sae", "cosine 0.7")
    }
    assert own["", "judgements failed"] == ("2", "")
    assert float(own["up", "identified by the model"][0]) == 0.7
    assert float(own["down", "identified by counting, same queries"][1]) == 0.62 - 0.04


def test_where_nothing_was_answered_no_number_stands(made):
    made = add_judge(made)
    none = {"value": None, "low": None, "high": None}
    for point in made["points"]:
        if point["llm"] and point["way"] == "sae":
            point["llm"]["sides"]["up"]["identified"] = none
    assert "  latent of the autoencoder   none        none\n" in evaluation_table.describe(made)
