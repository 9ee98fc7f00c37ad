"""The report of a folder of runs: planted laws come out, and every state of a run is said."""

import csv
import dataclasses
import json
import os
import re

import numpy as np
import pytest
import tiny

from sae_jax.errors import UsageError
from sae_jax.sweep import report, results

SIZES, KS = (1_536, 3_072, 6_144), (16, 32, 64)
FIGURES = ("fvu-and-size", "fvu-and-k", "compute", "learning-curves", "density")


def planted(n_latents, k, seed=0):
    return 2.0 * k**-0.3 * n_latents**-0.14 * (1 + 0.01 * seed)


def write_run(folder, *, n_latents, k, seed=0, fvu=None, finished=True, **changes):
    """As training leaves it, with numbers of ours."""
    fvu = fvu or planted(n_latents, k, seed)
    folder.mkdir(parents=True)
    config = tiny.config("data/mine", d_in=384, n_latents=n_latents, k=k, seed=seed, **changes)
    (folder / "config.json").write_text(config.to_json())
    curve = [(step, fvu * (1 + 1 / step)) for step in (20, 40, 60)]
    lines = [
        {"step": step, "split": split, "fvu": value * factor}
        for step, value in curve
        for split, factor in (("train", 0.9), ("held_out", 1.0))
    ]
    lines.append({"step": 60, "split": "timing", "examples_per_second": 1.0})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if not finished:
        return
    quality = {"fvu": fvu, "cosine": 0.9, "l0": float(k), "n_rows": 100}
    summary = {
        "held_out": quality,
        "train": quality | {"fvu": 0.9 * fvu},
        "dead_fraction": 0.01,
        "density_quantiles": {"0.5": k / n_latents},
        "density_histogram": {"log10_edges": [-3.0, -2.0, -1.0], "n_latents": [5, 7]},
        "seconds": 61.0,
        "examples_per_second": 1000.0,
        "n_examples": 3840,
        "data_fingerprint": "0123456789abcdef",
        "device": "1 × cpu",
        "config": dataclasses.asdict(config),
    }
    (folder / "summary.json").write_text(json.dumps(summary))


def write_sweep(folder, members):
    """Of (overrides, what write_run takes); None writes no run folder."""
    folder.mkdir()
    listed = []
    for overrides, run in members:
        name = ",".join(f"{key.rsplit('.', 1)[-1]}={v}" for key, v in overrides.items())
        listed.append({"name": name, "overrides": overrides})
        if run is not None:
            write_run(folder / name, **run)
    (folder / "sweep.json").write_text(json.dumps({"format": 1, "members": listed}))


@pytest.fixture
def grid(tmp_path):
    folder = tmp_path / "grid"
    sizes = [(n, k) for n in SIZES for k in KS]
    write_sweep(
        folder,
        [({"sae.n_latents": n, "sae.k": k}, {"n_latents": n, "k": k}) for n, k in sizes],
    )
    return folder


def test_planted_laws_come_out(grid):
    found = report.read(grid)
    (corpus,) = found.corpora
    assert [law.k for law in corpus.by_k] == list(KS)
    for law in corpus.by_k:
        for fitted, c in ((law.held_out, 2.0), (law.train, 1.8)):
            assert fitted.alpha == pytest.approx(0.14)
            assert fitted.c == pytest.approx(c * law.k**-0.3)
    assert corpus.joint.rms_error < 0.01
    assert corpus.joint(4_608, 24) == pytest.approx(planted(4_608, 24), rel=0.02)


def test_the_frontier_is_of_all_curves(grid):
    (corpus,) = report.read(grid).corpora
    assert len(corpus.spent) == 3 * 9
    cheapest = min(corpus.spent)
    assert cheapest in corpus.frontier
    fvu = [point.fvu for point in corpus.frontier]
    assert fvu == sorted(fvu, reverse=True)
    for point in corpus.spent:
        assert any(o.flops <= point.flops and o.fvu <= point.fvu for o in corpus.frontier)


