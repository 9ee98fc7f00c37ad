"""What latents are called, by the files of labels."""

import json

import pytest

from sae_jax.analysis.label_names import read_labels


@pytest.fixture
def write(tmp_path):
    def write(name, *labels, **of):
        lines = [
            json.dumps({"latent": latent, "state": state, "text": text} | of) + "\n"
            for latent, state, text in labels
        ]
        (tmp_path / name).write_text("".join(lines))

    return write


def test_labels_of_a_model_are_preferred_where_there_are_some_of_these_weights(tmp_path, write):
    words = (0, "never on", ""), (1, "ok", "w1"), (2, "ok", "w2"), (3, "ok", "w3")
    write("labels.jsonl", *words, run_fingerprint="w")
    write("llm-labels.jsonl", (1, "ok", "a b"), (2, "unparsable", "half"), run_fingerprint="w")
    assert read_labels(tmp_path, run_fingerprint="w") == {1: "a b", 2: "w2", 3: "w3"}
    write("llm-labels.jsonl", (1, "ok", "a b"), run_fingerprint="before")
    assert read_labels(tmp_path, run_fingerprint="w") == {1: "w1", 2: "w2", 3: "w3"}
    assert read_labels(tmp_path, run_fingerprint="other") == {}
    assert read_labels(tmp_path / "none", run_fingerprint="w") == {}


def test_labels_that_do_not_say_of_which_weights_they_are_are_read(tmp_path, write):
    write("labels.jsonl", (1, "ok", "a b"))
    assert read_labels(tmp_path, run_fingerprint="w") == {1: "a b"}
