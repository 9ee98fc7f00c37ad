"""Labels by a language model, scored: one call names a latent, others judge the name.

The protocol of arXiv 2408.00657 with its defects mended. The labeller sees strong and weak
rows, near misses and random ones; the judge sees the label alone, and rows that the labeller
never saw. What fails is a state and no score.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from sae_jax.analysis import prompts
from sae_jax.analysis.answers import Answers
from sae_jax.analysis.chat import Answer, CallFailed, Request
from sae_jax.analysis.llm_rows import Rows
from sae_jax.analysis.llm_scores import Scores, score
from sae_jax.analysis.prompts import Unparsable
from sae_jax.analysis.threads import in_threads
from sae_jax.data.progress import Progress
from sae_jax.embed.openai import CHARACTERS_PER_TOKEN
from sae_jax.errors import EndpointError

TEXTS_PER_CALL = 20  # at most, of the judge
MOST_FAILURES = 10  # in a row, and the endpoint is given up
TOKENS_PER_LABEL, TOKENS_PER_CONFIDENCE = 60, 6  # of answers, for the estimate
FINISHED = ("stop", "")

Ask = Callable[[Request], Answer]
Read = TypeVar("Read")


class Asked(NamedTuple):
    """Who is asked, and how."""

    model: str
    judge_model: str
    parameters: Mapping[str, Any]
    seed: int  # of the rows
    base_url: str

    def to_label(self, rows: Rows, texts: Mapping[int, str]) -> Request:
        n = len(rows.strongest)
        shown = prompts.Shown(
            strongest=_shown(rows.strongest, texts, rows.strengths[:n]),
            weaker=_shown(rows.weaker, texts, rows.strengths[n:]),
            near=_shown(rows.near, texts, np.zeros(len(rows.near))),
            zeros=_shown(rows.zeros, texts, np.zeros(len(rows.zeros))),
        )
        return self._request(self.model, prompts.ask_for_label(shown))

    def _request(self, model: str, messages: prompts.Messages) -> Request:
        return Request(model, messages, self.parameters, self.base_url)

    def to_judge(
        self, rows: Rows, texts: Mapping[int, str], *, label: str
    ) -> list[tuple[Request, int]]:
        """The calls, and of how many texts each is."""
        own = [texts[row] for row in rows.judged.tolist()]
        return [
            (
                self._request(self.judge_model, prompts.ask_for_confidences(label, part)),
                len(part),
            )
            for part in _parts(own)
        ]


class Judged(NamedTuple):
    """The rows that judged, what they are, and what the judge said of them."""

    rows: list[int]
    kinds: list[str]
    confidences: list[float]


class LlmLabel(NamedTuple):
    """Of one latent. Only one whose state is "ok" has scores."""

    latent: int
    state: str  # "ok", "failed", "unparsable", "refused" or "skipped"
    reason: str = ""  # why it is not ok
    text: str = ""
    why: str = ""
    confidence: float | None = None  # the labeller's own, 0 to 10
    scores: Scores | None = None
    judged: Judged | None = None

    def as_json(self) -> dict[str, Any]:
        return self._asdict() | {"method": "llm"}


class Refused(Exception):
    """The model, or a filter before it, will not answer."""


class NotKept(Exception):
    """The answer to this request was not given before."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request


def _shown(
    rows: np.ndarray, texts: Mapping[int, str], strengths: np.ndarray
) -> list[tuple[float, str]]:
    return [(s, texts[row]) for s, row in zip(strengths.tolist(), rows.tolist(), strict=True)]


