"""Sweep files: members by name, mistakes refused, every task its own share."""

import collections
import textwrap

import pytest
from tiny import config

from sae_jax.errors import UsageError
from sae_jax.sweep import grid

GRID = [{"sae.n_latents": n, "sae.k": k} for n in (32, 64) for k in (2, 4, 8)]


@pytest.fixture
def members(tmp_path):
    return grid.make_members(config(tmp_path), GRID)


def sweep_file(folder, text, *, name="grid.py"):
    path = folder / name
    path.write_text(textwrap.dedent(text))
    return path


def test_a_sweep_file_names_its_base_and_yields_overrides(tmp_path):
    (tmp_path / "experiments").mkdir()
    sweep_file(tmp_path / "experiments", "", name="base.py")
    path = sweep_file(
        tmp_path / "experiments",
        """
        BASE = "experiments/base.py"

        def sweep():
            for k in (16, 32):
                yield {"sae.k": k, "sae.k_aux": 2 * k}
        """,
    )
    found = grid.read_sweep_file(path)
    assert found.base == tmp_path / "experiments" / "base.py"
    assert found.overrides == [{"sae.k": 16, "sae.k_aux": 32}, {"sae.k": 32, "sae.k_aux": 64}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("BASE = 'x.py'", "is no sweep file; expected BASE.*and sweep"),
        ("def sweep(): return []", "is no sweep file"),
        ("BASE = 'none.py'\ndef sweep(): return []", "BASE, none.py, was not found"),
    ],
)
def test_another_file_is_refused(tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        grid.read_sweep_file(sweep_file(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no such file"):
        grid.read_sweep_file(tmp_path / "none.py")


def test_members_have_the_settings_and_names_of_their_overrides(members):
    assert [member.name for member in members][:2] == ["n_latents=32,k=2", "n_latents=32,k=4"]
    assert [(m.config.sae.n_latents, m.config.sae.k) for m in members] == [
        (o["sae.n_latents"], o["sae.k"]) for o in GRID
    ]
    assert members[0].config.sae.d_in == 16  # the base's


def test_the_base_is_not_changed(tmp_path):
    base = config(tmp_path)
    before = base.to_json()
    grid.make_members(base, GRID)
    assert base.to_json() == before


def test_numbers_are_short_in_names(tmp_path):
    chosen = {"optimizer.learning_rate": 0.0005, "seed": 3}
    (member,) = grid.make_members(config(tmp_path), [chosen])
    assert member.name == "learning_rate=0.0005,seed=3"
    assert member.config.optimizer.learning_rate == 0.0005


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([{"sae.n_latent": 8}], r"'sae\.n_latent'.*known here: d_in, n_latents"),
        ([{"n_latents": 8}], r"'n_latents', but there is no such setting"),
        ([{"sae": 8}], r"'sae', a group of settings"),
        ([{"seed.x": 8}], r"sets seed\.x=8; expected int"),
        ([{"sae.k": 8.0}], r"sets sae\.k=8\.0; expected int"),
        ([{"sae.k": True}], r"sets sae\.k=True; expected int"),
        ([{"sae.init": 1}], r"expected str, such as 'default'"),
        ([{"sae.k": 2}, {"sae.k": 2}], r"has k=2 twice"),
        ([], r"has no members"),
    ],
    ids=str,
)
def test_a_mistake_in_the_overrides_is_refused(tmp_path, overrides, message):
    with pytest.raises(UsageError, match=message):
        grid.make_members(config(tmp_path), overrides)


def test_a_whole_number_serves_as_a_number(tmp_path):
    (member,) = grid.make_members(config(tmp_path), [{"optimizer.clip_norm": 2}])
    assert member.config.optimizer.clip_norm == 2


def test_only_keeps_what_meets_every_condition(members):
    assert len(grid.only(members, [])) == 6
    assert len(grid.only(members, ["k=2,8"])) == 4
    kept = grid.only(members, ["k=2,8", "sae.n_latents=64"])
    assert [member.name for member in kept] == ["n_latents=64,k=2", "n_latents=64,k=8"]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("k=3", r"no member has k=3; there are 2, 4, 8"),
        ("seed=1", r"that this sweep varies: sae\.n_latents, sae\.k"),
        ("k", r"expected SETTING=VALUE"),
    ],
)
def test_only_refuses_what_is_not_there(members, condition, message):
    with pytest.raises(UsageError, match=message):
        grid.only(members, [condition])


def test_only_says_when_no_member_is_left(tmp_path):
    members = grid.make_members(config(tmp_path), [{"sae.k": 2}, {"seed": 1}])
    with pytest.raises(UsageError, match="no member meets all"):
        grid.only(members, ["k=2", "seed=1"])


@pytest.mark.parametrize("task_count", [1, 2, 4, 9])
def test_every_member_is_in_the_share_of_one_task(members, task_count):
    shares = [
        grid.share(members, task_index=i, task_count=task_count) for i in range(task_count)
    ]
    counts = collections.Counter(member.name for own in shares for member in own)
    assert counts == {member.name: 1 for member in members}
    if task_count == 2:  # each has about as much to do
        one, other = (sum(grid.cost(member.config) for member in own) for own in shares)
        assert abs(one - other) < 0.25 * (one + other) / 2


@pytest.mark.parametrize("index", [-1, 2])
def test_a_task_that_does_not_exist_is_refused(members, index):
    with pytest.raises(UsageError, match="expected an index from 0 to 1"):
        grid.share(members, task_index=index, task_count=2)
