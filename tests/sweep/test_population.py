"""Members of a population end as they would alone, however they are packed."""

import shutil

import numpy as np
import pytest
from tiny import config, metrics, planted_rows

import sae_jax
from sae_jax.data.shards import open_shards
from sae_jax.errors import ShardError, UsageError
from sae_jax.sweep import grid, population, results, sweep
from sae_jax.train import loop, run_folder, setup
from sae_jax.train.watchdog import Watchdog

MEMBERS = [
    {"sae.k": 2, "seed": 0},
    {"sae.k": 3, "seed": 1, "optimizer.learning_rate": 3e-3},
    {"sae.k": 4, "seed": 2, "sae.auxk_coefficient": 0.5},
    {"sae.k": 3, "seed": 0, "optimizer.learning_rate": 1e-2},
]
WILD = {"sae.k": 3, "optimizer.learning_rate": 1e30}
WILD_NAME = "k=3,learning_rate=1e+30"


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    np.save(folder / "a.npy", planted_rows(2_000))
    return folder


def members_of(rows, overrides=MEMBERS, **changes):
    shape = {"n_steps": 24, "dead_after_examples": 128, **changes}
    return grid.make_members(config(rows, **shape), overrides)


def train(members, workdir, *, pack_size):
    with Watchdog() as watch:
        return sweep.train_sweep(members, workdir=workdir, pack_size=pack_size, watch=watch)


@pytest.fixture(scope="module")
def alone(rows, tmp_path_factory):
    """Each member trained by itself."""
    folder = tmp_path_factory.mktemp("alone")
    for member in members_of(rows):
        (folder / member.name).mkdir()
        loop.train(member.config, reader=open_shards(rows), workdir=folder / member.name)
    return folder


# One by one; in packs, of which each device steps its members in turn; and batched.
WAYS = {"1": (1, "sparse"), "3": (3, "sparse"), "5, batched": (5, "dense")}


@pytest.fixture(scope="module", params=WAYS.values(), ids=WAYS)
def together(request, rows, tmp_path_factory):
    """All members and one that diverges, as one population: (pack size, members, folder)."""
    pack_size, products = request.param
    members = members_of(rows, [*MEMBERS[:2], WILD, *MEMBERS[2:]], products=products)
    folder = tmp_path_factory.mktemp("together")
    train(members, folder, pack_size=pack_size)
    return pack_size, members, folder


def assert_equal_runs(run, expected):
    found, wanted = (sae_jax.load(folder) for folder in (run, expected))
    for name in ("W_enc", "b_enc", "W_dec", "b_dec"):
        a, b = (np.asarray(getattr(one, name)) for one in (found, wanted))
        # k, rates and coefficients are inputs of one program and constants of the other.
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4, err_msg=name)
    for split in ("train", "held_out"):
        for line, other in zip(
            metrics(run, split=split), metrics(expected, split=split), strict=True
        ):
            assert line.pop("split") == other.pop("split")
            assert line == pytest.approx(other, rel=1e-3, abs=1e-6)


def test_a_member_ends_as_it_would_alone(together, alone):
    _, members, folder = together
    assert {member.name for member in members} == {
        WILD_NAME,
        *(p.name for p in alone.iterdir()),
    }
    for run in alone.iterdir():
        assert_equal_runs(folder / run.name, run)


def test_a_member_that_diverges_leaves_the_others_as_they_are(together):
    pack_size, members, folder = together
    found = sweep.status(members, workdir=folder)
    assert list(found.failed) == [WILD_NAME]
    assert "is not finite" in found.failed[WILD_NAME]
    assert len(found.finished) == 4
    assert not found.left
    assert train(members, folder, pack_size=pack_size) == found  # nothing is tried again


def test_a_failed_member_can_be_tried_again(together, tmp_path):
    _, members, folder = together
    shutil.copytree(folder, tmp_path / "copy")
    sweep.forget_failures(members, workdir=tmp_path / "copy")
    left = sweep.status(members, workdir=tmp_path / "copy").left
    assert [member.name for member in left] == [WILD_NAME]


def stopped_at_20(run):
    shutil.rmtree(run / "checkpoints" / "24")
    (run / "summary.json").unlink()


def test_a_member_trained_together_goes_on_alone(together, rows, alone, tmp_path):
    """Its folder is an ordinary one."""
    _, members, folder = together
    run = shutil.copytree(folder / members[1].name, tmp_path / members[1].name)
    stopped_at_20(run)
    loop.train(members[1].config, reader=open_shards(rows), workdir=run)
    assert_equal_runs(run, alone / members[1].name)


def test_members_that_came_later_join_where_the_others_stopped(rows, alone, tmp_path):
    members = members_of(rows)[:2]
    stopped_at_20(shutil.copytree(alone / members[0].name, tmp_path / members[0].name))
    found = train(members, tmp_path, pack_size=2)
    assert found.finished == members
    for member in members:
        assert_equal_runs(tmp_path / member.name, alone / member.name)


