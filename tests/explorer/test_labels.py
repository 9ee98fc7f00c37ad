"""Labels with their sources; edits by hand win, are kept, and can be taken back."""

import json

import pytest

from sae_jax.explorer.labels import Labels

OWN = "weights"


def write(folder, file, *records):
    lines = (json.dumps({"run_fingerprint": OWN, "state": "ok"} | one) for one in records)
    (folder / file).write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def folder(tmp_path):
    keywords = {"easy": {"f1": 0.5}}
    write(
        tmp_path, "labels.jsonl",
        {"latent": 1, "text": "one"} | keywords, {"latent": 2, "text": "two"} | keywords,
        {"latent": 3, "text": "", "state": "too few rows", "easy": None},
        {"latent": 4, "text": "of others", "run_fingerprint": "other weights"} | keywords,
    )  # fmt: skip
    write(
        tmp_path, "llm-labels.jsonl",
        {"latent": 2, "text": "the number two", "scores": {"f1": {"value": 0.8}}},
        {"latent": 1, "text": "", "state": "failed", "reason": "status 500", "scores": None},
    )  # fmt: skip
    return tmp_path


def opened(folder):
    return Labels(folder, run_fingerprint=OWN)


def test_a_language_model_s_label_is_preferred_and_a_failure_is_not(folder):
    labels = opened(folder)
    assert labels.name == {1: "one", 2: "the number two"}
    assert (labels.current(2).source, labels.current(2).f1) == ("llm", 0.8)
    assert (labels.current(1).source, labels.current(1).f1) == ("keywords", 0.5)
    assert [one.source for one in labels.of(1)] == ["keywords", "llm"]
    assert labels.of(1)[1].record["reason"] == "status 500"


def test_labels_of_other_weights_are_none(folder):
    assert opened(folder).of(4) == []


def test_an_edit_wins_and_is_there_again_when_opened_anew(folder):
    labels = opened(folder)
    labels.edit(2, "deux")
    labels.edit(3, "trois")
    for one in (labels, opened(folder)):
        assert one.name == {1: "one", 2: "deux", 3: "trois"}
        assert one.current(2).source == "you"
        assert one.current(2).f1 is None  # nothing has judged it
    assert len(labels.of(2)) == 3


def test_an_edit_can_be_taken_back_and_its_history_stays(folder):
    labels = opened(folder)
    labels.edit(2, "deux")
    labels.edit(2, "")
    for one in (labels, opened(folder)):
        assert one.name[2] == "the number two"
        assert [label.text for label in one.of(2)] == ["two", "the number two", "deux", None]
    labels.edit(3, "trois")
    labels.edit(3, "")
    assert 3 not in labels.name


def test_a_run_without_labels_has_none(tmp_path):
    assert opened(tmp_path / "nowhere").name == {}


@pytest.mark.parametrize("file", ["labels.jsonl", "llm-labels.jsonl", "edited-labels.jsonl"])
@pytest.mark.parametrize("torn", [b'{"latent": 2, "te', b"[]", b'{"text": "a"}', b'"\xe7'])
def test_a_torn_line_is_left_out_and_said(folder, file, torn):
    labels = opened(folder)
    labels.edit(3, "trois")
    with (folder / file).open("ab") as end:
        end.write(torn)
    said = []
    again = Labels(folder, run_fingerprint=OWN, say=said.append)
    assert again.name == labels.name
    assert len(said) == 1
    assert f"{file}: line " in said[0]


def test_an_edit_after_a_torn_line_is_a_line_of_its_own(folder):
    (folder / "edited-labels.jsonl").write_text('{"latent": 2, "te')
    half = chr(0xD83D)  # of a surrogate pair
    opened(folder).edit(2, f"deux {half}")
    assert opened(folder).name[2] == f"deux {half}"
    assert len((folder / "edited-labels.jsonl").read_text().splitlines()) == 2
