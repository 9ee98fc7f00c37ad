"""A model that tells the truth is right where the hits tell; what fails is a state; nothing is
asked twice. Against a real server.
"""

import json
import time

import numpy as np
import pytest
from chat_server import serving, topics

from sae_jax.analysis.answers import Answers, KeptChat
from sae_jax.analysis.chat import Answer, CallFailed, OpenAIChat
from sae_jax.errors import EndpointError
from sae_jax.search import evaluation, llm_judge
from sae_jax.search.session import Search

N_QUERIES = 12


@pytest.fixture(scope="module")
def steered(planted):
    """40 queries, and the ways that need no encoder."""
    search = object.__new__(Search)
    search.reader, search.index = planted.reader, planted.index
    search.dictionary = planted.dictionary
    asked = evaluation.Asked(search, planted.concepts, None, 40, 0)
    return asked, evaluation.steer(asked, say=lambda line: None)


def questions_of(steered, *, url="http://here/v1", n_queries=N_QUERIES, seed=0, name="m"):
    asked, (_, judge, found) = steered
    model = llm_judge.Model(name, url, {"temperature": 0})
    made = llm_judge.make_questions(
        judge, found, reader=asked.search.reader, model=model, n_queries=n_queries, seed=seed
    )
    return model, made


def judged_by(ask, steered, **options):
    model, made = questions_of(steered, **options)
    return llm_judge.Judged(model, made, llm_judge.ask_all(made, ask=ask, n_parallel=4))


def truthful(request):
    return Answer(topics(request.messages[0]["content"]), "stop", "", 1, 1, 0.0)


def test_a_truthful_model_is_right_wherever_the_hits_tell(steered, tmp_path):
    _, (_, _, found) = steered
    with serving() as server:
        client = OpenAIChat(base_url=server.url)
        answers = Answers(tmp_path / "answers.sqlite")
        asking = KeptChat(client, answers)
        judged = judged_by(asking.complete, steered, url=server.url)
        assert max(server.requests.values()) == 1  # equal hits of two trials are asked of once
        n_calls = sum(server.requests.values())
        again = judged_by(KeptChat(client, answers).complete, steered, url=server.url)
        assert sum(server.requests.values()) == n_calls
        client.close()
        answers.close()
    assert judged.counts() == {"ok": 4 * 5 * N_QUERIES, "failed": 0, "refused": 0,
                               "unparsable": 0}  # fmt: skip
    assert n_calls < len(judged.questions)
    assert again == judged
    n_told = 0
    for question, verdict in zip(judged.questions, judged.verdicts, strict=True):
        for place, side in enumerate(("up", "down")):
            counted = found[question.trial].sides[side].identified[question.case]
            right = verdict.side(question, side) == place
            if counted == 1:  # no other concept moved as far
                n_told += 1
                assert right
            if counted == 0:
                assert not right
    assert n_told > 150


def test_the_share_of_right_ones_is_over_what_was_answered_alone(steered):
    _, (_, _, found) = steered

    def ask(request):
        prompt = request.messages[0]["content"]
        if int(prompt.split("- query ")[1].split()[0]) % 2:  # of about half nothing comes
            raise CallFailed("told so")
        return truthful(request)

    model, made = questions_of(steered, n_queries=40)
    verdicts = [llm_judge._ask_one(one, ask=ask) for one in made]
    judged = llm_judge.Judged(model, made, verdicts)
    (trial,) = [
        i for i, one in enumerate(found) if one.trial[:3] == ("both", "sae", "cosine 0.7")
    ]
    measured = llm_judge.measures(judged, trial, outcome=found[trial], seed=0)
    own = [
        (question, one)
        for question, one in zip(made, verdicts, strict=True)
        if question.trial == trial and one.state == "ok"
    ]
    assert 10 < len(own) < 40
    assert measured["n"] == 40
    assert measured["states"]["ok"] == len(own)
    assert measured["states"]["failed"] == 40 - len(own)
    for place, side in enumerate(("up", "down")):
        right = [one.side(question, side) == place for question, one in own]
        counted = [found[trial].sides[side].identified[question.case] for question, _ in own]
        both = measured["sides"][side]
        assert both["identified"].value == pytest.approx(np.mean(right))
        assert both["counted"].value == pytest.approx(np.mean(counted))
        assert both["identified"].low <= both["identified"].value <= both["identified"].high
    (alone,) = [
        i for i, one in enumerate(found) if one.trial[:3] == ("up", "sae", "cosine 0.7")
    ]
    assert llm_judge.measures(judged, alone, outcome=found[alone], seed=0) is None


def test_where_nothing_was_answered_there_is_no_number(steered):
    def ask(request):
        return Answer("", "content_filter", "", 1, 1, 0.0)

    _, (_, _, found) = steered
    judged = judged_by(ask, steered)
    assert judged.counts()["refused"] == len(judged.questions)
    trial = judged.questions[0].trial
    measured = llm_judge.measures(judged, trial, outcome=found[trial], seed=0)
    assert np.isnan(measured["sides"]["up"]["identified"].value)


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        (Answer("", "stop", "I will not.", 1, 1, 0.0), "refused", "I will not."),
        (Answer("", "content_filter", "", 1, 1, 0.0), "refused", "filter let no answer pass"),
        (Answer("the first", "stop", "", 1, 1, 0.0), "unparsable", "it has no JSON object"),
        (CallFailed("told 500"), "failed", "told 500"),
    ],
)
def test_what_is_no_answer_is_a_state_with_its_reason(steered, answer, state, reason):
    def ask(request):
        if isinstance(answer, Exception):
            raise answer
        return answer

    verdict = llm_judge._ask_one(questions_of(steered)[1][0], ask=ask)
    assert verdict.state == state
    assert reason in verdict.reason
    assert verdict.named is None


