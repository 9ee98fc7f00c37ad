"""Tables of runs matched with one another: the numbers of the file, and what chance gives."""

from sae_jax.analysis import matching_tables

SHARE = {"value": 0.5, "low": 0.25, "high": 0.75, "null": 0.125}
SHOWN = "50.0, 25.0 to 75.0 (12.5)"


def direction(n_latents):
    mutual = dict.fromkeys(("0.5", "0.7", "0.9"), SHARE)
    return {"n_latents": n_latents, "n_dead": 2, "median": SHARE, "mutual": mutual}


def pair(run, *, same_number=0.01):
    forward = direction(1_000) | {"same_number": same_number}
    both = {"forward": forward, "backward": direction(3_000)}
    return {"run": run, "decoder": both, "activation": both}


def step(smaller, larger, *, truth=None):
    shares = dict.fromkeys(matching_tables.STEPS, SHARE)
    scattered = {"split": 0.3, "one": 0.2, "vanished": 0.1}
    more = {"children": {"value": 1.5}, "most_children": 7, "truth": truth}
    return shares | more | {"scattered": scattered, "smaller": smaller, "larger": larger}


MADE = {
    "run": "a",
    "pairs": [pair("b"), pair("c", same_number=0.3)],
    "universality": {"least": 0.7}
    | {way: {"every": SHARE, "any": SHARE} for way in ("decoder", "activation")},
    "splitting": None,
}


def test_both_directions_of_each_pair_are_told():
    table = matching_tables.similarities(MADE)
    assert len(table.rows) == 2 * 2 * 2
    assert [row[0] for row in table.rows[::2]] == ["a to b", "b to a", "a to c", "c to a"]
    ways = {row[1] for row in table.rows}
    assert ways == {"decoder", "activation"}
    assert table.rows[2][2:] == [
        "3,000 of 3,002", "0.500 (0.250 to 0.750); 0.125", *["50.0 % (12.5 %)"] * 3,
    ]  # fmt: skip


def test_runs_that_began_with_the_same_directions_are_named():
    assert matching_tables.begun_alike(MADE) == {"c": 0.3}


def test_universality_takes_two_others():
    table = matching_tables.universality(MADE)
    assert table.head[1] == "in all 2 runs"
    assert table.rows[0][1:] == [SHOWN, SHOWN]
    assert matching_tables.universality(MADE | {"pairs": [pair("b")]}) is None


def test_splitting_has_a_column_for_each_step():
    assert matching_tables.splitting(MADE) is None
    truth = {"n_links": 1_200, "same": 0.5, "above": 0.25, "null": 0.01}
    steps = [step("a", "b", truth=truth), step("b", "c")]
    table = matching_tables.splitting(MADE | {"splitting": {"steps": steps}})
    assert table.head[1:] == ["a to b", "b to c"]
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["split into two or more, %"] == [SHOWN, SHOWN]
    assert rows["vanish, links scattered at random, %"] == ["10.0", "10.0"]
    assert rows["children, most"] == ["7", "7"]
    assert rows["links between concepts"] == ["1,200", "0"]
    assert rows["of these the same, or one above to one below, %"] == ["75.0 (1.0)", ""]
    steps = [step("a", "b")]
    table = matching_tables.splitting(MADE | {"splitting": {"steps": steps}})
    assert not any("concepts" in row[0] for row in table.rows)
