"""`sae-jax search` as a user meets it."""

import json
import re
import shutil

import pytest
from searchable import endpoint, make_run
from tiny import planted_rows, run_command

from sae_jax.cli import main
from sae_jax.errors import ShardError, UsageError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("search"))


@pytest.fixture
def said(run, capsys):
    """What the command prints, of these flags."""

    def said(*flags):
        assert main.dispatch(["search", str(run), *flags]) == 0
        return capsys.readouterr().out

    return said


@pytest.fixture
def found(said):
    return lambda *flags: json.loads(said(*flags, "--json"))


def rows_of(found):
    return [hit["row"] for hit in found["hits"]]


def test_a_document_is_searched_from_by_its_row_or_its_id(said, found):
    shown = said("--row=40")
    assert shown.startswith("row 40: its features, in percent of their highest value\n")
    assert re.search(r"^ +1 +1\.000  text 40$", shown, re.MULTILINE)
    assert shown.count("text ") == 10
    assert "10 of 1,500 rows, exact, " in shown
    assert rows_of(found("--row=40")) == rows_of(found("--document=n40"))
    assert rows_of(found("--row=40", "--k=3")) == rows_of(found("--row=40"))[:3]


def test_sliders_change_the_list_and_say_how_it_moved(said, found):
    before = found("--row=40", "--k=5")
    after = found("--row=40", "--k=5", "--set=3=200", "--set=9=50.5")
    assert rows_of(after) != rows_of(before)
    assert set(after["deltas"]) == {"3", "9"}
    assert after["fidelity"] < before["fidelity"] == pytest.approx(1)
    shown = said("--row=40", "--k=5", "--set=3=200", "--set=9=50.5")
    assert re.search(r"^moved +3 +\d+ % to 200 %  horse, saddle$", shown, re.MULTILINE)
    assert re.search(r"^moved +9 +\d+ % to 50 %  no label$", shown, re.MULTILINE)
    assert f"cosine to the query as it was: {after['fidelity']:.2f} (adjust)" in shown
    for place, hit in enumerate(after["hits"], start=1):
        rank = hit["neutral_rank"]
        moved = (
            "new" if rank > 5 else {1: "▲", -1: "▼"}.get((rank > place) - (rank < place), "")
        )
        size = str(abs(rank - place)) if moved in ("▲", "▼") else ""
        line = next(line for line in shown.splitlines() if line.startswith(f"{place:>3} "))
        assert line.split()[:2] == [str(place), moved + size or f"{hit['score']:.3f}"]
    assert "new" in shown


def test_a_familys_slider_moves_its_members(said, found):
    shown = said("--row=40", "--family=0=150")
    assert re.search(r"^family +0 +\d+ % to 150 %  horse, saddle$", shown, re.MULTILINE)
    after = found("--row=40", "--family=1=150")
    assert set(after["deltas"]) == {"9", "11", "20", "21"}
    own = found("--row=40", "--family=1=150", "--set=9=0")
    assert own["deltas"].get("9", 0) <= 0 < after["deltas"]["9"]


def test_each_mode_gives_scores_of_its_own(said, found):
    scores = {}
    for mode in ("adjust", "only", "re-encode"):
        made = found("--row=40", "--set=3=120", f"--mode={mode}")
        scores[mode] = [hit["score"] for hit in made["hits"]]
        assert made["mode"] == mode
        assert bool(made["errors"]) == (mode == "re-encode")
    assert scores["adjust"] != scores["only"] != scores["re-encode"] != scores["adjust"]
    shown = said("--row=40", "--set=3=120", "--mode=re-encode")
    assert "error of its code at each step: " in shown


def test_a_feature_or_a_family_is_searched_from(said):
    assert "latent 3: its features" in said("--feature=3")
    assert re.search(r"^ +3 +100 %  horse, saddle$", said("--feature=3"), re.MULTILINE)
    assert "family 1: its features" in said("--from_family=1")


