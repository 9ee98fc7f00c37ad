"""A language model as judge: it sees hits before and after, and names what was moved.

The trial of arXiv 2408.00657, figure 6, of those trials that raise one concept and lower
another: which of five was raised, and which lowered? Of what fails there is a state and no
judgement.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sae_jax.analysis.answers import Answers
from sae_jax.analysis.chat import CallFailed, Request
from sae_jax.analysis.conversation import (
    Ask,
    Estimate,
    NotKept,
    Patience,
    Plan,
    Refused,
    converse,
)
from sae_jax.analysis.intervals import mean_with_interval
from sae_jax.analysis.prompts import Unparsable
from sae_jax.analysis.records import texts_at
from sae_jax.analysis.threads import in_threads
from sae_jax.data.progress import Progress
from sae_jax.data.shards import ShardReader
from sae_jax.search import judge_prompt
from sae_jax.search.judge import SIDES, Judge, Outcome
from sae_jax.search.trials import N_OPTIONS

EDIT = "both"
WHO = ("model", "base_url", "parameters", "prompt_version")  # of a judge's record
STATES = ("ok", "failed", "refused", "unparsable")
TOKENS_PER_ANSWER = 15  # for the estimate


class Model(NamedTuple):
    """Who is asked, and how."""

    name: str
    base_url: str
    parameters: Mapping[str, Any]  # sent with each call


class Question(NamedTuple):
    """Of one case of one trial. Trials of the same hits have the same request."""

    trial: int  # its place among all
    case: int
    order: list[int]  # in which the case's options are shown: 0 was raised and 1 lowered
    options: list[str]
    request: Request


class Verdict(NamedTuple):
    """What the model says; topics by their place as they were shown."""

    state: str  # one of STATES
    reason: str = ""  # why it is not ok
    named: judge_prompt.Named | None = None

    def side(self, question: Question, side: str) -> int | None:
        """The option that is named, by its place among the case's own."""
        if self.named is None:
            return None
        return question.order[self.named.raised if side == "up" else self.named.lowered]


def make_questions(
    judge: Judge,
    found: Sequence[Outcome],
    *,
    reader: ShardReader,
    model: Model,
    n_queries: int,
    seed: int,
) -> list[Question]:
    """About the first queries, which were drawn at random."""
    asked = [i for i, one in enumerate(found) if one.trial.edit == EDIT]
    cases = judge.cases
    shown = [cases.neutral[:n_queries], *(found[i].hits[:n_queries] for i in asked)]
    texts = texts_at(reader, np.concatenate(shown).ravel())
    made = []
    for case, row in enumerate(cases.rows[:n_queries].tolist()):
        order = np.random.default_rng((seed, row)).permutation(N_OPTIONS).tolist()
        names = [judge.targets.concepts.names[i] for i in cases.options[case][order].tolist()]
        before = [texts[hit] for hit in cases.neutral[case].tolist()]
        for i in asked:
            after = [texts[hit] for hit in found[i].hits[case].tolist()]
            messages = judge_prompt.ask_for_topics(before, after, options=names)
            request = Request(model.name, messages, model.parameters, model.base_url)
            made.append(Question(i, case, order, names, request))
    return made


def _distinct(questions: Sequence[Question]) -> dict[str, Question]:
    return {one.request.key: one for one in questions}


def plan(questions: Sequence[Question], *, answers: Answers) -> Plan:
    """Asks nothing."""
    found, distinct = Estimate(answers), _distinct(questions)
    for one in distinct.values():
        try:
            _ask_one(one, ask=found.kept)
        except NotKept as error:
            found.add(error.request, tokens_out=TOKENS_PER_ANSWER)
    n_queries = len({one.case for one in questions})
    n_trials = len({one.trial for one in questions})
    return found.plan(
        f"{n_queries:,} queries, each steered in {n_trials} ways and strengths, "
        f"{len(distinct):,} lists of hits that differ"
    )


