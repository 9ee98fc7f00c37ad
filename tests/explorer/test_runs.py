"""The runs of a sweep in all states, and a run alone; no address leads out of the folder."""

import json
import shutil

import numpy as np
import pytest
from explorable import open_run
from explored_sweep import FVU, make_sweep
from starlette.testclient import TestClient

from sae_jax.analysis.scaling import fit_power_law
from sae_jax.explorer import runs
from sae_jax.explorer.app import create_app


def ask(run):
    return TestClient(
        create_app(open_run(run)), base_url="http://127.0.0.1", raise_server_exceptions=False
    )


@pytest.fixture(scope="module")
def grid(explorable, tmp_path_factory):
    return make_sweep(tmp_path_factory.mktemp("sweep") / "grid", run=explorable)


@pytest.fixture(scope="module")
def client_of_grid(grid):
    return ask(grid / "n_latents=64")


@pytest.fixture(scope="module")
def told(client_of_grid):
    return client_of_grid.get("/api/runs").json()


def test_runs_of_a_sweep_are_listed_with_their_states(told):
    assert told["current"] == "n_latents=64"
    states = {one["name"]: one["state"] for one in told["runs"]}
    assert states == {
        "n_latents=32": "finished", "n_latents=64": "finished", "n_latents=128": "finished",
        "unfinished": "unfinished", "failed": "failed", "damaged": "damaged",
        "later": "not begun",
    }  # fmt: skip


def test_a_finished_run_has_the_numbers_of_its_summary(told, grid):
    summary = json.loads((grid / "n_latents=64" / "summary.json").read_text())
    one = next(one for one in told["runs"] if one["name"] == "n_latents=64")
    assert (one["n_latents"], one["k"], one["seed"]) == (64, 3, 0)
    assert one["fvu"] == 0.4
    assert one["fvu_train"] == summary["train"]["fvu"]
    assert one["seconds"] == summary["seconds"]
    assert one["step"] == one["n_steps"] == 40


def test_an_unfinished_run_says_how_far_it_is_and_how_to_go_on(told, grid):
    one = next(one for one in told["runs"] if one["name"] == "unfinished")
    assert (one["step"], one["fvu_train"], one["checkpoint"]) == (8, 0.5, None)
    # 32 steps of 64 examples are left, at 640 examples a second.
    assert one["seconds_left"] == pytest.approx(3.2)
    assert 0 <= one["seconds_since"] < 600
    assert one["again"] == f"sae-jax sweep --config=FILE.py --workdir={grid}"


def test_a_failed_run_says_why_and_a_damaged_one_what_is_wrong(told):
    by_name = {one["name"]: one for one in told["runs"]}
    assert by_name["failed"]["why"] == "the loss was not finite at step 8."
    assert by_name["failed"]["again"].endswith(" --retry_failed")
    assert "damaged" in by_name["damaged"]["why"]


def test_curves_of_a_run_are_told_and_go_on_by_the_byte(client_of_grid, grid):
    first = client_of_grid.get("/api/run/unfinished/metrics").json()
    assert first["curves"]["train"] == {"step": [4, 8], "fvu": [1.0, 0.5], "l0": [3.0, 3.0]}
    path = grid / "unfinished" / "metrics.jsonl"
    before = path.read_text()
    path.write_text(before + '{"step": 12, "split": "train", "fvu": 0.1}\n')
    query = {"after": first["after"], "file": first["file"]}
    second = client_of_grid.get("/api/run/unfinished/metrics", params=query).json()
    path.write_text(before)
    assert second["curves"] == {"train": {"step": [12], "fvu": [0.1]}}


def test_damaged_lines_are_counted(client_of_grid):
    assert client_of_grid.get("/api/run/damaged/metrics").json()["n_damaged"] == 2


@pytest.mark.parametrize("name", ["..%2Fout", "%2E%2E", "..", "%2Fetc", "out", ".", "nothing"])
def test_no_name_leads_out_of_the_folder(client_of_grid, name):
    answer = client_of_grid.get(f"/api/run/{name}/metrics")
    assert answer.status_code == 404
    assert "step" not in answer.text


