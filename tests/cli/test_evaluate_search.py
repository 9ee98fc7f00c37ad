"""`sae-jax evaluate-search` as a user meets it."""

import json

import numpy as np
import pytest
from searchable import N_ROWS, endpoint, make_run
from tiny import planted_rows

from sae_jax.analysis import codes
from sae_jax.cli import main
from sae_jax.errors import UsageError

N_CONCEPTS = 12


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("steering"))


@pytest.fixture(scope="module")
def with_concepts(run):
    """Its records name concepts: the rows on which each of some latents is on."""
    (folder,) = (run / "codes").iterdir()
    stored = codes.open_codes(folder)
    n_on = stored.n_on
    latents = np.flatnonzero((n_on >= 60) & (n_on <= 400))[:N_CONCEPTS]
    assert len(latents) == N_CONCEPTS
    parents = [set() for _ in range(N_ROWS)]
    for i, latent in enumerate(latents.tolist()):
        for row in stored.rows_of(latent).tolist():
            parents[row].add(f"n{i}")
    for row in range(N_CONCEPTS):  # the rows that are the concepts have nothing above them
        parents[row] = set()
    path = run.parent / "rows" / "texts.jsonl"
    before = path.read_text()
    path.write_text("".join(
        json.dumps({"id": f"n{i}", "text": f"text {i}", "parents": sorted(own)}) + "\n"
        for i, own in enumerate(parents)
    ))  # fmt: skip
    yield run
    path.write_text(before)


def test_without_a_hierarchy_it_says_what_is_missing(run):
    with pytest.raises(UsageError, match="a hierarchy needs synset and hypernym_ids or id"):
        main.dispatch(["evaluate-search", str(run)])


def test_it_measures_steering_and_writes_what_it_found(with_concepts, capsys):
    run = with_concepts
    assert main.dispatch(["evaluate-search", str(run), "--n_queries=20"]) == 0
    shown = capsys.readouterr().out
    assert "No rewriting, nor the vectors of names: no text encoder is known" in shown
    assert "20 held-out queries, 12 concepts" in shown
    (out,) = (run / "search" / "evaluation").glob("*.json")
    assert shown.endswith(f"Steering: {out}\n")
    made = json.loads(out.read_text())
    (folder,) = (run / "codes").iterdir()
    manifest = codes.open_codes(folder).manifest
    assert made["run_fingerprint"] == manifest.run_fingerprint
    assert made["data_fingerprint"] == manifest.data_fingerprint
    assert (made["format"], made["seed"], made["n_queries"]) == (1, 0, 20)
    assert {one["way"] for one in made["points"]} == {"sae", "supervised", "means", "random"}
    assert out.with_suffix(".csv").read_text().startswith("edit,side,way,at,measure,value")
    assert out.with_suffix(".svg").read_text().startswith("<svg")
    up = {
        one["way"]: one["sides"]["up"]["change"]["value"]
        for one in made["points"]
        if (one["edit"], one["at"]) == ("up", "cosine 0.7")
    }
    assert up["sae"] > up["random"] + 0.2
    main.dispatch(["evaluate-search", str(run), "--n_queries=20", "--seed=1"])
    other = json.loads(out.read_text())
    assert other["seed"] == 1
    assert other["neutral"] != made["neutral"]


def test_with_an_encoder_texts_are_rewritten(with_concepts, capsys):
    with endpoint(planted_rows(N_ROWS)) as url:
        flags = "--encoder=openai", "--model=tiny", f"--base_url={url}", "--n_queries=10"
        main.dispatch(["evaluate-search", str(with_concepts), *flags])
    assert "No rewriting" not in capsys.readouterr().out
    (out,) = (with_concepts / "search" / "evaluation").glob("*.json")
    made = json.loads(out.read_text())
    assert made["encoder"].startswith("tiny at http")
    assert {"rewriting", "name"} < {one["way"] for one in made["points"]}
    assert "as written" in {one["at"] for one in made["points"]}


def test_flags_of_an_encoder_that_is_not_named_are_refused(run):
    with pytest.raises(UsageError, match="--weights is of --encoder=minilm"):
        main.dispatch(["evaluate-search", str(run), "--weights=somewhere"])