def test_files_hold_every_number(grid, tmp_path):
    found = report.read(grid)
    written = report.write(found, title="Grid", out=tmp_path / "out")
    names = {path.name for path in written}
    assert names == {path.name for path in (tmp_path / "out").iterdir()}
    pictures = {f"{name}.{ending}" for name in FIGURES for ending in ("svg", "png")}
    assert names == pictures | {"index.html", "report.json", "members.csv"}
    as_json = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [one["state"] for one in as_json["members"]] == ["finished"] * 9
    assert as_json["corpora"][0]["power_laws"][0]["held_out"]["alpha"] == pytest.approx(0.14)
    with (tmp_path / "out" / "members.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["fvu"]) for row in rows] == [planted(n, k) for n in SIZES for k in KS]
    png = (tmp_path / "out" / "density.png").read_bytes()
    assert png.startswith(b"\x89PNG")


def test_the_page_loads_nothing_and_shows_names_as_text(tmp_path):
    folder = tmp_path / "odd"
    overrides = {"sae.n_latents": 64, "optimizer.x": "<b onload='x'>"}
    write_sweep(folder, [(overrides, None)])
    listed = json.loads((folder / "sweep.json").read_text())["members"]
    write_run(folder / listed[0]["name"], n_latents=64, k=4)
    report.write(report.read(folder), title="<i>", out=folder / "report")
    page = (folder / "report" / "index.html").read_text()
    assert "<b onload" not in page
    assert "&lt;b onload" in page
    assert "<h1>&lt;i&gt;</h1>" in page
    assert "<script" not in page
    assert "default-src 'none'" in page
    # Names of XML languages are no addresses that anything is loaded from.
    loaded = re.findall(r"(?:src|href)=\"(?!#)([^\"]*)\"", page)
    assert loaded == []


def test_every_state_of_a_member_is_said(tmp_path):
    folder = tmp_path / "mixed"
    ks = [{"sae.k": k} for k in (2, 3, 4, 5)]
    write_sweep(
        folder,
        [
            (ks[0], {"n_latents": 64, "k": 2}),
            (ks[1], {"n_latents": 64, "k": 3, "finished": False}),
            (ks[2], {"n_latents": 64, "k": 4, "finished": False}),
            (ks[3], None),
        ],
    )
    failure = {"error": "the loss & more", "refused": False}
    (folder / "k=4" / "failed.json").write_text(json.dumps(failure))
    found = report.read(folder)
    states = [result.state for result in found.results]
    assert states == ["finished", "unfinished", "failed", "not begun"]
    report.write(found, title="Mixed", out=folder / "report")
    page = (folder / "report" / "index.html").read_text()
    assert "1 of 4 runs finished" in page
    assert "failed. the loss &amp; more" in page
    assert "not begun" in page
    said = report.describe(found)
    assert "k=4" in said
    assert "FAILED the loss & more" in said


def test_seeds_have_an_interval_and_are_all_points_of_a_law(tmp_path):
    folder = tmp_path / "seeds"
    members = [(n, seed) for n in SIZES for seed in (0, 1, 2)]
    write_sweep(
        folder,
        [
            ({"sae.n_latents": n, "seed": s}, {"n_latents": n, "k": 16, "seed": s})
            for n, s in members
        ],
    )
    (corpus,) = report.read(folder).corpora
    assert [one.n_seeds for one in corpus.seeds] == [3, 3, 3]
    first, fvu = corpus.seeds[0], [planted(SIZES[0], 16, s) for s in (0, 1, 2)]
    assert first.fvu == pytest.approx(np.mean(fvu))
    half = 4.303 * np.std(fvu, ddof=1) / 3**0.5  # Student's t, two degrees of freedom
    assert (first.low, first.high) == pytest.approx((first.fvu - half, first.fvu + half), 1e-4)
    assert corpus.by_k[0].held_out.n_points == 9


def test_laws_are_of_the_best_variant_at_each_size_and_k(tmp_path):
    folder = tmp_path / "rates"
    runs = [(n, rate, fvu) for n in SIZES[:2] for rate, fvu in ((0.1, 0.5), (0.2, 0.3))]
    write_sweep(
        folder,
        [
            (
                {"sae.n_latents": n, "optimizer.learning_rate": rate},
                {"n_latents": n, "k": 8, "fvu": fvu, "learning_rate": rate},
            )
            for n, rate, fvu in runs
        ],
    )
    (corpus,) = report.read(folder).corpora
    assert [one.variant for one in corpus.best] == ["learning_rate=0.2"] * 2
    assert len(corpus.members) == 4
    assert corpus.by_k[0].held_out.alpha == pytest.approx(0.0, abs=1e-9)


def test_data_sets_are_kept_apart(tmp_path):
    folder = tmp_path / "two"
    write_sweep(
        folder,
        [
            ({"shards": name, "sae.n_latents": n}, {"n_latents": n, "k": 8})
            for name in ("a", "b")
            for n in SIZES[:2]
        ],
    )
    for path in folder.glob("shards=b*/config.json"):
        path.write_text(path.read_text().replace("data/mine", "data/other"))
    found = report.read(folder)
    assert [corpus.name for corpus in found.corpora] == ["mine (01234567)", "other (01234567)"]
    written = report.write(found, title="Two", out=folder / "report")
    assert {"density-1.svg", "density-2.svg"} <= {path.name for path in written}


def test_a_single_run_has_a_report_too(tmp_path):
    write_run(tmp_path / "one", n_latents=64, k=4)
    found = report.read(tmp_path / "one")
    assert [result.name for result in found.results] == ["one"]
    assert found.corpora[0].by_k[0].held_out is None
    written = report.write(found, title="One", out=tmp_path / "out")
    assert not any("fvu-and" in path.name for path in written)


def test_a_line_of_metrics_that_is_being_written_is_left_out(tmp_path):
    write_run(tmp_path / "one", n_latents=64, k=4, finished=False)
    with (tmp_path / "one" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 80, "spl')
    (result,) = results.read_results(tmp_path / "one")
    assert [point.step for point in result.curves["held_out"]] == [20, 40, 60]


def test_a_run_without_a_histogram_has_no_figure_of_it_and_null_for_nan(tmp_path):
    write_run(tmp_path / "old", n_latents=64, k=4)
    path = tmp_path / "old" / "summary.json"
    summary = json.loads(path.read_text())
    del summary["density_histogram"]
    path.write_text(json.dumps(summary))
    written = report.write(report.read(tmp_path / "old"), title="Old", out=tmp_path / "out")
    assert not any("density" in path.name for path in written)
    text = (tmp_path / "out" / "report.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["members"][0]["numbers"]["dense_share"] is None


def test_dense_latents_are_those_on_for_over_a_tenth():
    histogram = {"log10_edges": [-2.0, -1.5, -1.0, -0.5, 0.0], "n_latents": [100, 0, 0, 10]}
    on = 100 * 10**-1.75, 10 * 10**-0.25
    share = results.dense_share({"density_histogram": histogram})
    assert share == pytest.approx(on[1] / sum(on))


def test_a_report_is_current_until_a_run_ends(grid):
    out = grid / "report"
    assert not report.is_current(grid, out=out)
    report.write(report.read(grid), title="Grid", out=out)
    assert report.is_current(grid, out=out)
    path = next(grid.glob("*/summary.json"))
    os.utime(path, ns=(2 * 10**18, 2 * 10**18))
    assert not report.is_current(grid, out=out)


def test_what_ends_while_a_report_is_made_makes_it_out_of_date(grid):
    found = report.read(grid)
    path = grid / "n_latents=1536,k=16" / "summary.json"
    os.utime(path, ns=(found.newest_ns + 1,) * 2)
    report.write(found, title="Grid", out=grid / "report")
    assert not report.is_current(grid, out=grid / "report")


def test_files_of_the_last_report_go_and_no_others(tmp_path):
    folder, out = tmp_path / "one", tmp_path / "out"
    write_run(folder, n_latents=64, k=4)
    report.write(report.read(folder), title="One", out=out)
    assert "density.svg" in json.loads((out / "report.json").read_text())["files"]
    (out / "of-a-person.svg").write_text("")
    (tmp_path / "outside.svg").write_text("")
    made = json.loads((out / "report.json").read_text())
    made["files"] += ["../outside.svg", str(tmp_path / "outside.svg")]
    (out / "report.json").write_text(json.dumps(made))
    summary = json.loads((folder / "summary.json").read_text())
    del summary["density_histogram"]
    (folder / "summary.json").write_text(json.dumps(summary))
    report.write(report.read(folder), title="One", out=out)
    left = {path.name for path in out.iterdir()}
    assert not {"density.svg", "density.png"} & left
    assert {"learning-curves.svg", "report.json", "of-a-person.svg"} <= left
    assert (tmp_path / "outside.svg").exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"held_out": {"fv', "cannot be read"),
        (b'"\xff"', "cannot be read"),
        (b"[]", "cannot be read (holds a list)"),
        (b'{"held_out": {}}', "has not the numbers that training writes (KeyError: 'train')"),
    ],
)
def test_a_damaged_summary_is_a_failure_of_its_member_alone(tmp_path, content, why):
    folder = tmp_path / "two"
    write_sweep(folder, [({"sae.k": k}, {"n_latents": 64, "k": k}) for k in (2, 3)])
    (folder / "k=2" / "summary.json").write_bytes(content)
    found = report.read(folder)
    assert [result.state for result in found.results] == ["failed", "finished"]
    assert str(folder / "k=2" / "summary.json") in found.results[0].error
    assert why in found.results[0].error
    assert [one.name for one in found.corpora[0].members] == ["k=3"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cannot be read (Expecting value"),
        (b"[]", "cannot be read ("),
        (b'{"reason": "x"}', "cannot be read ("),
        (b'{"error": 3}', "cannot be read (error is 3)"),
    ],
)
def test_a_failure_that_cannot_be_read_is_said_of_its_member_alone(tmp_path, content, why):
    folder = tmp_path / "two"
    runs = [{"n_latents": 64, "k": k, "finished": k == 3} for k in (2, 3)]
    write_sweep(folder, [({"sae.k": run["k"]}, run) for run in runs])
    (folder / "k=2" / "failed.json").write_bytes(content)
    found = report.read(folder)
    assert [result.state for result in found.results] == ["failed", "finished"]
    assert f"failed.json: {why}" in found.results[0].error
    assert "--retry_failed" in report.describe(found)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"step": 80}', "(KeyError: 'split')"),
        (b'{"step": 80, "split": "train"}', "(KeyError: 'fvu')"),
        (b'{"step": 80, "split": "train", "fvu": "?"}', "(ValueError: "),
        (b"[]", "(TypeError: "),
        (b'{"step": 80, "spl\n{}', "(JSONDecodeError: "),
        (b'"\xff"\n{}', "(UnicodeDecodeError: "),
    ],
)
def test_a_damaged_line_of_metrics_ends_the_curves_of_its_run_and_is_said(
    tmp_path, content, why
):
    folder = tmp_path / "two"
    runs = [{"n_latents": 64, "k": k, "finished": k == 3} for k in (2, 3)]
    write_sweep(folder, [({"sae.k": run["k"]}, run) for run in runs])
    for name in ("k=2", "k=3"):
        with (folder / name / "metrics.jsonl").open("ab") as file:
            file.write(content + b"\n")
    found = report.read(folder)
    assert [result.state for result in found.results] == ["failed", "finished"]
    for result in found.results:
        assert [point.step for point in result.curves["held_out"]] == [20, 40, 60]
        assert f"metrics.jsonl: line 8 is damaged {why}" in result.error
    assert [one.name for one in found.corpora[0].members] == ["k=3"]
    assert report.describe(found).count("line 8") == 2
    report.write(found, title="Two", out=tmp_path / "out")
    assert (tmp_path / "out" / "index.html").read_text().count("line 8 is damaged") == 2


