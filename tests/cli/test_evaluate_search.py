"""`sae-jax evaluate-search` as a user meets it."""

import contextlib
import json
import re
import signal
import sqlite3
import subprocess
import time

import numpy as np
import pytest
from chat_server import serving
from searchable import N_ROWS, endpoint, make_run
from tiny import command, planted_rows

from sae_jax.analysis import codes
from sae_jax.cli import main
from sae_jax.errors import EndpointError, UsageError

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
        json.dumps({
            "id": f"n{i}", "name": f"text {i} n{i}", "parents": sorted(own),
            "text": " ".join([f"text {i}", *sorted(own)]),
        }) + "\n"
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


@pytest.fixture
def judged_run(with_concepts):
    yield with_concepts
    for path in (with_concepts / "search" / "evaluation").glob("*"):
        path.unlink()


def by_model(run, server, *more):
    return [
        "evaluate-search", str(run), "--n_queries=10", "--judge=llm", "--judge_model=org/m",
        f"--judge_base_url={server.url}", *more,
    ]  # fmt: skip


def written(run):
    (path,) = (run / "search" / "evaluation").glob("*.json")
    return json.loads(path.read_text())


def both_at(made, way, at="cosine 0.7"):
    (point,) = [
        one
        for one in made["points"]
        if (one["edit"], one["way"], one["at"]) == ("both", way, at)
    ]
    return point


def test_a_model_judges_beside_counting_and_is_asked_nothing_twice(judged_run, capsys):
    with serving() as server:
        main.dispatch(by_model(judged_run, server, "--judge_queries=6"))
        shown = capsys.readouterr().out
        (said,) = re.findall(
            r"6 queries, each steered in 20 ways.*: (\d+) calls to make", shown
        )
        assert sum(server.requests.values()) == int(said)
        main.dispatch(by_model(judged_run, server, "--judge_queries=6"))
        assert sum(server.requests.values()) == int(said)
        assert f"0 calls, 0.0 s each: 0 tokens sent, 0 received; {said} were answered" in (
            capsys.readouterr().out
        )
    made = written(judged_run)
    judge = made["llm_judge"]
    assert (judge["model"], judge["base_url"], judge["n_queries"]) == ("org/m", server.url, 6)
    assert judge["states"] == {"ok": 4 * 5 * 6, "failed": 0, "refused": 0, "unparsable": 0}
    asked = [one for one in made["points"] if one["llm"]]
    assert {one["edit"] for one in asked} == {"both"}
    assert {one["llm"]["n"] for one in asked} == {6}
    latent, other = (both_at(made, way, "cosine 0.5")["llm"] for way in ("sae", "random"))
    value = latent["sides"]["up"]["identified"]["value"]
    assert value > other["sides"]["up"]["identified"]["value"]
    assert "The same by org/m, of 6 of the queries (120 ok):" in shown
    out = judged_run / "search" / "evaluation"
    (csv,) = out.glob("*.csv")
    assert "both,up,sae,cosine 0.7,identified by the model," in csv.read_text()
    (lines,) = out.glob("*-judgements.jsonl")
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    assert len(records) == 120
    right = [
        one["said_raised"] == one["raised"]
        for one in records
        if (one["way"], one["at"]) == ("sae", "cosine 0.5")
    ]
    assert np.mean(right) == value
    for one in records:
        assert (one["run_fingerprint"], one["seed"]) == (made["run_fingerprint"], 0)
        assert (one["model"], one["prompt_version"]) == ("org/m", 1)


def test_a_dry_run_says_calls_and_cost_and_neither_asks_nor_writes(judged_run, capsys):
    with serving() as server:
        flags = "--judge_queries=3", "--dry_run", "--dollars_per_million=1000,2000"
        main.dispatch(by_model(judged_run, server, *flags))
        assert not server.requests
    shown = capsys.readouterr().out
    found = re.search(
        r"3 queries.* (\d+) calls to make, about ([\d,]+) tokens.*\$([\d.]+)", shown
    )
    assert 30 < int(found[1]) <= 60
    assert float(found[3]) > 1
    assert "Steering:" not in shown
    assert not list((judged_run / "search" / "evaluation").glob("*"))


def test_without_the_flag_no_model_judges(judged_run, capsys):
    main.dispatch(["evaluate-search", str(judged_run), "--n_queries=10"])
    made = written(judged_run)
    assert made["llm_judge"] is None
    assert {one["llm"] for one in made["points"]} == {None}
    assert not list((judged_run / "search" / "evaluation").glob("*judgements*"))


