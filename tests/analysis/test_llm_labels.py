"""200 latents against a real server with faults: right scores, states, and no call twice."""

import contextlib
import sqlite3
import time

import numpy as np
import pytest
from chat_server import answer, serving
from planted_codes import stored_of

from sae_jax.analysis import llm_labels, llm_rows
from sae_jax.analysis.answers import Answers, KeptChat
from sae_jax.analysis.chat import N_RETRIES, Answer, CallFailed, OpenAIChat
from sae_jax.analysis.conversation import Plan
from sae_jax.analysis.labels import naming_half
from sae_jax.errors import EndpointError

N_ROWS, N_LATENTS, N_PLANTED = 4_000, 204, 180
ASKED = llm_labels.Asked("model-a", "model-b", {"temperature": 0}, 0, "http://here/v1")
FILLER = list("abcdefghijklmnop")


@pytest.fixture(scope="module")
def corpus():
    """Latent i below N_PLANTED is on where the text holds "word<i>"; the others are random,
    but of the last four: never on, on for 3 rows, on for all, and of a word that breaks."""
    rng = np.random.default_rng(0)
    values = np.zeros((N_ROWS, N_LATENTS), np.float32)
    texts = [list(rng.choice(FILLER, 8)) for _ in range(N_ROWS)]
    for latent in range(N_LATENTS - 4):
        rows = rng.choice(N_ROWS, size=int(rng.integers(60, 200)), replace=False)
        values[rows, latent] = rng.uniform(0.1, 1, len(rows))
        for row in rows if latent < N_PLANTED else ():
            texts[row].append(f"word{latent}")
    values[[5, 6, 7], N_LATENTS - 3] = 1
    values[:, N_LATENTS - 2] = 1
    for row in rng.choice(N_ROWS, size=90, replace=False):
        values[row, N_LATENTS - 1] = 1
        texts[row].append("unlucky")
    near = np.full((N_LATENTS, 48), -1)
    for latent in range(N_LATENTS):
        off = np.flatnonzero(values[:, latent] == 0)
        near[latent, : len(off[:48])] = rng.permutation(off)[:48]
    texts = dict(enumerate(" ".join(rng.permutation(words)) for words in texts))
    return texts, stored_of(values, near=near)


def rows_of(stored, latents):
    naming = naming_half(N_ROWS, seed=0)
    skipped = llm_rows.why_skipped(stored, naming)
    return [
        llm_rows.rows_of(stored, i, naming=naming, seed=0) for i in latents if not skipped[i]
    ]


def label(chosen, texts, *, ask, n_parallel=8):
    made = []
    llm_labels.label_all(
        chosen, texts=texts, asked=ASKED, ask=ask, n_parallel=n_parallel, done=made.append
    )
    return sorted(made, key=lambda one: one.latent)


def truthful(request):
    """The server's answer without a server."""
    return Answer(answer(request.messages[0]["content"]), "stop", "", 1, 1, 0.0)


