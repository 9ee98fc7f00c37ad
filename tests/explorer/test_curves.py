"""The metrics of a run are read by the byte, whole lines only, whatever else is in the file."""

import itertools
import json

import pytest

from sae_jax.explorer import curves


def line(step, *, split="train", **numbers):
    return json.dumps({"step": step, "split": split, **numbers}) + "\n"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(
        line(4, fvu=0.5, row_ids_crc32=7)
        + line(4, split="held_out", fvu=0.6)
        + line(8, fvu=0.4)
    )
    return path


def test_each_split_has_a_list_for_each_number(path):
    found = curves.read(path)
    assert found.curves == {
        "train": {"step": [4, 8], "fvu": [0.5, 0.4]},
        "held_out": {"step": [4], "fvu": [0.6]},
    }
    assert found.after == path.stat().st_size


def test_asked_again_only_what_was_written_since_is_told(path):
    first = curves.read(path)
    with path.open("a") as file:
        file.write(line(12, fvu=0.3) + '{"step": 16, "spl')
    second = curves.read(path, after=first.after, file=first.file)
    assert second.curves == {"train": {"step": [12], "fvu": [0.3]}}
    assert not second.restarted
    with path.open("a") as file:
        file.write('it": "train", "fvu": 0.2}\n')
    third = curves.read(path, after=second.after, file=second.file)
    assert third.curves == {"train": {"step": [16], "fvu": [0.2]}}
    assert third.n_damaged == 0


def test_a_file_that_a_resume_has_written_anew_is_told_from_its_beginning(path):
    first = curves.read(path)
    new = path.with_suffix(".new")
    new.write_text(path.read_text() + line(12, fvu=0.3))
    new.replace(path)
    found = curves.read(path, after=first.after, file=first.file)
    assert found.restarted
    assert found.curves["train"]["step"] == [4, 8, 12]


def test_a_file_that_has_shrunk_is_told_from_its_beginning(path):
    first = curves.read(path)
    path.write_text(line(4, fvu=0.5))
    found = curves.read(path, after=first.after, file=first.file)
    assert (found.restarted, found.curves["train"]["step"]) == (True, [4])


@pytest.mark.parametrize(
    "damage", ["{", "[1]", "3", '{"step": "x", "split": "train"}', '{"a": 1}']
)
def test_a_damaged_line_is_left_out_and_counted(path, damage):
    with path.open("a") as file:
        file.write(damage + "\n" + line(12, fvu="high"))
    found = curves.read(path)
    assert found.n_damaged == 1
    assert found.curves["train"] == {"step": [4, 8, 12], "fvu": [0.5, 0.4, None]}


def test_a_number_that_begins_later_has_none_before(path):
    with path.open("a") as file:
        file.write(line(12, fvu=0.3, loss=0.9))
    assert curves.read(path).curves["train"]["loss"] == [None, None, 0.9]


def test_many_points_are_thinned_evenly_with_the_last_among_them(path):
    path.write_text("".join(line(step) for step in range(5_001)))
    found = curves.read(path)
    steps = found.curves["train"]["step"]
    assert len(steps) == curves.MOST_POINTS
    assert steps[-1] == 5_000
    assert {b - a for a, b in itertools.pairwise(steps)} == {2, 3}
    assert found.n_thinned == 3_001


def test_a_run_without_metrics_has_no_curves(tmp_path):
    found = curves.read(tmp_path / "metrics.jsonl")
    assert (found.after, found.curves) == (0, {})
    assert curves.last_lines(tmp_path / "metrics.jsonl") == {}


def test_the_last_lines_are_those_of_each_split(path):
    with path.open("a") as file:
        file.write(line(12, fvu=0.3) + "x" * 20_000 + "\n" + line(16, fvu=0.2) + '{"st')
    found = curves.last_lines(path)
    assert found["train"]["fvu"] == 0.2
