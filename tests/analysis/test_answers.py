"""Answers are kept as they came, through a kill, and none is asked for twice."""

import contextlib
import signal
import subprocess
import sys
import textwrap

import pytest

from sae_jax.analysis.answers import Answers, KeptChat, held
from sae_jax.analysis.chat import Answer, CallFailed, Request
from sae_jax.errors import SaeJaxError, UsageError


@pytest.fixture
def answers(tmp_path):
    with contextlib.closing(Answers(tmp_path / "a.sqlite")) as answers:
        yield answers


def request_of(text):
    return Request("m", ({"role": "user", "content": text},), {})


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
        request = Request("m", ({{"role": "user", "content": str(i)}},), {{}})
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
    with pytest.raises(SaeJaxError, match=r"a\.sqlite: cannot be read as SQLite"):
        Answers(path)
    assert path.read_text().startswith("these")


def test_a_second_process_is_told_to_wait(tmp_path):
    # A lock belongs to an open file: a second opening is as good as another process.
    with (
        held(tmp_path / "new"),
        pytest.raises(UsageError, match="another process"),
        held(tmp_path / "new"),
    ):
        pass
    with held(tmp_path / "new"):
        pass