@pytest.mark.slow
def test_200_latents_are_labelled_and_judged_through_faults(corpus, tmp_path):
    texts, stored = corpus
    chosen = rows_of(stored, range(N_LATENTS))
    assert len(chosen) == 201  # without those that are never, too seldom or always on
    with serving(seed=1) as server:
        server.broken, server.stubborn = "unlucky", "word7"
        client = OpenAIChat(base_url=server.url, timeout_seconds=1.0)
        answers = Answers(tmp_path / "answers.sqlite")
        first = KeptChat(client, answers)
        made = label(chosen, texts, ask=first.complete)
        assert {"busy", "error", "hang", "cut_body", "garbage", "cut_text"} <= set(
            server.faults
        )
        assert max(server.delivered.values()) == 1  # no answer was asked for again
        n_before = sum(server.requests.values())
        second = KeptChat(client, answers)
        again = label(chosen, texts, ask=second.complete)
        asked_again = sum(server.requests.values()) - n_before
        client.close()
        answers.close()
    states = {one.latent: one.state for one in made}
    assert [i for i, state in states.items() if state == "failed"] == [N_LATENTS - 1]
    assert [i for i, state in states.items() if state == "unparsable"] == [7]
    assert all((one.scores is not None) == (one.state == "ok") for one in made)
    ok = [one for one in made if one.state == "ok"]
    assert len(ok) == 199
    for one in ok:
        if one.latent < N_PLANTED:
            assert one.text == f"texts with word{one.latent}"
            assert one.scores.f1.value == one.scores.auroc.value == 1.0
            assert one.scores.pearson.value == pytest.approx(1.0)
            assert one.scores.n >= 24
    random = [one.scores.auroc.value for one in ok if one.latent >= N_PLANTED]
    assert len(random) == 20
    assert 0.4 < np.mean(random) < 0.6  # chance; the words are drawn alike on and off
    # What failed is asked for again; of all else nothing is.
    assert [one for one in again if one.state != "failed"] == [
        one for one in made if one.state != "failed"
    ]
    assert second.n_asked == 0
    assert asked_again == 1 + N_RETRIES  # of the one that failed
    assert first.n_asked == sum(server.delivered.values()) == stored_answers(tmp_path)


def stored_answers(folder):
    with contextlib.closing(sqlite3.connect(folder / "answers.sqlite")) as file:
        return file.execute("SELECT count(*) FROM answers").fetchone()[0]


def test_the_judge_sees_the_label_alone_and_texts_the_labeller_never_saw(corpus):
    texts, stored = corpus
    (rows,) = rows_of(stored, [3])
    prompts = []

    def ask(request):
        prompts.append((request.model, request.messages[0]["content"]))
        return truthful(request)

    made = llm_labels.label_one(rows, texts=texts, asked=ASKED, ask=ask)
    (labeller, *judges) = prompts
    assert [model for model, _ in prompts] == ["model-a", "model-b", "model-b"]
    for _, prompt in judges:
        assert made.text in prompt
        assert made.why not in prompt
    judged = [texts[row] for row in made.judged.rows]
    assert len(judged) == 40
    assert not any(text in labeller[1] for text in judged)
    assert all(sum(text in prompt for _, prompt in judges) == 1 for text in judged)
    said = dict(zip(made.judged.rows, made.judged.confidences, strict=True))
    assert all((said[row] == 9) == ("word3" in texts[row].split()) for row in said)


@pytest.mark.parametrize(
    ("first", "state", "reason"),
    [
        (Answer("", "stop", "I will not.", 1, 1, 0.0), "refused", "I will not."),
        (Answer("", "content_filter", "", 1, 1, 0.0), "refused", "filter let no answer pass"),
        (Answer("no", "stop", "", 1, 1, 0.0), "unparsable", "labeller: it has no JSON object"),
        (CallFailed("told 500"), "failed", "told 500"),
    ],
)
def test_what_is_no_label_is_a_state_and_has_no_score(corpus, first, state, reason):
    texts, stored = corpus
    (rows,) = rows_of(stored, [3])

    def ask(request):
        if isinstance(first, Exception):
            raise first
        return first

    made = llm_labels.label_one(rows, texts=texts, asked=ASKED, ask=ask)
    assert made.state == state
    assert reason in made.reason
    assert made.scores is made.judged is None
    record = made.as_json()
    assert record["scores"] is record["judged"] is None


def test_a_judge_that_fails_leaves_the_label_and_no_score(corpus):
    texts, stored = corpus
    (rows,) = rows_of(stored, [3])

    def ask(request):
        if request.model == "model-b":
            return Answer('{"1": 4}', "stop", "", 1, 1, 0.0)
        return truthful(request)

    made = llm_labels.label_one(rows, texts=texts, asked=ASKED, ask=ask)
    assert (made.state, made.text) == ("unparsable", "texts with word3")
    assert made.reason == (
        "answer of the judge: it has 1 numbers; expected those of the texts 1 to 20"
    )
    assert made.scores is None


