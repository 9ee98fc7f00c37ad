"""The benchmark's own arithmetic, and our worker at a tiny size. No torch, no network."""

import json
import pathlib
import sys

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "experiments" / "benchmarks"))

import peers
from harness import cell, curve, environment, jax_worker, protocol, remote, results, rows

from sae_jax.data.shards import open_shards

MACHINE = {"machine": {"cpu": "one", "cores": 2}}


def a_round(ms, foreign=0.0):
    return {"ms": ms, "foreign": foreign}


def test_what_others_used_of_the_machine_is_what_this_process_did_not():
    load = protocol.foreign_load(busy=3.0, own=2.5, seconds=2.0, n_cpus=2)
    assert load == pytest.approx(0.125)
    assert protocol.foreign_load(busy=1.9, own=2.0, seconds=1.0, n_cpus=2) == 0.0
    assert protocol.foreign_load(busy=None, own=2.0, seconds=1.0, n_cpus=2) is None


def test_only_clean_rounds_count():
    rounds = [a_round(10), a_round(99, foreign=0.5), a_round(12), a_round(14), a_round(7, None)]
    found = results.summarise(rounds, max_foreign_load=0.06, wanted=3)
    assert (found["ms"], found["best_ms"]) == (12, 10)
    assert found["spread"] == pytest.approx(4 / 12, abs=1e-3)
    assert (found["clean_rounds"], found["rounds"], found["clean"]) == (3, 5, True)


def test_a_machine_that_is_never_quiet_is_said_to_be_so():
    rounds = [a_round(10, foreign=0.3), a_round(20, foreign=0.3)]
    found = results.summarise(rounds, max_foreign_load=0.06, wanted=5)
    assert found["ms"] == 15
    assert not found["clean"]


def a_cell(**times):
    trainers = {
        name: {"ms": ms, "best_ms": ms, "spread": 0.0, "clean": True}
        | {"clean_rounds": 5, "rounds": 5}
        for name, ms in times.items()
    }
    sizes = {"d_in": 384, "n_latents": 3_072, "k": 32, "batch_size": 1_024}
    return {**sizes, "matmul_gflops": {"jax": 200.0, "torch": 190.0}, "trainers": trainers}


def test_ratios_are_against_the_fastest_peer_and_the_dense_recipe():
    found = results.compare(a_cell(ours=30.0, sparsify=60.0, saelens=90.0, dense_paper=210.0))
    assert (found["fastest_peer"], found["ratio"], found["ratio_paper"]) == ("sparsify", 2, 7)
    assert found["limit_ms"] == pytest.approx(12.08)  # 2.416 GFLOP at 200 GFLOP/s
    assert found["share_of_limit"] == pytest.approx(0.403)
    assert "2.00 times the fastest peer" in results.table({"a": found})


def test_a_trainer_that_failed_is_in_the_table_and_ends_nothing():
    found = a_cell(ours=30.0, dense_paper=210.0)
    found["trainers"]["saelens"] = {"failed": "no such package"}
    found = results.compare(found)
    assert "ratio" not in found
    assert "no such package" in results.table({"a": found})


def test_a_rerun_replaces_only_its_cells(tmp_path):
    path = tmp_path / "results" / "peers.json"
    for name, ms in (("b", 1), ("a", 2), ("b", 3)):
        one = {"n_latents": 5 if name == "a" else 10, "ms": ms}
        results.merge(path, header=MACHINE, group="cells", cells={name: one})
    results.merge(path, header=MACHINE, group="dead", cells={"a": {"ms": 9}})
    found = json.loads(path.read_text())
    assert [(name, one["ms"]) for name, one in found["cells"].items()] == [("a", 2), ("b", 3)]
    assert found["dead"]["a"]["ms"] == 9


def test_results_of_two_machines_do_not_mix(tmp_path):
    path = tmp_path / "peers.json"
    results.merge(path, header=MACHINE, group="cells", cells={})
    other = {"machine": {"cpu": "another", "cores": 4}}
    with pytest.raises(results.ResultsError, match=r"another machine .*choose another --out"):
        results.merge(path, header=other, group="cells", cells={})


def test_every_cell_of_the_command_line_has_a_size():
    names = (*peers.CELLS, *peers.DEAD_CELLS, *peers.QUALITY_CELLS, curve.CELL)
    assert {cell.named(name, batch_size=8)["d_in"] for name in names} == {384, 1_536}
    assert set(peers.QUALITY_CELLS) <= set(peers.CELLS)
    with pytest.raises(ValueError, match=r"such as d384-n3072-k32"):
        cell.named("n3072", batch_size=8)


def test_the_recorded_command_names_no_folder_of_this_machine():
    said = environment.command_line(
        ["/home/me/peers.py", "--shards=/home/me/wordnet", "--curve"]
    )
    assert said == "python experiments/benchmarks/peers.py --shards=DATA/wordnet --curve"
    assert str(pathlib.Path.home()) not in environment.without_places(
        f"in {pathlib.Path.home()}/x"
    )