def test_a_member_with_a_bad_setting_fails_alone(rows, tmp_path):
    members = members_of(rows, [{"sae.k": 65}, {"sae.d_in": 15}, {"sae.k": 2}], n_steps=4)
    sweep.write_members(members, workdir=tmp_path)
    found = train(members, tmp_path, pack_size=1)
    assert "more than sae.n_latents=64" in found.failed["k=65"]
    assert "rows are 16 wide" in found.failed["d_in=15"]
    assert [member.name for member in found.finished] == ["k=2"]
    assert [path.name for path in (tmp_path / "k=65").iterdir()] == ["failed.json"]
    states = {result.name: result.state for result in results.read_results(tmp_path)}
    assert states == {"k=65": "failed", "d_in=15": "failed", "k=2": "finished"}
    changed = members_of(rows, [{"sae.k": 2}], n_steps=8)
    (tmp_path / "k=2" / "summary.json").unlink()
    found = train(changed, tmp_path, pack_size=1)
    assert "n_steps was 4, is 8" in found.failed["k=2"]


def test_a_refused_member_is_tried_again_by_itself(rows, tmp_path):
    bad = members_of(rows, [{"sae.d_in": 15}], n_steps=4)
    train(bad, tmp_path, pack_size=1)
    mended = [bad[0]._replace(config=members_of(rows, [{"sae.d_in": 16}], n_steps=4)[0].config)]
    found = train(mended, tmp_path, pack_size=1)
    assert [member.name for member in found.finished] == ["d_in=15"]
    assert run_folder.read_failure(tmp_path / "d_in=15") is None


def test_where_all_members_diverge_all_are_reported_and_reading_ends(
    rows, tmp_path, monkeypatch
):
    drawn, draw = [], setup.draw
    monkeypatch.setattr(
        setup,
        "draw",
        lambda *a, start, **more: drawn.append(start) or draw(*a, start=start, **more),
    )
    wild = [WILD | {"seed": seed} for seed in (0, 1)]
    quick = {"products": "dense", "auxk_every": 1, "log_every_steps": 4, "n_steps": 400}
    members = members_of(rows, wild, **quick)
    found = train(members, tmp_path, pack_size=2)
    assert list(found.failed) == [member.name for member in members]
    assert max(drawn) < 32  # of 400 steps; some are drawn ahead


def test_a_plan_writes_nothing(rows, tmp_path):
    members = members_of(rows, [{"sae.k": 2}], n_steps=4)
    (tmp_path / "k=2").mkdir()
    run_folder.settle_config(members[0].config, workdir=tmp_path / "k=2")
    before = (tmp_path / "k=2" / "config.json").read_bytes()
    changed = members_of(rows, [{"sae.k": 2}], n_steps=8)
    said = sweep.describe_plan(changed, workdir=tmp_path, pack_size=1)
    assert "1 left" in said
    assert (tmp_path / "k=2" / "config.json").read_bytes() == before


def test_data_that_is_not_there_stops_all_and_fails_none(rows, tmp_path):
    members = members_of(tmp_path / "none")
    with pytest.raises(ShardError, match="none"):
        train(members, tmp_path / "sweep", pack_size=1)
    assert len(sweep.status(members, workdir=tmp_path / "sweep").left) == 4


def test_a_member_that_another_process_trains_is_no_failure(rows, tmp_path):
    members = members_of(rows)
    with (
        run_folder.claim(tmp_path / members[0].name),
        pytest.raises(UsageError, match="another process is training here"),
    ):
        train(members, tmp_path, pack_size=1)
    assert len(sweep.status(members, workdir=tmp_path).left) == 4


def test_only_members_alike_share_a_program_and_a_stream(rows):
    def keys(**changes):
        settings = config(rows, **changes)
        return population.program_config(settings), population.stream_config(settings)

    program, stream = keys()
    for shared in ({"k": 5}, {"learning_rate": 0.1}, {"auxk_coefficient": 0.7}, {"seed": 9}):
        assert keys(**shared) == (program, stream), shared
    for other in ({"n_latents": 32}, {"auxk_coefficient": 0.0}, {"clip_norm": 0.1}):
        assert keys(**other)[0] != program, other
        assert keys(**other)[1] == stream, other
    for other in ({"data_seed": 1}, {"batch_size": 32}, {"n_steps": 8}):
        assert keys(**other)[1] != stream, other


def test_what_does_not_fit_into_memory_comes_in_waves(rows):
    members = members_of(rows)
    one = sweep.state_bytes(members[0].config)
    assert one > 4 * 3 * 2 * 16 * 64
    assert [len(wave) for wave in sweep.waves(members, most_bytes=3 * one)] == [3, 1]
    assert [len(wave) for wave in sweep.waves(members, most_bytes=1)] == [1] * 4


@pytest.mark.parametrize("flag", ["0", "many", "-1"])
def test_pack_is_auto_or_a_number(flag):
    assert population.pack_size("auto") >= 1
    assert population.pack_size("3") == 3
    with pytest.raises(UsageError, match=f"--pack={flag}: expected auto, or how many"):
        population.pack_size(flag)


def test_a_sweep_lists_its_members_also_those_of_other_tasks(rows, tmp_path):
    members = members_of(rows)
    sweep.write_members(members[:2], workdir=tmp_path)
    sweep.write_members(members, workdir=tmp_path)
    assert sweep.read_members(tmp_path) == {m.name: m.overrides for m in members}
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(UsageError, match=r"sweep\.json: cannot be read.*--workdir"):
        sweep.read_members(tmp_path)
