"""From a run to labelled features and families, as a user gets there."""

import json

import numpy as np
import pytest
from tiny import config, planted_rows, run_command

from sae_jax.data.shards import open_shards
from sae_jax.train import loop

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
        lines.append(json.dumps({"id": str(i), "text": f"{words} here", "parents": parents}))
    (folder / "rows" / "texts.jsonl").write_text("\n".join(lines) + "\n")
    settings = config(folder / "rows", n_steps=40, products="dense", auxk_coefficient=0.0)
    loop.train(settings, reader=open_shards(folder / "rows"), workdir=folder / "run")
    return folder


def test_before_encode_it_is_said_what_to_do(folder):
    for command in ("evaluate", "label", "families"):
        done = run_command(command, str(folder / "run"))
        assert done.returncode == 1
        assert "has no codes" in done.stderr
        assert f"Run `sae-jax encode {folder / 'run'}`" in done.stderr


def test_encode_label_and_families_follow_each_other(folder):
    run = str(folder / "run")
    assert run_command("encode", run).returncode == 0
    done = run_command("label", run)
    assert done.returncode == 0, done.stderr
    (path,) = (folder / "run" / "features").glob("*/labels.jsonl")
    labels = [json.loads(line) for line in path.read_text().splitlines()]
    assert [label["latent"] for label in labels] == list(range(64))
    named = [label for label in labels if label["state"] == "ok"]
    assert len(named) > 5
    assert all(0 <= label["hard"]["f1"] <= 1 for label in named)
    assert f"{len(named)} ok" in done.stdout
    for method in ("ours", "paper"):
        done = run_command("families", run, f"--method={method}")
        assert done.returncode == 0, done.stderr
        (path,) = (folder / "run" / "families").glob(f"*-{method}.json")
        made = json.loads(path.read_text())
        assert made["method"] == method
        assert made["metrics"]["n_families"] == len(made["families"])
        assert 0 <= made["agreement"]["families"]["precision"] <= 1
        assert "k-means" in done.stdout


def test_a_run_is_evaluated_beside_baselines(folder):
    run = str(folder / "run")
    assert run_command("encode", run).returncode == 0
    done = run_command("evaluate", run)
    assert done.returncode == 0, done.stderr
    (path,) = (folder / "run" / "quality").glob("*.json")
    made = json.loads(path.read_text())
    assert list(made["retrieval"]) == ["n_queries", "reconstruction", "codes", "pca_3"]
    assert made["retrieval"]["reconstruction"]["recall"] > 0.1  # by chance 0.007
    assert list(made["concepts"]) == ["latents", "coordinates", "pca", "random", "supervised"]
    f1 = {name: one["mean_f1"] for name, one in made["concepts"].items()}
    assert f1["supervised"] > f1["random"] > 0
    assert "recall, nDCG at 10" in done.stdout


def test_another_corpus_needs_codes_of_its_own(folder, tmp_path):
    np.save(tmp_path / "b.npy", planted_rows(50, seed=1))
    done = run_command("label", str(folder / "run"), f"--shards={tmp_path}")
    assert done.returncode == 1
    assert "has no codes" in done.stderr
    run_command("encode", str(folder / "run"), f"--shards={tmp_path}")
    done = run_command("label", str(folder / "run"), f"--shards={tmp_path}")
    assert done.returncode == 2
    assert "has no texts" in done.stderr
    done = run_command("evaluate", str(folder / "run"), f"--shards={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert "No concepts: " in done.stdout
    assert "supervised" not in done.stdout