@pytest.mark.parametrize("name", ["../out", "/etc", "..", ""])
def test_a_difference_with_what_is_no_run_is_refused(client_of_grid, name):
    query = {"one": "unfinished", "other": name}
    answer = client_of_grid.get("/api/runs/difference", params=query)
    assert answer.status_code == 404
    assert "expected n_latents=32" in answer.json()["error"]


def test_the_difference_of_two_runs_names_each_setting_with_both_values(client_of_grid):
    query = {"one": "n_latents=32", "other": "unfinished"}
    found = client_of_grid.get("/api/runs/difference", params=query).json()
    assert found["settings"] == [
        {"setting": "sae.n_latents", "one": 32, "other": 64},
        {"setting": "seed", "one": 0, "other": 1},
    ]


def test_a_law_is_the_fit_to_the_finished_runs(client_of_grid):
    found = client_of_grid.get("/api/runs/scaling").json()
    (corpus,) = found["corpora"]
    (law,) = corpus["by_k"]
    expected = fit_power_law(list(FVU), list(FVU.values()))
    assert law["held_out"]["alpha"] == pytest.approx(expected.alpha)
    assert law["held_out"]["low"] == pytest.approx(expected.low)
    assert [point["fvu"] for point in corpus["points"]] == list(FVU.values())
    slope = np.polyfit(np.log(list(FVU)), np.log(list(FVU.values())), 1)[0]
    assert law["held_out"]["alpha"] == pytest.approx(-slope)


def test_a_run_of_no_sweep_is_alone_and_has_no_law(client, opened):
    found = client.get("/api/runs").json()
    assert [one["name"] for one in found["runs"]] == [found["current"]] == ["run"]
    (corpus,) = client.get("/api/runs/scaling").json()["corpora"]
    assert [law["held_out"] for law in corpus["by_k"]] == [None]


def test_a_run_opened_by_a_way_around_has_its_own_name(grid):
    run = grid / "unfinished" / ".." / "n_latents=64" / "codes" / ".."
    assert list(runs.folders(open_run(run)))[:2] == ["n_latents=32", "n_latents=64"]


def test_a_sweep_that_cannot_be_read_leaves_the_run_alone_and_says_so(explorable, tmp_path):
    shutil.copytree(explorable, tmp_path / "run")
    (tmp_path / "sweep.json").write_text("{")
    client = ask(tmp_path / "run")
    found = client.get("/api/runs").json()
    assert [one["name"] for one in found["runs"]] == ["run"]
    assert "sweep.json: cannot be read" in found["why"]
    assert "sweep.json" in client.get("/api/runs/scaling").json()["why"]


def test_without_matching_the_command_that_makes_it_is_told(client, explorable):
    found = client.get("/api/runs/matching").json()
    assert found["found"] == []
    assert found["again"] == f"sae-jax match {explorable} OTHER_RUN"


def test_a_file_of_matching_is_a_table_and_a_damaged_one_is_said(grid, client_of_grid):
    run = grid / "n_latents=64"
    (corpus,) = (path.name for path in (run / "codes").iterdir())
    folder = run / "matching" / corpus
    folder.mkdir(parents=True)
    share = {"value": 0.5, "null": 0.1}
    one = {
        "n_latents": 60, "n_dead": 4, "mutual": {"0.7": share},
        "median": {"value": 0.8, "low": 0.7, "high": 0.9, "null": 0.2},
    }  # fmt: skip
    both = {"forward": one, "backward": one}
    pair = {"run": "other", "activation": both, "decoder": both}
    made = {"run": "mine", "run_fingerprint": "other weights", "pairs": [pair]}
    (folder / "other-0.json").write_text(json.dumps(made))
    (folder / "wrong.json").write_text("{}")
    good, bad = client_of_grid.get("/api/runs/matching").json()["found"]
    shutil.rmtree(run / "matching")
    assert good["others"] == ["other"]
    assert good["stale"]
    assert len(good["rows"]) == 4
    assert "50.0 % (10.0 %)" in good["rows"][0]
    assert "is not what `sae-jax match` writes" in bad["why"]
