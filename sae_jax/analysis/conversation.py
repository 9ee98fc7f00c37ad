"""Questions to a language model: how they are asked, and what asking them will take."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from sae_jax.analysis import prompts
from sae_jax.analysis.answers import Answers
from sae_jax.analysis.chat import Answer, Request
from sae_jax.analysis.prompts import Unparsable
from sae_jax.embed.openai import CHARACTERS_PER_TOKEN
from sae_jax.errors import EndpointError

MOST_FAILURES = 10  # in a row, and the endpoint is given up
FINISHED = ("stop", "")

Ask = Callable[[Request], Answer]
Read = TypeVar("Read")


class Refused(Exception):
    """The model, or a filter before it, will not answer."""


class NotKept(Exception):
    """The answer to this request was not given before."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request


def converse(request: Request, *, ask: Ask, read: Callable[[str], Read]) -> Read:
    """What the answer says. One that cannot be read is answered back once.

    At temperature 0 the same question would bring the same answer; told what was wrong, a
    model can mend it.

    Raises:
        CallFailed, Refused, Unparsable: states of what was asked about, and no answer.
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


class Patience:
    """Ends when so many in a row fail that the rest would, too."""

    def __init__(self, unit: str) -> None:
        self._unit, self._failures = unit, 0

    def take(self, *, state: str, reason: str) -> None:
        """Raises EndpointError."""
        self._failures = self._failures + 1 if state == "failed" else 0
        if self._failures == MOST_FAILURES:
            raise EndpointError(
                f"{MOST_FAILURES} {self._unit} in a row failed, so the rest was not tried. The "
                f"last one: {reason}. Answers so far are kept: the same command goes on."
            )


class Plan(NamedTuple):
    """What is left to ask."""

    subject: str  # such as "12 latents"
    n_calls: int  # the least: an answer that cannot be read takes one more
    n_kept: int  # calls that were answered before
    tokens_in: float
    tokens_out: float

    def describe(self, *, dollars_per_million: Sequence[float] = ()) -> str:
        said = (
            f"{self.subject}: {self.n_calls:,} calls to make, about "
            f"{self.tokens_in:,.0f} tokens to send ({CHARACTERS_PER_TOKEN} characters each) "
            f"and {self.tokens_out:,.0f} to receive; {self.n_kept:,} calls were answered before"
        )
        if dollars_per_million:
            per_in, per_out = dollars_per_million
            dollars = (self.tokens_in * per_in + self.tokens_out * per_out) / 1e6
            said += f"; about ${dollars:,.2f}"
        return said


class Estimate:
    """Counts what kept answers leave to be asked; asks nothing."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._n_kept, self._n_left, self._characters, self._tokens_out = 0, 0, 0, 0

    def kept(self, request: Request) -> Answer:
        """In the place of a model. Raises NotKept."""
        answer = self._answers.get(request)
        if answer is None:
            raise NotKept(request)
        self._n_kept += 1
        return answer

    def add(self, request: Request, *, tokens_out: int) -> None:
        self._n_left += 1
        self._characters += request.n_characters
        self._tokens_out += tokens_out

    def plan(self, subject: str) -> Plan:
        tokens_in = self._characters / CHARACTERS_PER_TOKEN
        return Plan(subject, self._n_left, self._n_kept, tokens_in, self._tokens_out)
