"""Tables of families: numbers beside their null, and the largest by name."""

import csv
import io

from sae_jax.analysis import family_tables

MEASURED = {"value": 2.5, "null": 1.0, "null_high": 1.25}
MADE = {
    "method": "ours",
    "metrics": {
        "n_families": 2, "mean_size": 8.5, "membership": 0.4,
        "parent_ratio": MEASURED, "block_ratio": MEASURED,
        "block_ratio_activations": {"value": None, "null": None, "null_high": None},
    },
    "agreement": {
        "n_standing": 9, "least_f1": 0.2,
        "families": {"n_edges": 1200, "precision": 0.5, "null": 0.01, "null_high": 0.02,
                     "recall": 0.125},
    },
    "families": [{"parent": 9, "children": list(range(20, 34))},
                 {"parent": 1, "children": [2, 3, 4]}],
}  # fmt: skip
NAMES = {9: "animal", 2: "<dog>"}


def test_numbers_stand_beside_their_null():
    rows = family_tables.metrics(MADE).rows
    assert rows[0][1:] == ["2.50", "1.00", "1.25"]
    assert rows[2][1:] == ["", "", ""]  # of one family nothing is between families
    assert "2 families of 8.5 children on average; 40.0 %" in family_tables.summary(MADE)
    table = family_tables.agreement(MADE)
    assert table.rows == [["families", "1,200", "50.0 %", "1.0 %", "2.0 %", "12.50 %"]]
    assert family_tables.agreement(MADE | {"agreement": {}}) is None


def test_the_largest_families_are_named_as_far_as_they_can_be():
    rows = family_tables.largest(MADE, names=NAMES).rows
    assert rows[0][0] == "9 animal"
    assert rows[0][1].startswith("20; 21; 22")
    assert rows[0][1].endswith("31; and 2 more")
    assert rows[1] == ["1", "<dog>; 3; 4", "3"]
    many = MADE | {"families": MADE["families"] * 8}
    assert len(family_tables.largest(many, names=NAMES).rows) == family_tables.SHOWN


def test_each_latent_of_a_family_has_a_line():
    paper = MADE | {"method": "paper", "families": MADE["families"][1:]}
    text = family_tables.to_csv([MADE, paper], names=NAMES)
    lines = list(csv.DictReader(io.StringIO(text)))
    assert len(lines) == 15 + 4 + 4
    assert lines[0] == {
        "method": "ours", "family": "0", "role": "parent", "latent": "9", "label": "animal",
    }  # fmt: skip
    assert lines[-3] == {
        "method": "paper", "family": "0", "role": "child", "latent": "2", "label": "<dog>",
    }  # fmt: skip