@pytest.mark.parametrize(
    ("finish", "said"), [("stop", "no JSON object with a label"), ("length", "ended by length")]
)
def test_an_answer_that_cannot_be_read_is_answered_back_once(corpus, finish, said):
    texts, stored = corpus
    (rows,) = rows_of(stored, [3])
    asked = []

    def ask(request):
        asked.append(request.messages)
        if len(asked) == 1:
            return Answer("Well …", finish, "", 1, 1, 0.0)
        return truthful(request)

    assert llm_labels.label_one(rows, texts=texts, asked=ASKED, ask=ask).state == "ok"
    assert asked[1][:1] == asked[0]
    assert asked[1][1] == {"role": "assistant", "content": "Well …"}
    assert said in asked[1][2]["content"]


def test_an_endpoint_that_fails_ten_times_in_a_row_is_given_up(corpus):
    texts, stored = corpus
    made, n_asked = [], 0

    def ask(request):
        nonlocal n_asked
        n_asked += 1
        if n_asked > 2:
            time.sleep(0.01)
            raise CallFailed("no connection")
        return truthful(request)

    with pytest.raises(EndpointError, match=r"10 latents in a row failed.*no connection"):
        llm_labels.label_all(
            rows_of(stored, range(50)),
            texts=texts, asked=ASKED, ask=ask, n_parallel=1, done=made.append,
        )  # fmt: skip
    assert len(made) == 10
    assert n_asked <= 2 + 10 + 2


def test_the_plan_counts_what_is_left_and_its_tokens(corpus, tmp_path):
    texts, stored = corpus
    chosen = rows_of(stored, range(6))
    answers = Answers(tmp_path / "answers.sqlite")
    sent = []

    def ask(request):
        sent.append(request.n_characters)
        return truthful(request)

    def plan():
        return llm_labels.plan(chosen, texts=texts, asked=ASKED, answers=answers)

    before = plan()
    chat = KeptChat(Standing(ask), answers)
    label(chosen[:2], texts, ask=chat.complete)
    between = plan()
    label(chosen[2:], texts, ask=chat.complete)
    assert (before.n_calls, before.n_kept) == (18, 0)
    assert (between.n_calls, between.n_kept) == (12, 6)
    assert plan() == Plan("6 latents", 0, 18, 0, 0)
    answers.close()
    assert before.tokens_in == pytest.approx(sum(sent) / 4, rel=0.02)  # labels' lengths differ
    said = before.describe(dollars_per_million=[1000.0, 2000.0])
    dollars = (before.tokens_in + 2 * before.tokens_out) / 1000
    assert f"6 latents: 18 calls to make, about {before.tokens_in:,.0f} tokens" in said
    assert said.endswith(f"; about ${dollars:,.2f}")
    assert "$" not in before.describe()


@pytest.mark.parametrize("model", ["model-a", "model-b"])
def test_the_plan_counts_answers_that_were_answered_back(corpus, tmp_path, model):
    texts, stored = corpus
    chosen = rows_of(stored, range(3))

    def ask(request):
        if request.model == model and len(request.messages) == 1:
            return Answer("Well …", "stop", "", 1, 1, 0.0)
        return truthful(request)

    with contextlib.closing(Answers(tmp_path / "answers.sqlite")) as answers:
        chat = KeptChat(Standing(ask), answers)
        label(chosen, texts, ask=chat.complete)
        found = llm_labels.plan(chosen, texts=texts, asked=ASKED, answers=answers)
    assert (found.n_calls, found.n_kept) == (0, chat.n_asked)
    assert chat.n_asked == {"model-a": 4, "model-b": 5}[model] * 3


class Standing:
    """A function in the place of a language model."""

    def __init__(self, complete):
        self.complete = complete
