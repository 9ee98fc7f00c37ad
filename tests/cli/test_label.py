"""`sae-jax label --method=llm` as a user meets it: plan, kill, resume, refusal."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import time

import numpy as np
import pytest
from chat_server import TEXT, serving
from tiny import command, planted_rows, run_command, train

from sae_jax.analysis import encode
from sae_jax.cli import main
from sae_jax.data.shards import open_shards
from sae_jax.errors import UsageError
from sae_jax.notebook import load

WORDS = ["horse", "saddle", "debt", "loan", "river", "bridge", "stone", "cloud"]
N_PARALLEL = 3


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    """A run of 64 latents over 1,500 rows with texts, and its codes."""
    folder = tmp_path_factory.mktemp("label")
    (folder / "rows").mkdir()
    rows = planted_rows(1_500)
    np.save(folder / "rows" / "a.npy", rows)
    lines = (
        json.dumps({"text": f"{' '.join(WORDS[j] for j in np.argsort(-row)[:2] % 8)} text{i}"})
        for i, row in enumerate(rows)
    )
    (folder / "rows" / "texts.jsonl").write_text("\n".join(lines) + "\n")
    sae = load(train(folder / "rows", folder / "run"))
    reader = open_shards(folder / "rows")
    encode.encode_corpus(sae, reader, out=encode.folder_for(folder / "run", reader))
    return folder / "run"


@pytest.fixture
def run(encoded):
    yield encoded
    for path in encoded.glob("features/*/llm-*"):
        path.unlink()


def arguments(run, server, *more):
    return (
        "label", str(run), "--method=llm", "--model=m", f"--base_url={server.url}",
        f"--n_parallel={N_PARALLEL}", *more,
    )  # fmt: skip


def records(run):
    (path,) = run.glob("features/*/llm-labels.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def kept_keys(run):
    found = list(run.glob("features/*/llm-answers.sqlite"))
    if not found:
        return set()
    with contextlib.closing(sqlite3.connect(found[0])) as file:
        return {key for (key,) in file.execute("SELECT key FROM answers")}


@pytest.mark.slow
def test_a_killed_command_goes_on_and_pays_for_no_answer_twice(run):
    with serving(seed=2) as server:
        server.seconds = 0.05
        process = subprocess.Popen(
            command(*arguments(run, server, "--timeout_seconds=1")),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        while sum(server.delivered.values()) < 40:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        before = kept_keys(run)
        assert len(before) >= 40 - N_PARALLEL
        assert not list(run.glob("features/*/llm-labels.jsonl"))
        server.requests.clear()
        server.seconds = 0.0
        done = run_command(*arguments(run, server, "--timeout_seconds=1"))
        assert done.returncode == 0, done.stderr
        assert not before & set(server.requests)  # what was kept was not asked for again
        twice = [key for key, n in server.delivered.items() if n > 1]
        assert len(twice) <= N_PARALLEL  # at most what was under way at the kill
        assert f"{len(before)} calls were answered before" in done.stdout
        resumed = records(run)
        for path in run.glob("features/*/llm-*"):
            path.unlink()
        main.dispatch(list(arguments(run, server)))
    assert records(run) == resumed  # the same as without a kill
    assert [one["latent"] for one in resumed] == list(range(64))
    assert {one["state"] for one in resumed} <= {"ok", "skipped"}
    named = [one for one in resumed if one["state"] == "ok"]
    assert len(named) > 20
    assert f"{len(named)} ok" in done.stdout
    for one in named:
        assert 20 <= one["scores"]["n"] == 2 * one["scores"]["n_on"]
        assert (one["model"], one["judge_model"], one["method"]) == ("m", "m", "llm")
        assert (one["prompt_version"], one["seed"]) == (1, 0)
        assert len(one["run_fingerprint"]) == len(one["data_fingerprint"]) == 64


def test_a_dry_run_says_what_is_to_be_asked_and_asks_nothing(run, capsys):
    with serving() as server:
        more = "--dry_run", "--n_latents=5", "--dollars_per_million=1000,2000"
        main.dispatch(list(arguments(run, server, *more)))
        said = capsys.readouterr().out
        assert not server.requests
        assert not list(run.glob("features/*/llm-*"))
        found = re.search(r"5 latents: (\d+) calls.*about ([\d,]+) tokens.*\$([\d.]+)\n", said)
        assert 10 <= int(found[1]) <= 15
        assert float(found[3]) > 1
        main.dispatch(list(arguments(run, server, "--n_latents=5")))
        assert sum(server.requests.values()) == int(found[1])
        main.dispatch(list(arguments(run, server, *more)))
    after = capsys.readouterr().out
    assert "5 latents: 0 calls to make, about 0 tokens to send" in after
    assert f"{found[1]} calls were answered before; about $0.00\n" in after


def test_latents_are_named_or_drawn_and_add_up_in_the_file(run, capsys):
    with serving() as server:
        main.dispatch(list(arguments(run, server, "--n_latents=4", "--seed=1")))
        drawn = [one["latent"] for one in records(run)]
        assert len(drawn) == 4
        assert all(one["state"] == "ok" for one in records(run))
        other = next(i for i in range(64) if i not in drawn)
        main.dispatch(list(arguments(run, server, f"--latent={other},{drawn[0]}", "--seed=1")))
        assert [one["latent"] for one in records(run)] == sorted([*drawn, other])
        capsys.readouterr()
        main.dispatch(list(arguments(run, server, "--n_latents=4", "--seed=3")))
        assert [one["latent"] for one in records(run)] != drawn  # another seed draws others
        assert "5 labels of another model, endpoint, seed" in capsys.readouterr().out
        n_before = sum(server.requests.values())
        main.dispatch(list(arguments(run, server, "--n_latents=4", "--seed=1")))
        assert [one["latent"] for one in records(run)] == drawn
        assert sum(server.requests.values()) == n_before  # from kept answers


def test_the_same_model_at_another_endpoint_is_asked_itself(run):
    with serving() as first:
        main.dispatch(list(arguments(run, first, "--n_latents=2")))
        with serving() as second:
            main.dispatch(list(arguments(run, second, "--n_latents=2")))
    assert sum(second.requests.values()) == sum(first.requests.values()) > 0
    assert {one["base_url"] for one in records(run)} == {second.url}


def test_a_confidence_too_large_that_was_kept_stops_no_later_run(run, monkeypatch):
    large = 10**400  # no float
    monkeypatch.setattr(
        "chat_server.judgement",
        lambda prompt: json.dumps(dict.fromkeys(dict(TEXT.findall(prompt)), large)),
    )
    with serving() as server:
        for _ in range(2):
            main.dispatch(list(arguments(run, server, "--n_latents=1")))
        main.dispatch(list(arguments(run, server, "--n_latents=1", "--dry_run")))
    assert [one["state"] for one in records(run)] == ["unparsable"]


def test_parameters_and_models_reach_the_endpoint(run):
    with serving() as server:
        more = "--n_latents=1", '--parameters={"top_p": 0.5}', "--judge_model=j"
        main.dispatch(list(arguments(run, server, *more)))
        first = set(server.requests)
        main.dispatch(list(arguments(run, server, "--n_latents=1", "--judge_model=j")))
        assert len(set(server.requests) - first) == len(first)  # other parameters: other calls
    (one,) = records(run)
    assert (one["judge_model"], one["parameters"]) == ("j", {"temperature": 0})


def test_a_refused_key_stops_at_once_and_loses_nothing(run, monkeypatch):
    key = "sk-secret-of-the-test"
    environment = os.environ | {"OPENAI_API_KEY": key}
    with serving(key=key) as server:
        some = run_command(*arguments(run, server, "--n_latents=3"), env=environment)
        assert some.returncode == 0, some.stderr
        before, server.status = records(run), 401
        server.requests.clear()
        done = run_command(*arguments(run, server), env=environment)
        assert done.returncode == 1
        assert sum(server.requests.values()) <= N_PARALLEL
    assert "status 401: " in done.stderr
    assert "Set the environment variable OPENAI_API_KEY to a valid key" in done.stderr
    assert "Traceback" not in done.stderr
    after = {one["latent"]: one for one in records(run)}
    assert all(after[one["latent"]] == one for one in before)
    assert key not in done.stdout + done.stderr + json.dumps(list(after.values()))


def test_an_interrupt_leaves_what_is_complete(run):
    with serving() as server:
        server.seconds = 0.05
        process = subprocess.Popen(
            command(*arguments(run, server)), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        while sum(server.delivered.values()) < 30:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "run the same command again to go on" in said
    assert "Traceback" not in said
    states = [one["state"] for one in records(run)]
    assert 5 <= states.count("ok") < 15
    assert {key for key in server.delivered if key} <= kept_keys(run)  # it was paid for


def test_a_second_interrupt_waits_for_nothing(run):
    with serving() as server:
        server.seconds = 30.0
        process = subprocess.Popen(
            command(*arguments(run, server)), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        while sum(server.requests.values()) < N_PARALLEL:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        for line in process.stderr:
            if b"answers under way" in line:
                break
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        assert time.monotonic() - began < 10
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--model=m"], "--model does nothing with --method=keywords; add --method=llm"),
        (["--method=llm"], "needs the --model to ask"),
        (["--method=llm", "--model=m", "--latent=1", "--n_latents=2"], "give one of both"),
        (["--method=llm", "--model=m", "--latent=64"], "expected numbers from 0 to 63"),
        (["--method=llm", "--model=m", "--parameters=0.5"], "is no JSON object"),
        (["--method=llm", "--model=m", "--dollars_per_million=1"], "expected two prices"),
        (["--method=llm", "--model=m", "--dollars_per_million=1,x"], "expected two prices"),
    ],
)
def test_a_mistake_is_said_before_anything_is_asked(run, flags, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        main.dispatch(["label", str(run), *flags])
    assert not list(run.glob("features/*/llm-*"))