def ask_all(questions: Sequence[Question], *, ask: Ask, n_parallel: int) -> list[Verdict]:
    """One verdict a question, in their order.

    Raises:
        EndpointError: no other call would fare better, or many in a row have failed.
    """
    said: dict[str, Verdict] = {}
    distinct, patience = _distinct(questions), Patience("judgements")

    def take(made: tuple[str, Verdict]) -> None:
        key, verdict = made
        said[key] = verdict
        progress.add(1)
        patience.take(state=verdict.state, reason=verdict.reason)

    with Progress("judge", total=len(distinct), unit="judgements") as progress:
        in_threads(
            lambda one: (one.request.key, _ask_one(one, ask=ask)),
            distinct.values(),
            n_threads=n_parallel,
            done=take,
        )
    return [said[one.request.key] for one in questions]


def _ask_one(question: Question, *, ask: Ask) -> Verdict:
    read = functools.partial(judge_prompt.read_topics, options=question.options)
    try:
        return Verdict("ok", named=converse(question.request, ask=ask, read=read))
    except CallFailed as error:
        return Verdict("failed", str(error))
    except Refused as error:
        return Verdict("refused", str(error))
    except Unparsable as error:
        return Verdict("unparsable", str(error))


class Judged(NamedTuple):
    """All that the model was asked, and what it said."""

    model: Model
    questions: list[Question]
    verdicts: list[Verdict]

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.model.name,
            "base_url": self.model.base_url,
            "parameters": self.model.parameters,
            "prompt_version": judge_prompt.VERSION,
            "n_queries": len({one.case for one in self.questions}),
            "states": self.counts(),
        }

    def of(self, trial: int) -> list[tuple[Question, Verdict]]:
        pairs = zip(self.questions, self.verdicts, strict=True)
        return [(one, verdict) for one, verdict in pairs if one.trial == trial]

    def counts(self, trial: int | None = None) -> dict[str, int]:
        """How many are in each state, of one trial or of all."""
        own = self.verdicts if trial is None else [one for _, one in self.of(trial)]
        return {state: sum(one.state == state for one in own) for state in STATES}


def measures(
    judged: Judged, trial: int, *, outcome: Outcome, seed: int
) -> dict[str, Any] | None:
    """How often the model names what was moved; None of a trial that it was not asked about.

    Over what it has answered alone; `counted` is the judge that counts, over the same queries.
    """
    own = judged.of(trial)
    if not own:
        return None
    ok = [(question, one) for question, one in own if one.state == "ok"]
    cases = np.array([question.case for question, _ in ok], np.int64)
    sides = {}
    for place, side in enumerate(SIDES[EDIT]):
        right = [one.side(question, side) == place for question, one in ok]
        sides[side] = {
            "identified": mean_with_interval(np.array(right, np.float64), seed=seed),
            "counted": mean_with_interval(outcome.sides[side].identified[cases], seed=seed),
        }
    return {"n": len(own), "states": judged.counts(trial), "sides": sides}


def records(
    judged: Judged, judge: Judge, *, found: Sequence[Outcome]
) -> Iterator[dict[str, Any]]:
    """A line a question: what was moved, and what the model says."""
    cases, names = judge.cases, judge.targets.concepts.names
    for question, one in zip(judged.questions, judged.verdicts, strict=True):
        options = [names[i] for i in cases.options[question.case].tolist()]
        said = {side: one.side(question, side) for side in SIDES[EDIT]}
        trial = found[question.trial].trial
        yield {
            "row": int(cases.rows[question.case]),
            "way": trial.way,
            "at": trial.at,
            "raised": options[0],
            "lowered": options[1],
            "others": options[2:],
            "state": one.state,
            "reason": one.reason,
            "said_raised": None if said["up"] is None else options[said["up"]],
            "said_lowered": None if said["down"] is None else options[said["down"]],
        }
