"""The file of labels keeps what holds, and the summary hides no failure."""

import contextlib
import json

import numpy as np
import pytest

from sae_jax.analysis import llm_report
from sae_jax.analysis.answers import Answers, KeptChat
from sae_jax.analysis.chat import OpenAIChat
from sae_jax.analysis.codes import FINGERPRINTS
from sae_jax.analysis.llm_labels import LlmLabel
from sae_jax.analysis.llm_scores import score

OF = {
    "run_fingerprint": "w", "data_fingerprint": "d", "prompt_version": 1, "model": "m",
    "judge_model": "m", "parameters": {"temperature": 0}, "seed": 0, "base_url": "u",
}  # fmt: skip
ON = np.arange(20) < 10
GOOD = score(np.where(ON, 9.0, 1.0), ON, rng=np.random.default_rng(0))
SAME = score(np.full(20, 9.0), ON, rng=np.random.default_rng(0))


@pytest.fixture
def chat(tmp_path):
    with (
        contextlib.closing(OpenAIChat(base_url="http://127.0.0.1:9/v1")) as client,
        contextlib.closing(Answers(tmp_path / "a.sqlite")) as answers,
    ):
        yield KeptChat(client, answers)


def ok(latent, *, text="a b", scores=GOOD):
    return LlmLabel(latent, "ok", text=text, scores=scores)


def read(folder):
    lines = map(json.loads, (folder / llm_report.FILE).read_text().splitlines())
    return {line["latent"]: (line["state"], line["text"]) for line in lines}


def test_records_say_what_they_are_and_stand_in_order(tmp_path):
    llm_report.write(tmp_path, [ok(3), LlmLabel(1, "failed", reason="500")], of=OF)
    lines = list(map(json.loads, (tmp_path / llm_report.FILE).read_text().splitlines()))
    assert [line["latent"] for line in lines] == [1, 3]
    assert lines[0]["scores"] is None
    assert lines[1]["scores"]["f1"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert all(line | OF == line for line in lines)
    assert lines[1]["method"] == "llm"


def test_other_latents_stay_and_a_failure_replaces_no_label(tmp_path):
    llm_report.write(tmp_path, [ok(1), ok(2), LlmLabel(3, "failed")], of=OF)
    new = [LlmLabel(1, "failed"), LlmLabel(2, "unparsable"), ok(3), ok(4, text="c d")]
    llm_report.write(tmp_path, new, of=OF)
    assert read(tmp_path) == {
        1: ("ok", "a b"), 2: ("unparsable", ""), 3: ("ok", "a b"), 4: ("ok", "c d"),
    }  # fmt: skip


@pytest.mark.parametrize("changed", ["run_fingerprint", "data_fingerprint"])
def test_labels_of_other_weights_or_rows_go(tmp_path, changed):
    llm_report.write(tmp_path, [ok(1)], of=OF)
    assert llm_report.write(tmp_path, [ok(2)], of=OF | {changed: "other"}) == 0
    assert list(read(tmp_path)) == [2]


@pytest.mark.parametrize("changed", sorted(set(OF) - set(FINGERPRINTS)))
def test_one_file_is_of_one_asking_and_what_went_is_counted(tmp_path, changed):
    assert llm_report.write(tmp_path, [ok(1), ok(3)], of=OF) == 0
    other = OF | {changed: 7 if changed == "seed" else "other"}
    assert llm_report.write(tmp_path, [ok(2), LlmLabel(3, "failed")], of=other) == 2
    assert read(tmp_path) == {2: ("ok", "a b"), 3: ("failed", "")}
    assert llm_report.write(tmp_path, [ok(1)], of=other) == 0
    assert list(read(tmp_path)) == [1, 2, 3]


def test_labels_of_a_file_that_named_no_endpoint_go(tmp_path):
    older = {name: value for name, value in OF.items() if name != "base_url"}
    llm_report.write(tmp_path, [ok(1)], of=older)
    assert llm_report.write(tmp_path, [ok(2)], of=OF) == 1
    assert list(read(tmp_path)) == [2]


def test_the_summary_counts_every_state_and_every_pearson_that_is_not_known(chat):
    labels = [ok(1), ok(2), ok(3, text="q", scores=SAME), LlmLabel(4, "failed", reason="500")]
    labels += [LlmLabel(5, "skipped", reason="never on")]
    said = llm_report.describe(labels, chat, most=9, seed=0)
    assert "5 latents: 1 failed, 3 ok, 1 skipped" in said
    assert "failed, such as latent 4: 500. The same command asks for them again." in said
    assert "skipped, such as latent 5: never on.\n" in said
    assert "F1 (yes to every text: 0.667) 0.889, mean of 3\n" in said
    assert (
        "Pearson 1.000, mean of 2; 1 have none: their judge said the same of all texts"
    ) in said
    assert "AUROC 0.833" in said
    assert "latent 3: q (F1 0.67, AUROC 0.50)" in said
    assert llm_report.describe(labels, chat, most=1, seed=0).count(": a b (") <= 1


def test_a_summary_without_any_label_has_no_means(chat):
    said = llm_report.describe([LlmLabel(4, "refused", reason="no")], chat, most=9, seed=0)
    assert "F1" not in said
    one = llm_report.describe([ok(1)], chat, most=9, seed=0)
    assert "AUROC 1.000, mean of 1" in one
    assert "refused, such as latent 4: no." in said