def test_the_peers_environment_is_made_anew_for_other_versions():
    frozen = "\n".join(environment.PINNED)
    assert environment.has_pinned(frozen.replace("torch==2.13.0", "torch==2.13.0+cpu"))
    assert not environment.has_pinned(frozen.replace("torch==2.13.0", "torch==2.12.0"))


def test_a_peer_that_cannot_be_installed_leaves_the_others(tmp_path, monkeypatch):
    tried = []

    def pip(python, *words):
        tried.append(words)
        if "sae-lens==6.54.12" in words:
            raise environment.SetUpError("no such version")
        return "torch==2.13.0+cpu\nnumpy==2.4.6\n"

    monkeypatch.setattr(environment, "pip", pip)
    monkeypatch.setattr(environment.venv, "create", lambda folder, with_pip: folder.mkdir())
    folder = tmp_path / "env"
    assert environment.peers_python(folder, pip_arguments=[]).endswith("python")
    assert ("install", "torch==2.13.0") in tried
    found = {"torch": "2.13.0+cpu", "numpy": "2.4.6"}
    assert environment.peer_versions(folder) == found


def test_a_wider_row_keeps_its_distances_but_for_the_noise():
    x = np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)
    wide = rows.widened(x, d_in=64)
    np.testing.assert_array_equal(wide, rows.widened(x, d_in=64))
    squared = np.sum(wide**2, axis=1) / np.sum(x**2, axis=1)
    assert wide.shape == (50, 64)
    assert np.mean(squared) == pytest.approx(1 + rows.NOISE, abs=0.1)


def test_torch_workers_get_the_rows_of_our_stream(rows_folder, tmp_path):
    found = rows.folder_for(str(rows_folder), d_in=16, batch_size=64, cache=tmp_path / "cache")
    exported = {
        path.stem: np.load(path) for path in pathlib.Path(found["folder"]).glob("*.npy")
    }
    reader = open_shards(rows_folder)
    np.testing.assert_array_equal(exported["held_out"], reader.held_out_ids)
    np.testing.assert_array_equal(exported["rows"][7], reader.read(np.array([7]))[0])
    assert exported["order"].shape == (rows.N_STEPS, 64)
    assert not np.isin(exported["order"], exported["held_out"]).any()


def test_time_to_quality_is_a_measured_point_of_our_runs():
    points = [{"seconds": 1.0, "fvu": 0.6}, {"seconds": 2.0, "fvu": 0.3}]
    ours = {"points": points, "config": {"compile_seconds": 2.0}}
    found = {"ours, 128 steps": ours, "dense_paper": {"fvu": 0.4, "seconds": 60.0}}
    reached = curve.summarise(found)[curve.TARGET]["reached"]["ours, 128 steps"]
    assert reached["times_faster"] == 30
    assert reached["times_faster_with_compilation"] == 15


def request(folder, **changes):
    sizes = {"d_in": 16, "n_latents": 128, "k": 4, "batch_size": 64}
    return {"cell": sizes, "shards": str(folder), "n_steps": 64, "dead_fraction": 0.0} | changes


def test_our_worker_trains_and_measures(rows_folder):
    trainer = jax_worker.OurTrainer(request(rows_folder))
    before = trainer.fvu()
    measured = protocol.timed_round(trainer, 42)
    assert measured["steps"] == 48  # whole blocks of 8
    assert measured["ms"] == pytest.approx(1e3 * measured["seconds"] / 48)
    assert trainer.run(16) == 16  # to the end of the run
    assert trainer.fvu() < before
    trainer.close()


def test_latents_made_dead_stay_dead(rows_folder):
    trainer = jax_worker.OurTrainer(request(rows_folder, dead_fraction=0.25))
    trainer.run(16)
    dead = np.asarray(trainer._state.examples_since_fired) >= 262_144
    assert list(np.flatnonzero(dead)) == list(protocol.dead_latents(128, fraction=0.25))
    trainer.close()


def test_a_worker_answers_in_json_lines_and_survives_a_failure(rows_folder, tmp_path):
    worker = remote.ours("ours", device="cpu", threads=2, logs=tmp_path)
    with pytest.raises(remote.WorkerError, match="does not exist"):
        worker.ask(do="make", **request(tmp_path / "absent"))
    reply = worker.ask(do="make", **request(rows_folder))
    assert reply["config"]["block_steps"] == 8
    assert worker.ask(do="round", steps=16)["steps"] == 16
    assert worker.ask(do="memory")["peak_mb"] > 10
    worker._process.kill()
    with pytest.raises(remote.WorkerError, match="ended with code -9"):
        worker.ask(do="memory")
    worker.close()