def test_a_config_that_cannot_be_read_is_said_of_its_member_alone(tmp_path):
    folder = tmp_path / "two"
    write_sweep(folder, [({"sae.k": k}, {"n_latents": 64, "k": k}) for k in (2, 3)])
    (folder / "k=2" / "config.json").write_text("{")
    found = report.read(folder)
    assert [result.state for result in found.results] == ["failed", "finished"]
    assert "config.json: cannot be read" in found.results[0].error
    report.write(found, title="Two", out=tmp_path / "out")


def test_a_failure_before_a_run_was_finished_is_forgotten(tmp_path):
    write_run(tmp_path / "one", n_latents=64, k=4)
    (tmp_path / "one" / "failed.json").write_text('{"error": "not finite"}')
    (result,) = results.read_results(tmp_path / "one")
    assert (result.state, result.error) == ("finished", "")


def test_the_same_numbers_give_the_same_files(grid, tmp_path):
    for name in ("one", "two"):
        report.write(report.read(grid), title="Grid", out=tmp_path / name)
    for path in (tmp_path / "one").glob("*.svg"):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_failures_of_before_they_could_be_refused_are_read(tmp_path):
    write_sweep(
        tmp_path / "old", [({"sae.k": 2}, {"n_latents": 64, "k": 2, "finished": False})]
    )
    (tmp_path / "old" / "k=2" / "failed.json").write_text('{"error": "not finite"}')
    (result,) = report.read(tmp_path / "old").results
    assert (result.state, result.error) == ("failed", "not finite")


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"neither sweep\.json nor config"):
        report.read(tmp_path)