def test_an_answer_that_cannot_be_read_is_answered_back_once(steered):
    said = []

    def ask(request):
        said.append([message["content"] for message in request.messages])
        text = "hard to say" if len(said) == 1 else '{"raised": 2, "lowered": 5}'
        return Answer(text, "stop", "", 1, 1, 0.0)

    verdict = llm_judge._ask_one(questions_of(steered)[1][0], ask=ask)
    assert (verdict.state, tuple(verdict.named)) == ("ok", (1, 4))
    assert said[1][:2] == [said[0][0], "hard to say"]


@pytest.mark.slow
def test_through_faults_every_question_has_a_state_and_no_answer_is_asked_for_twice(
    steered, tmp_path, monkeypatch
):
    monkeypatch.setattr("chat_server.FAULTS", {"busy": 5, "error": 5, "cut_body": 4,
                                               "garbage": 5, "cut_text": 4})  # fmt: skip
    with serving(seed=1) as server:
        client = OpenAIChat(base_url=server.url, timeout_seconds=1.0)
        answers = Answers(tmp_path / "answers.sqlite")
        judged = judged_by(KeptChat(client, answers).complete, steered, url=server.url)
        assert {"busy", "error", "garbage", "cut_text"} <= set(server.faults)
        assert max(n for key, n in server.delivered.items() if key) == 1
        assert judged.counts()["ok"] == len(judged.questions)  # told what was wrong, it mends
        before = sum(server.requests.values())
        again = judged_by(KeptChat(client, answers).complete, steered, url=server.url)
        assert sum(server.requests.values()) == before
        assert again == judged
        client.close()
        answers.close()


def test_an_endpoint_that_fails_ten_times_in_a_row_is_given_up(steered):
    n_asked = 0

    def ask(request):
        nonlocal n_asked
        n_asked += 1
        time.sleep(0.01)
        raise CallFailed("told 500")

    with pytest.raises(EndpointError, match=r"10 judgements in a row failed.*told 500.*kept"):
        judged_by(ask, steered)
    assert n_asked <= 10 + 2 * 4  # those that were under way, and begun meanwhile, too


def test_the_plan_counts_what_is_left(steered, tmp_path):
    answers = Answers(tmp_path / "answers.sqlite")

    class Truthful:
        def complete(self, request):
            return truthful(request)

    asking = KeptChat(Truthful(), answers)
    _, made = questions_of(steered)
    n = len({one.request.key for one in made})
    before = llm_judge.plan(made, answers=answers)
    assert before.subject == (
        f"{N_QUERIES} queries, each steered in 20 ways and strengths, {n} lists of hits that "
        "differ"
    )
    assert (before.n_calls, before.n_kept) == (n, 0)
    some = made[:30]
    llm_judge.ask_all(some, ask=asking.complete, n_parallel=2)
    between = llm_judge.plan(made, answers=answers)
    assert (between.n_calls, between.n_kept) == (n - asking.n_asked, asking.n_asked)
    assert between.tokens_in < before.tokens_in
    assert llm_judge.plan(some, answers=answers).tokens_out == 0
    answers.close()


def test_topics_are_shown_in_an_order_that_tells_nothing(steered):
    _, made = questions_of(steered, n_queries=40)
    places = [one.order.index(0) for one in made]
    assert set(places) == set(range(5))
    assert all(sorted(one.order) == list(range(5)) for one in made)
    by_case = {one.case: one.order for one in made}
    assert all(one.order == by_case[one.case] for one in made)
    _, other = questions_of(steered, n_queries=40, seed=1)
    assert [one.order for one in other] != [one.order for one in made]


def test_the_question_shows_the_hits_best_first(steered, planted):
    _, (_, judge, found) = steered
    one = questions_of(steered)[1][7]
    prompt = one.request.messages[0]["content"]
    parts = prompt.split("List B, after:\n")
    texts = [
        json.loads(line)["text"]
        for line in (planted.reader.folder / "texts.jsonl").read_text().splitlines()
    ]
    for part, hits in zip(parts, (judge.cases.neutral, found[one.trial].hits), strict=True):
        assert "\n".join(f"- {texts[row]}" for row in hits[one.case].tolist()) in part
    vector = found[one.trial].trial.vectors[one.case]
    unit = planted.rows / np.linalg.norm(planted.rows, axis=1, keepdims=True)
    scores = unit[found[one.trial].hits[one.case]] @ vector
    assert (np.diff(scores) <= 1e-6).all()  # float32 of two ways to sum


def test_a_record_says_what_was_moved_and_what_the_model_said(steered):
    _, (targets, judge, found) = steered
    judged = judged_by(truthful, steered)
    for one, question in zip(
        llm_judge.records(judged, judge, found=found), judged.questions, strict=True
    ):
        names = targets.concepts.names
        assert one["raised"] == names[judge.cases.up[question.case]]
        assert one["lowered"] == names[judge.cases.down[question.case]]
        assert one["row"] == judge.cases.rows[question.case]
        assert {one["said_raised"], one["said_lowered"]} <= set(question.options)
        said = json.loads(topics(question.request.messages[0]["content"]).split("\n")[1])
        assert one["said_raised"] == question.options[said["raised"] - 1]
        assert one["said_lowered"] == question.options[said["lowered"] - 1]


def test_another_model_is_another_question(steered):
    keys = [
        {one.request.key for one in questions_of(steered, name=name)[1]} for name in ("m", "n")
    ]
    assert not keys[0] & keys[1]
