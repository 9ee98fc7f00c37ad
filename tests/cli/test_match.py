"""`sae-jax match` on small runs: tables, files, and what it says where it cannot."""

import csv
import json

import numpy as np
import pytest
import tiny
from tiny import planted_rows, run_command

from sae_jax.cli import main
from sae_jax.errors import SaeJaxError, ShardError


def train(folder, name, *, rows="rows", **changes):
    return str(tiny.train(folder / rows, folder / name, **changes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Rows that stand in a hierarchy, and runs of three sizes and two seeds on them."""
    folder = tmp_path_factory.mktemp("match")
    (folder / "rows").mkdir()
    rows = planted_rows(1_500)
    np.save(folder / "rows" / "a.npy", rows)
    lines = []
    for i, row in enumerate(rows):
        parents = [] if i < 8 else [str(int(np.argmax(row)) % 8)]
        text = f"word{np.argmax(row)} word{np.argmin(row)} here"
        lines.append(json.dumps({"id": str(i), "text": text, "parents": parents}))
    (folder / "rows" / "texts.jsonl").write_text("\n".join(lines) + "\n")
    for n_latents in (16, 32, 64):
        train(folder, f"n{n_latents}", n_latents=n_latents)
    train(folder, "seed1", n_latents=32, seed=1)
    for name in ("n16", "n32", "n64", "seed1"):
        main.dispatch(["encode", str(folder / name)])
    return folder


def match(*arguments):
    return main.dispatch(["match", *map(str, arguments)])


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def one_file(run, pattern):
    (path,) = (run / "matching").glob(f"*/{pattern}")
    return path


def test_sizes_are_matched_and_their_splitting_told(folder, capsys):
    main.dispatch(["label", str(folder / "n16")])
    match(folder / "n16", folder / "n64", folder / "n32")
    shown = capsys.readouterr().out
    made = json.loads(one_file(folder / "n16", "n64+n32-*.json").read_text())
    assert [pair["run"] for pair in made["pairs"]] == ["n64", "n32"]
    codes = json.loads(one_file(folder / "n16", "../../codes/*/manifest.json").read_text())
    assert made["run_fingerprint"] == codes["run_fingerprint"]
    assert made["data_fingerprint"] == codes["data_fingerprint"]
    median = made["pairs"][0]["activation"]["forward"]["median"]
    assert median["low"] <= median["value"] <= median["high"]
    assert median["value"] > median["null"]
    assert f"{median['value']:.3f}, {median['low']:.3f} to {median['high']:.3f}" in shown
    splitting = made["splitting"]
    assert splitting["sizes"] == [16, 32, 64]
    assert [step["larger"] for step in splitting["steps"]] == ["n32", "n64"]
    assert splitting["steps"][0]["truth"]["n_links"] > 0
    assert splitting["consistency"]["value"] > splitting["consistency"]["null"]
    assert 0 < len(splitting["trees"]) <= 5
    tree = splitting["trees"][0]
    assert len(tree["children"]) >= 2
    assert tree["label"] in shown
    assert "links between concepts join the same" in shown


def test_each_latent_and_each_child_have_a_line(folder):
    match(folder / "n16", folder / "n32")
    made = json.loads(one_file(folder / "n16", "n32-*.json").read_text())
    lines = table(one_file(folder / "n16", "n32-????????.csv"))
    assert [int(line["latent"]) for line in lines] == list(range(16))
    on = [line for line in lines if int(line["n_on"])]
    forward = made["pairs"][0]["activation"]["forward"]
    assert len(on) == forward["n_latents"]
    found = [float(line["activation_correlation"]) for line in on]
    assert np.median(found) == pytest.approx(forward["median"]["value"], abs=1e-4)
    mutual = [
        line["activation_mutual"] == "1" and float(line["activation_correlation"]) >= 0.7
        for line in on
    ]
    assert np.mean(mutual) == pytest.approx(forward["mutual"]["0.7"]["value"])
    links = table(one_file(folder / "n16", "n32-*-splitting.csv"))
    n_larger = made["splitting"]["steps"][0]["n_larger"]
    novel = made["splitting"]["steps"][0]["novel"]["value"]
    assert len(links) == round(n_larger * (1 - novel))
    assert all(float(link["correlation"]) >= 0.3 for link in links)


def test_seeds_are_matched_without_splitting_and_the_same_seed_gives_the_same(folder, capsys):
    match(folder / "n32", folder / "seed1", folder / "n16")
    path = one_file(folder / "n32", "seed1+n16-*.json")
    first = path.read_bytes()
    made = json.loads(first)
    assert made["splitting"] is None
    every, any_ = (made["universality"]["decoder"][name]["value"] for name in ("every", "any"))
    assert 0 <= every < any_ <= 1
    shown = capsys.readouterr().out
    assert f"in every one {100 * every:.1f} %" in shown
    # n32 and n16 began with the same directions, which such short training hardly turns.
    same = [pair["decoder"]["forward"]["same_number"] for pair in made["pairs"]]
    assert same[0] < 0.2
    assert same[1] > 0.8
    assert shown.count("have one number in both runs") == 1
    match(folder / "n32", folder / "seed1", folder / "n16")
    assert path.read_bytes() == first
    match(folder / "n32", folder / "seed1", folder / "n16", "--seed=1")
    other = json.loads(path.read_text())
    null = [one["pairs"][0]["decoder"]["forward"]["median"]["null"] for one in (made, other)]
    assert null[0] != null[1]


def test_without_codes_it_is_said_which_to_make(folder, tmp_path):
    np.save(tmp_path / "b.npy", planted_rows(200, seed=1))
    with pytest.raises(ShardError) as raised:
        match(folder / "n16", folder / "n32", f"--shards={tmp_path}")
    for name in ("n16", "n32"):
        assert f"`sae-jax encode {folder / name} --shards={tmp_path}`" in str(raised.value)
    for name in ("n16", "n32"):
        main.dispatch(["encode", str(folder / name), f"--shards={tmp_path}"])
    match(folder / "n16", folder / "n32", f"--shards={tmp_path}")
    assert list((folder / "n16" / "matching").glob(f"{tmp_path.name}-*/n32-*.json"))


def test_runs_of_another_width_are_refused_without_a_traceback(folder):
    (folder / "wide").mkdir()
    np.save(folder / "wide" / "a.npy", planted_rows(300, d_in=20))
    other = train(folder, "other", rows="wide", d_in=20)
    done = run_command("match", str(folder / "n16"), other)
    assert done.returncode == 2
    assert "was trained on rows of 20" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("names", [[], ["n16"], ["n16", "n32", "n16"]])
def test_two_runs_or_more_are_needed_each_once(folder, names):
    with pytest.raises(SaeJaxError, match="expected two or more, each once"):
        match(*(folder / name for name in names))