def test_parameters_parallel_calls_and_time_reach_the_endpoint(judged_run):
    with serving() as server:
        server.seconds = 0.02
        few = "--judge_queries=1"
        main.dispatch(by_model(judged_run, server, few, "--n_parallel=1"))
        first = set(server.requests)
        assert server.most_at_once == 1
        more = few, '--parameters={"top_p": 0.5}', "--n_parallel=6"
        main.dispatch(by_model(judged_run, server, *more))
        assert len(set(server.requests) - first) == len(first)  # other calls
        assert 1 < server.most_at_once <= 6
    assert written(judged_run)["llm_judge"]["parameters"] == {"top_p": 0.5}


def test_what_fails_is_a_state_and_no_number(judged_run, monkeypatch):
    monkeypatch.setattr("chat_server.FAULTS", {"garbage": 100})
    monkeypatch.setattr("chat_server.Server.fault_of", lambda *a, **b: "garbage")
    with serving() as server:
        main.dispatch(by_model(judged_run, server, "--judge_queries=2"))
    made = written(judged_run)
    assert made["llm_judge"]["states"]["unparsable"] == 40
    assert both_at(made, "sae")["llm"]["sides"]["up"]["identified"]["value"] is None
    assert both_at(made, "sae")["sides"]["up"]["identified"]["value"] is not None


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "status 401: .*Set the environment variable OPENAI_API_KEY; it is empty"),
        (404, "Check --judge_base_url and that the endpoint has the model org/m"),
    ],
)
def test_an_endpoint_that_refuses_ends_it_with_one_error(judged_run, status, said):
    with serving() as server:
        server.status = status
        with pytest.raises(EndpointError, match=said):
            main.dispatch(by_model(judged_run, server, "--judge_queries=2"))
        assert sum(server.requests.values()) <= 4
    assert not list((judged_run / "search" / "evaluation").glob("*.json"))


def test_an_answer_that_takes_too_long_is_asked_for_again(judged_run, monkeypatch):
    monkeypatch.setattr("sae_jax.analysis.chat.N_RETRIES", 0)
    with serving() as server:
        server.seconds = 2.0
        flags = "--judge_queries=1", "--timeout_seconds=0.1"
        with pytest.raises(EndpointError, match=r"in a row failed.*no answer within 0\.1 s"):
            main.dispatch(by_model(judged_run, server, *flags))


def test_without_a_key_openai_is_not_asked(judged_run, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(EndpointError, match=r"OPENAI_API_KEY, or name another endpoint with "
                       r"--judge_base_url"):  # fmt: skip
        main.dispatch(["evaluate-search", str(judged_run), "--judge=llm", "--judge_model=m"])


def test_after_an_interrupt_the_same_command_goes_on(judged_run):
    with serving() as server:
        server.seconds = 0.05
        flags = by_model(judged_run, server, "--judge_queries=5")
        process = subprocess.Popen(
            command(*flags), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        while sum(server.delivered.values()) < 20:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert process.returncode == 130
        assert "run the same command again to go on" in said
        assert "Traceback" not in said
        (path,) = judged_run.glob("search/evaluation/*-llm-answers.sqlite")
        with contextlib.closing(sqlite3.connect(path)) as file:
            kept = {key for (key,) in file.execute("SELECT key FROM answers")}
        assert {key for key in server.delivered if key} <= kept  # it was paid for
        server.requests.clear()
        server.seconds = 0.0
        main.dispatch(flags)
        assert not kept & set(server.requests)
    assert written(judged_run)["llm_judge"]["states"]["ok"] == 100


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ["--judge_model=m"],
            "--judge_model does nothing with --judge=counts; add --judge=llm",
        ),
        (["--dry_run"], "--dry_run does nothing with --judge=counts; add --judge=llm"),
        (["--judge=llm"], "needs --judge_model, the model to ask; --model is the encoder's"),
        (["--judge=llm", "--model=m"], "--model is of --encoder=openai, which is not given"),
        (["--judge=llm", "--judge_model=m", "--parameters=[]"], "is no JSON object"),
        (["--judge=llm", "--judge_model=m", "--dollars_per_million=1"], "expected two prices"),
    ],
)
def test_a_mistake_is_said_before_anything_is_read(flags, said, tmp_path):
    with pytest.raises(UsageError, match=re.escape(said)):
        main.dispatch(["evaluate-search", str(tmp_path / "no run"), *flags])
