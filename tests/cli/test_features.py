"""From a run to labelled features and families, as a user gets there."""

import csv
import json

import numpy as np
import pytest
from tiny import planted_rows, run_here, train

WORDS = ["horse", "saddle", "debt", "loan", "river", "bridge", "stone", "cloud"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Rows with texts and a hierarchy, and a run that was trained on them."""
    folder = tmp_path_factory.mktemp("features")
    (folder / "rows").mkdir()
    rows = planted_rows(1_500)
    np.save(folder / "rows" / "a.npy", rows)
    lines = []
    for i, row in enumerate(rows):
        words = " ".join(WORDS[j] for j in np.argsort(-row)[:2] % 8)
        parents = [] if i < 8 else [str(int(np.argmax(row)) % 8)]
        kind = str(int(np.argmax(row)) % 4)
        lines.append(
            json.dumps(
                {"id": str(i), "text": f"{words} here", "parents": parents, "kind": kind}
            )
        )
    (folder / "rows" / "texts.jsonl").write_text("\n".join(lines) + "\n")
    train(folder / "rows", folder / "run")
    return folder


def test_before_encode_it_is_said_what_to_do(folder):
    for command in ("evaluate", "label", "families"):
        done = run_here(command, str(folder / "run"))
        assert done.returncode == 1
        assert "has no codes" in done.stderr
        assert f"Run `sae-jax encode {folder / 'run'}`" in done.stderr


def test_encode_label_and_families_follow_each_other(folder):
    run = str(folder / "run")
    assert run_here("encode", run).returncode == 0
    done = run_here("label", run)
    assert done.returncode == 0, done.stderr
    (path,) = (folder / "run" / "features").glob("*/labels.jsonl")
    labels = [json.loads(line) for line in path.read_text().splitlines()]
    assert [label["latent"] for label in labels] == list(range(64))
    (manifest,) = map(
        json.loads, (p.read_text() for p in path.parents[2].glob("codes/*/*.json"))
    )
    for name in ("run_fingerprint", "data_fingerprint"):
        assert {label[name] for label in labels} == {manifest[name]}
    named = [label for label in labels if label["state"] == "ok"]
    assert len(named) > 5
    assert all(0 <= label["hard"]["f1"] <= 1 for label in named)
    assert f"{len(named)} ok" in done.stdout
    for method in ("ours", "paper"):
        done = run_here("families", run, f"--method={method}")
        assert done.returncode == 0, done.stderr
        (path,) = (folder / "run" / "families").glob(f"*-{method}.json")
        made = json.loads(path.read_text())
        assert made["method"] == method
        assert made["metrics"]["n_families"] == len(made["families"])
        assert 0 <= made["agreement"]["families"]["precision"] <= 1
        assert "k-means" in done.stdout


def test_a_run_is_evaluated_beside_baselines(folder):
    run = str(folder / "run")
    assert run_here("encode", run).returncode == 0
    done = run_here("evaluate", run, "--classes=kind")
    assert done.returncode == 0, done.stderr
    (path,) = (folder / "run" / "quality").glob("*.json")
    made = json.loads(path.read_text())
    assert list(made["reconstruction"]) == ["autoencoder", "untrained", "pca_3", "mean"]
    fvu = {name: one["fvu"]["value"] for name, one in made["reconstruction"].items()}
    assert fvu["autoencoder"] < fvu["pca_3"] < fvu["mean"] == pytest.approx(1)
    names = ["n_queries", "reconstruction", "codes", "pca_3", "untrained"]
    assert list(made["retrieval"]) == names
    assert made["retrieval"]["reconstruction"]["recall"]["value"] > 0.1  # by chance 0.007
    assert made["probes"]["accuracy"]["embeddings"]["low"] > made["probes"]["largest_class"]
    kinds = ["latents", "untrained", "coordinates", "pca", "random", "supervised"]
    assert list(made["concepts"]) == list(made["classes"]) == kinds
    assert list(made["concepts"]["latents"]) == ["1", "4", "16"]
    f1 = {name: list(one.values())[-1]["f1"] for name, one in made["concepts"].items()}
    assert f1["supervised"]["value"] > made["concepts"]["random"]["1"]["f1"]["value"] > 0
    assert len(made["robustness"]["corruptions"]) == 9
    assert "recall, nDCG at 10" in done.stdout
    assert not list((folder / "run" / "quality").glob("untrained-*"))
    table = list(csv.DictReader(path.with_suffix(".csv").read_text().splitlines()))
    (same,) = [row for row in table if (row["measure"], row["of"]) == ("fvu", "autoencoder")]
    assert float(same["value"]) == fvu["autoencoder"]
    again = run_here("evaluate", run, "--seed=1", "--classes=kind")
    assert again.returncode == 0, again.stderr
    other = json.loads(path.read_text())
    assert other["retrieval"] != made["retrieval"]  # other queries
    done = run_here("evaluate", run, "--classes=nothing")
    assert done.returncode == 2
    assert "expected nothing, the class of each row" in done.stderr


def test_another_corpus_needs_codes_of_its_own(folder, tmp_path):
    np.save(tmp_path / "b.npy", planted_rows(150, seed=1))
    done = run_here("label", str(folder / "run"), f"--shards={tmp_path}")
    assert done.returncode == 1
    assert "has no codes" in done.stderr
    run_here("encode", str(folder / "run"), f"--shards={tmp_path}")
    done = run_here("label", str(folder / "run"), f"--shards={tmp_path}")
    assert done.returncode == 2
    assert "has no texts" in done.stderr
    done = run_here("evaluate", str(folder / "run"), f"--shards={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert "No concepts: " in done.stdout
    assert "No classes: " in done.stdout
    assert "supervised" not in done.stdout
    assert not list((folder / "run" / "quality").glob("untrained-*"))
    (tmp_path / "few").mkdir()
    np.save(tmp_path / "few" / "c.npy", planted_rows(50, seed=2))
    run_here("encode", str(folder / "run"), f"--shards={tmp_path / 'few'}")
    done = run_here("evaluate", str(folder / "run"), f"--shards={tmp_path / 'few'}")
    assert done.returncode == 2
    assert "5 of its 50 rows are held out; expected 10 at least" in done.stderr