def _parts(texts: Sequence[str]) -> list[list[str]]:
    """As few as are short enough, of nearly the same length."""
    n_parts = -(-len(texts) // TEXTS_PER_CALL)
    return [[texts[i] for i in part] for part in np.array_split(np.arange(len(texts)), n_parts)]


def label_all(
    chosen: Sequence[Rows],
    *,
    texts: Mapping[int, str],
    asked: Asked,
    ask: Ask,
    n_parallel: int,
    done: Callable[[LlmLabel], None],
) -> None:
    """`done` gets each label as it is made.

    Raises:
        EndpointError: no other call would fare better, or many in a row have failed.
    """
    failures: list[str] = []

    def take(label: LlmLabel) -> None:
        done(label)
        progress.add(1)
        failures[:] = [*failures, label.reason] if label.state == "failed" else []
        if len(failures) == MOST_FAILURES:
            raise EndpointError(
                f"{MOST_FAILURES} latents in a row failed, so the rest was not tried. The last "
                f"one: {label.reason}. Answers so far are kept: the same command goes on."
            )

    with Progress("label", total=len(chosen), unit="latents") as progress:
        in_threads(
            lambda rows: label_one(rows, texts=texts, asked=asked, ask=ask),
            chosen,
            n_threads=n_parallel,
            done=take,
        )


def label_one(rows: Rows, *, texts: Mapping[int, str], asked: Asked, ask: Ask) -> LlmLabel:
    """Raises EndpointError alone; every other failure is a state."""
    made = LlmLabel(rows.latent, "ok")
    confidences: list[float] = []
    try:
        named = _converse(asked.to_label(rows, texts), ask=ask, read=prompts.read_label)
        made = made._replace(text=named.label, why=named.why, confidence=named.confidence)
        for request, n in asked.to_judge(rows, texts, label=named.label):
            confidences += _converse(request, ask=ask, read=_confidences_of(n))
    except CallFailed as error:
        return made._replace(state="failed", reason=str(error))
    except Refused as error:
        return made._replace(state="refused", reason=str(error))
    except Unparsable as error:
        whose = "judge" if made.text else "labeller"
        return made._replace(state="unparsable", reason=f"answer of the {whose}: {error}")
    rng = np.random.default_rng((asked.seed, rows.latent))
    return made._replace(
        scores=score(np.array(confidences, float), rows.on, rng=rng),
        judged=Judged(rows.judged.tolist(), rows.kinds, confidences),
    )


def _confidences_of(n: int) -> Callable[[str], list[float]]:
    return functools.partial(prompts.read_confidences, n=n)


def _converse(request: Request, *, ask: Ask, read: Callable[[str], Read]) -> Read:
    """What the answer says. One that cannot be read is answered back once.

    At temperature 0 the same question would bring the same answer; told what was wrong, a
    model can mend it.
    """
    answer = _given(request, ask=ask)
    try:
        return read(answer.text)
    except Unparsable as problem:
        said = str(problem) if answer.finish in FINISHED else f"it ended by {answer.finish}"
        again = prompts.ask_again(request.messages, answer=answer.text, problem=said)
        return read(_given(request._replace(messages=again), ask=ask).text)


def _given(request: Request, *, ask: Ask) -> Answer:
    answer = ask(request)
    if answer.refusal or answer.finish == "content_filter":
        raise Refused(answer.refusal or "the endpoint's filter let no answer pass")
    return answer


class Plan(NamedTuple):
    """What is left to ask."""

    n_latents: int
    n_calls: int  # the least: an answer that cannot be read takes one more
    n_kept: int  # calls that were answered before
    tokens_in: float
    tokens_out: float

    def describe(self, *, dollars_per_million: Sequence[float] = ()) -> str:
        said = (
            f"{self.n_latents:,} latents: {self.n_calls:,} calls to make, about "
            f"{self.tokens_in:,.0f} tokens to send ({CHARACTERS_PER_TOKEN} characters each) "
            f"and {self.tokens_out:,.0f} to receive; {self.n_kept:,} calls were answered before"
        )
        if dollars_per_million:
            per_in, per_out = dollars_per_million
            dollars = (self.tokens_in * per_in + self.tokens_out * per_out) / 1e6
            said += f"; about ${dollars:,.2f}"
        return said


def plan(
    chosen: Sequence[Rows], *, texts: Mapping[int, str], asked: Asked, answers: Answers
) -> Plan:
    """Asks nothing. A label that is not known yet is taken for one of eight words."""
    n_kept, left, tokens_out = 0, list[Request](), 0

    def kept(request: Request) -> Answer:
        nonlocal n_kept
        answer = answers.get(request)
        if answer is None:
            raise NotKept(request)
        n_kept += 1
        return answer

    for rows in chosen:
        label = "eight words that say what a latent means"
        try:
            label = _converse(
                asked.to_label(rows, texts), ask=kept, read=prompts.read_label
            ).label
        except NotKept as error:
            left.append(error.request)
            tokens_out += TOKENS_PER_LABEL
        except (Unparsable, Refused):
            continue
        for request, n in asked.to_judge(rows, texts, label=label):
            try:
                _converse(request, ask=kept, read=_confidences_of(n))
            except NotKept as error:
                left.append(error.request)
                tokens_out += TOKENS_PER_CONFIDENCE * n
            except (Unparsable, Refused):
                break
    tokens_in = sum(request.n_characters for request in left) / CHARACTERS_PER_TOKEN
    return Plan(len(chosen), len(left), n_kept, tokens_in, tokens_out)
