"""What is written and shown of a run's numbers."""

import json
import math

import pytest
from tiny import config

from sae_jax.train import metrics


def log(folder, *, step=0):
    return metrics.MetricsLog(folder, n_steps=100, batch_size=8, step=step)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_each_write_is_one_json_line_and_nan_is_null(tmp_path):
    writer = log(tmp_path)
    writer.write(10, {"fvu": 0.5, "cosine": math.nan}, split="held_out")
    writer.close()
    assert lines(tmp_path) == [{"step": 10, "split": "held_out", "fvu": 0.5, "cosine": None}]
    assert list((tmp_path / "tensorboard").glob("events*"))


@pytest.mark.parametrize("damaged", ['{"step": 40, "spl', "[]\n", '{"split": "train"}\n'])
def test_a_resume_forgets_what_came_after_its_checkpoint_and_what_is_no_line(tmp_path, damaged):
    writer = log(tmp_path)
    for step in (10, 20, 30):
        writer.write(step, {"fvu": 0.5}, split="train")
    writer.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(damaged)
    writer = log(tmp_path, step=20)
    writer.write(30, {"fvu": 0.4}, split="train")
    writer.close()
    assert [line["step"] for line in lines(tmp_path)] == [10, 20, 30]
    assert lines(tmp_path)[-1]["fvu"] == 0.4


def test_progress_says_step_rate_and_time_left(tmp_path, capsys):
    writer = log(tmp_path)
    writer.show(50, {"fvu": 0.25})
    writer.close()
    shown = capsys.readouterr().err
    for part in ("step 50/100", "fvu 0.25", "examples/s", "ETA 0 s"):
        assert part in shown


def test_timing_has_lines_of_its_own_since_the_last_one(tmp_path, monkeypatch):
    now = [10.0]
    monkeypatch.setattr(metrics.time, "monotonic", lambda: now[0])
    writer = log(tmp_path)
    for step, seconds, starved in ((20, 4, 1.0), (30, 2, 2.0)):
        now[0] += seconds
        writer.timing(step, starved_seconds=starved)
    writer.close()
    assert lines(tmp_path) == [
        {"step": 20, "split": "timing", "examples_per_second": 40, "starved_fraction": 0.25},
        {"step": 30, "split": "timing", "examples_per_second": 40, "starved_fraction": 0.5},
    ]


def test_a_process_that_is_not_the_first_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics.processes, "is_first", lambda: False)
    silent = metrics.open_log(tmp_path, config=config(tmp_path), step=0)
    silent.write(1, {"fvu": 0.5}, split="train")
    silent.timing(1, starved_seconds=0.0)
    silent.show(1, {"fvu": 0.5})
    silent.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (42, "42 s"),
        (190, "3 min 10 s"),
        (7_500, "2 h 05 min"),
        (math.nan, "unknown"),
    ],
)
def test_durations_are_said_as_a_person_says_them(seconds, text):
    assert metrics.duration(seconds) == text
