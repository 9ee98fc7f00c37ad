"""`sae-jax latents` shows texts of random or named latents."""

import json
import shutil

import pytest
from tiny import config, planted_rows

from sae_jax.cli import main
from sae_jax.data.manifest import Provenance
from sae_jax.data.shards import open_shards
from sae_jax.data.writer import ShardWriter
from sae_jax.errors import ShardError
from sae_jax.train import loop


@pytest.fixture
def run(tmp_path, capsys):
    provenance = Provenance(encoder="none", normalisation="l2", source="test", licence="CC0")
    writer = ShardWriter(
        tmp_path / "rows", d_in=16, dtype="float16", provenance=provenance, identity="x"
    )
    records = [{"id": str(i), "text": f"concept number {i}"} for i in range(1_000)]
    writer.append(planted_rows(1_000).astype("float16"), records=records)
    writer.finish()
    (tmp_path / "run").mkdir()
    settings = config(tmp_path / "rows", n_steps=20)
    loop.train(settings, reader=open_shards(tmp_path / "rows"), workdir=tmp_path / "run")
    main.dispatch(["encode", str(tmp_path / "run")])
    capsys.readouterr()
    return tmp_path / "run"


def test_random_latents_come_with_their_texts(run, capsys):
    assert main.dispatch(["latents", str(run), "--n_latents=3", "--n_examples=2"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("\nlatent ") == 3
    # Two of the strongest, one of the median, of the weakest tenth, and one nearly on.
    assert shown.count("concept number") == 3 * 5
    for said in ("  median ", "  weak ", "  off "):
        assert shown.count(said) == 3
    assert shown.count("  like ") == 3 * 2
    assert "  with " in shown


def test_the_draw_depends_on_the_seed_alone(run, capsys):
    shown = []
    for seed in (0, 0, 1):
        main.dispatch(["latents", str(run), f"--seed={seed}"])
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] != shown[2]


def test_named_latents_are_shown_in_the_order_asked_for(run, capsys):
    main.dispatch(["latents", str(run), "--latent=7,3"])
    shown = capsys.readouterr().out
    assert shown.index("latent 7:") < shown.index("latent 3:")


def test_labels_are_shown_where_there_are_any(run, capsys):
    (folder,) = (run / "features").iterdir()
    fingerprint = json.loads((folder / "tables.json").read_text())["run_fingerprint"]
    label = {"latent": 7, "text": "lymph, node", "state": "ok", "run_fingerprint": fingerprint}
    (folder / "labels.jsonl").write_text(json.dumps(label) + "\n")
    main.dispatch(["latents", str(run), "--latent=7"])
    assert "latent 7 “lymph, node”: on for" in capsys.readouterr().out


def test_without_codes_it_is_said_how_to_make_them(run, capsys):
    shutil.rmtree(run / "codes")
    with pytest.raises(ShardError, match="has no codes, or not all of them"):
        main.dispatch(["latents", str(run)])
    main.dispatch(["encode", str(run)])
    shutil.rmtree(run / "features")
    with pytest.raises(ShardError, match="no tables of features"):
        main.dispatch(["latents", str(run)])
    main.dispatch(["encode", str(run)])  # the codes stay, the tables come
    assert "Histograms, likeness" in capsys.readouterr().out
    assert main.dispatch(["latents", str(run)]) == 0