def test_a_text_is_searched_for_by_the_encoder_that_is_named(run, said, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with endpoint(planted_rows(1_500)) as url:
        flags = "--encoder=openai", "--model=m", f"--base_url={url}"
        shown = said("text 77", *flags)
        assert shown.startswith("“text 77”: its features")
        assert re.search(r"^ +1 +1\.000  text 77$", shown, re.MULTILINE)
    with (
        endpoint(planted_rows(1_500, seed=4)) as url,
        pytest.raises(UsageError, match="does not give the rows of"),
    ):
        said("text 77", "--encoder=openai", "--model=m", f"--base_url={url}")
    with pytest.raises(UsageError, match="no text encoder is known"):
        said("text 77")


def test_json_names_run_and_corpus_and_splits_each_score(run, found):
    made = found("--row=40", "--set=3=120", "--k=2")
    (manifest,) = run.glob("codes/*/manifest.json")
    codes = json.loads(manifest.read_text())
    for name in ("run_fingerprint", "data_fingerprint"):
        assert made[name] == codes[name]
    for hit in made["hits"]:
        why = hit["explanation"]
        parts = [why["bias"], why["residual"]]
        parts += [one["natural"] + one["change"] for one in why["latents"]]
        assert sum(parts) == pytest.approx(hit["score"], abs=1e-5)
        assert hit["record"] == {"id": f"n{hit['row']}", "text": f"text {hit['row']}"}
    assert [one["latent"] for one in made["features"]]


def test_the_graph_may_search_instead(said, found):
    pytest.importorskip("usearch", reason="NOT TESTED, usearch is missing")
    exact, graph = (found("--row=40", f"--engine={one}") for one in ("exact", "usearch"))
    assert len(set(rows_of(exact)) & set(rows_of(graph))) >= 9
    assert "rows, usearch, " in said("--row=40", "--engine=usearch")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "expected a run folder, and one thing to search from"),
        (["a text", "--row=3"], "expected a run folder, and one thing"),
        (["--row=3", "--feature=3"], "expected a run folder, and one thing"),
        (["--row=1500"], r"no row 1500 in .*expected 0 to 1499"),
        (["--document=nobody"], "no record of .* has this id"),
        (["--feature=64"], "no latent 64; expected a number from 0 to 63"),
        (["--from_family=2"], "no family 2; .*has 2, from 0"),
        (["--row=3", "--set=64=10"], "no latent 64"),
        (["--row=3", "--set=3=301"], "latent 3 is set to 301 %; expected -100 to 300"),
        (["--row=3", "--set=3"], "--set=3: expected --set=LATENT=PERCENT"),
        (["--row=3", "--set=x=3"], "--set=x=3: expected --set=LATENT=PERCENT"),
        (["--row=3", "--family=9=10"], "no family 9"),
        (["--row=3", "--family=1=x"], "--family=1=x: expected --family=FAMILY=PERCENT"),
        (["--row=3", "--set=3=-5", "--mode=re-encode"], "no values below 0"),
        (["--row=3", "--encoder=minilm"], "--encoder is for a text"),
        (["a text", "--model=m"], "--model is of --encoder=openai"),
        (["a text", "--encoder=openai", "--weights=w"], "--weights is of --encoder=minilm"),
        (["a text", "--encoder=openai"], "needs --model"),
        (["--row=3", "--mode=less"], "mode"),
        (["--row=3", "--k=0"], "k"),
    ],
)
def test_wrong_use_is_refused(run, flags, message):
    with pytest.raises(UsageError, match=message):
        main.dispatch(["search", str(run), *flags])


def test_what_is_missing_is_said_with_the_command_that_makes_it(run, tmp_path):
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("codes", "search"))
    done = run_command("search", str(tmp_path / "run"), "--row=3")
    assert done.returncode == 1
    assert f"Run `sae-jax encode {tmp_path / 'run'}`" in done.stderr
    assert "Traceback" not in done.stderr
    shutil.copytree(run / "codes", tmp_path / "run" / "codes")
    shutil.rmtree(tmp_path / "run" / "families")
    with pytest.raises(ShardError, match=r"Run `sae-jax families "):
        main.dispatch(["search", str(tmp_path / "run"), "--row=3", "--family=1=50"])


def test_the_help_shows_examples_and_fits_a_screen(capsys):
    assert main.dispatch(["search", "--help"]) == 0
    shown = capsys.readouterr().out
    assert 'sae-jax search runs/first "a large animal' in shown
    assert "--mode" in shown
    assert len(shown.splitlines()) <= 50
