"""Answers are kept as they came, through a kill, and none is asked for twice."""

import contextlib
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from sae_jax.analysis.answers import Answers, KeptChat, claim
from sae_jax.analysis.chat import Answer, CallFailed, Request
from sae_jax.errors import SaeJaxError, UsageError


@pytest.fixture
def answers(tmp_path):
    with contextlib.closing(Answers(tmp_path / "a.sqlite")) as answers:
        yield answers


def request_of(text):
    return Request("m", ({"role": "user", "content": text},), {}, "u")


class Counting:
    """Answers with the request's text; fails the first time where told so."""

    def __init__(self, *, failures=0):
        self.asked, self.failures = [], failures

    def complete(self, request):
        self.asked.append(request)
        if len(self.asked) <= self.failures:
            raise CallFailed("told so")
        text = request.messages[0]["content"]
        return Answer(f"{text}!\n“ü”", "stop", "", 3, None, 0.5)


def test_an_answer_is_asked_for_once_whoever_opens_the_file(tmp_path):
    path, chat = tmp_path / "a.sqlite", Counting()
    for _ in range(2):
        answers = Answers(path)
        kept = KeptChat(chat, answers)
        found = [kept.complete(request_of(text)) for text in ("a", "b", "a")]
        answers.close()
        assert found[0] == found[2] == Answer("a!\n“ü”", "stop", "", 3, None, 0.5)
    assert len(chat.asked) == 2
    assert (kept.n_asked, kept.n_kept) == (0, 3)


def test_what_was_asked_is_counted(answers):
    kept = KeptChat(Counting(), answers)
    for text in ("a", "b", "a"):
        kept.complete(request_of(text))
    assert (kept.n_asked, kept.n_kept) == (2, 1)
    assert (kept.tokens_in, kept.tokens_out, kept.seconds) == (6, 0, 1.0)


def test_a_failure_is_not_kept(answers):
    chat = Counting(failures=1)
    kept = KeptChat(chat, answers)
    with pytest.raises(CallFailed):
        kept.complete(request_of("a"))
    assert kept.complete(request_of("a")).text.startswith("a!")
    assert kept.n_asked == 1


def test_an_answer_survives_a_kill_right_after_it_came(tmp_path):
    path = tmp_path / "a.sqlite"
    script = f"""
    import os, signal
    from sae_jax.analysis.answers import Answers
    from sae_jax.analysis.chat import Answer, Request
    answers = Answers({str(path)!r})
    for i in range(20):
        request = Request("m", ({{"role": "user", "content": str(i)}},), {{}}, "u")
        answers.put(request, Answer(str(i), "stop", "", 1, 1, 0.1))
    os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)])
    assert done.returncode == -signal.SIGKILL
    with contextlib.closing(Answers(path)) as answers:
        assert [answers.get(request_of(str(i))).text for i in range(20)] == [
            str(i) for i in range(20)
        ]
        assert answers.get(request_of("20")) is None


def test_a_file_that_is_none_is_named(tmp_path):
    path = tmp_path / "a.sqlite"
    path.write_text("these are no answers of a language model, but words" * 20)
    with pytest.raises(SaeJaxError, match=r"a\.sqlite: cannot be used as SQLite"):
        Answers(path)
    assert path.read_text().startswith("these")
    with pytest.raises(SaeJaxError, match=r"cannot be used as SQLite .*unable to open"):
        Answers(tmp_path)  # a folder


def test_a_file_damaged_further_in_is_named_when_it_is_read(tmp_path):
    path = tmp_path / "a.sqlite"
    with contextlib.closing(Answers(path)) as answers:
        answers.put(request_of("a"), Answer("b", "stop", "", 1, 1, 0.1))
    raw = path.read_bytes()
    path.write_bytes(raw[:4096] + b"\xff" * (len(raw) - 4096))
    with (
        contextlib.closing(Answers(path)) as answers,
        pytest.raises(SaeJaxError, match=r"a\.sqlite: cannot be used as SQLite"),
    ):
        answers.get(request_of("a"))


def test_an_answer_that_cannot_be_written_is_said(tmp_path):
    path = tmp_path / "a.sqlite"
    with contextlib.closing(Answers(path)) as answers:
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("DROP TABLE answers")
        with pytest.raises(SaeJaxError, match=r"a\.sqlite: cannot be used as SQLite"):
            answers.put(request_of("a"), Answer("b", "stop", "", 1, 1, 0.1))


class Slow(Counting):
    """Answers when it is released."""

    def __init__(self):
        super().__init__()
        self.begun, self.release = threading.Event(), threading.Event()

    def complete(self, request):
        self.begun.set()
        assert self.release.wait(10)
        return super().complete(request)


@pytest.fixture
def under_way(answers):
    """A slow model that is being asked, what keeps its answers, and the thread that waits."""
    chat = Slow()
    kept = KeptChat(chat, answers)
    thread = threading.Thread(target=kept.complete, args=(request_of("a"),))
    thread.start()
    assert chat.begun.wait(10)
    yield chat, kept, thread
    chat.release.set()
    thread.join()


def test_what_is_under_way_when_all_is_stopped_is_kept_and_nothing_more_is_asked(
    answers, under_way
):
    chat, kept, thread = under_way
    kept.stop()
    with pytest.raises(CallFailed, match="nothing more is asked"):
        kept.complete(request_of("b"))
    assert kept.n_under_way == 1
    threading.Timer(0.1, chat.release.set).start()
    kept.wait(seconds=10.0)
    assert answers.get(request_of("a")).text.startswith("a!")
    assert kept.complete(request_of("a")).text.startswith("a!")  # what is kept may be had
    thread.join()
    assert (kept.n_under_way, len(chat.asked)) == (0, 1)


def test_an_answer_that_does_not_come_is_not_waited_for_without_end(under_way):
    _, kept, _ = under_way
    began = time.monotonic()
    kept.wait(seconds=0.1)
    assert 0.1 <= time.monotonic() - began < 5


def test_a_second_process_is_told_to_wait(tmp_path):
    with (
        claim(tmp_path),
        pytest.raises(UsageError, match="another process asks a language model"),
        claim(tmp_path),
    ):
        pass
