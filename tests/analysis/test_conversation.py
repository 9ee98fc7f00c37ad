"""An answer that cannot be read is answered back once; plans and patience count."""

import contextlib

import pytest

from sae_jax.analysis.answers import Answers
from sae_jax.analysis.chat import Answer, Request
from sae_jax.analysis.conversation import Estimate, NotKept, Patience, Refused, converse
from sae_jax.analysis.prompts import Unparsable
from sae_jax.errors import EndpointError

REQUEST = Request("m", ({"role": "user", "content": "how many?"},), {}, "u")


def read(text):
    if not text.isdecimal():
        raise Unparsable("it is no number")
    return int(text)


def answering(*texts, finish="stop", refusal=""):
    asked, left = [], iter(texts)

    def ask(request):
        asked.append(request)
        return Answer(next(left), finish, refusal, 1, 1, 0.0)

    return ask, asked


def test_what_can_be_read_takes_one_call():
    ask, asked = answering("3")
    assert converse(REQUEST, ask=ask, read=read) == 3
    assert asked == [REQUEST]


def test_what_cannot_is_said_and_asked_once_more():
    ask, asked = answering("three", "3")
    assert converse(REQUEST, ask=ask, read=read) == 3
    own, answer, again = asked[1].messages
    assert own == REQUEST.messages[0]
    assert answer == {"role": "assistant", "content": "three"}
    assert "it is no number" in again["content"]
    ask, asked = answering("three", "four")
    with pytest.raises(Unparsable):
        converse(REQUEST, ask=ask, read=read)
    assert len(asked) == 2


def test_an_answer_that_was_cut_is_told_so():
    ask, asked = answering("thr", "3", finish="length")
    converse(REQUEST, ask=ask, read=read)
    assert "it ended by length" in asked[1].messages[2]["content"]


def test_a_refusal_is_no_answer():
    ask, _ = answering("3", refusal="I will not")
    with pytest.raises(Refused, match="I will not"):
        converse(REQUEST, ask=ask, read=read)


def test_ten_failures_in_a_row_end_it_and_an_answer_between_does_not():
    patience = Patience("things")
    for _ in range(9):
        patience.take(state="failed", reason="told 500")
    patience.take(state="refused", reason="no")
    for _ in range(9):
        patience.take(state="failed", reason="told 500")
    with pytest.raises(EndpointError, match=r"10 things in a row failed.*told 500"):
        patience.take(state="failed", reason="told 500")


def test_an_estimate_asks_nothing_and_counts_what_is_kept(tmp_path):
    with contextlib.closing(Answers(tmp_path / "a.sqlite")) as answers:
        other = REQUEST._replace(model="n")
        answers.put(other, Answer("3", "stop", "", 1, 1, 0.0))
        found = Estimate(answers)
        assert converse(other, ask=found.kept, read=read) == 3
        with pytest.raises(NotKept) as missing:
            converse(REQUEST, ask=found.kept, read=read)
        found.add(missing.value.request, tokens_out=2_000)
        plan = found.plan("2 things")
    assert (plan.subject, plan.n_calls, plan.n_kept) == ("2 things", 1, 1)
    assert plan.tokens_in == len("how many?") / 4
    said = plan.describe(dollars_per_million=[0.0, 1_000.0])
    assert said.startswith("2 things: 1 calls to make, about ")
    assert "2,000 to receive; 1 calls were answered before; about $2.00" in said
