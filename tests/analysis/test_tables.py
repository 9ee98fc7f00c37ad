"""Tables of texts: nothing in them is taken for markup."""

from sae_jax.analysis import tables


def test_cells_are_text_and_columns_of_names_are_marked():
    table = tables.Table(["a & b", "n"], [["<script>", "1"], ["y", "2"]])
    shown = table.as_html()
    assert "<script>" not in shown
    assert '<th class="text">a &amp; b</th><th>n</th>' in shown
    assert '<td class="text">&lt;script&gt;</td><td>1</td>' in shown
    assert shown.count("<tr>") == 3
    assert table._repr_html_() == shown
    assert shown.count('class="text"') == 3
    both = table._replace(n_text_columns=2).as_html()
    assert both.count('class="text"') == 6


def test_numbers_come_with_their_interval_and_null_is_empty():
    one = {"value": 0.5, "low": 0.25, "high": 0.75, "null": 0.125}
    assert tables.with_interval(one) == "0.500 (0.250 to 0.750)"
    assert tables.with_interval(one, form=".1f") == "0.5 (0.2 to 0.8)"
    assert tables.with_interval(one | {"low": None, "high": None}) == "0.500"
    assert tables.with_interval(one | {"value": None}) == ""
    assert tables.with_null(one) == "50.0, 25.0 to 75.0 (12.5)"
    assert tables.with_null(one | {"null": None}) == "50.0, 25.0 to 75.0 (?)"
    assert tables.with_null(one | {"value": None}) == ""
    assert tables.number(None) == ""
