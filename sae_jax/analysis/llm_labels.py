"""Labels by a language model, scored: one call names a latent, others judge the name.

The protocol of arXiv 2408.00657 with its defects mended. The labeller sees strong and weak
rows, near misses and random ones; the judge sees the label alone, and rows that the labeller
never saw. What fails is a state and no score.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sae_jax.analysis import prompts
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
from sae_jax.analysis.llm_rows import Rows
from sae_jax.analysis.llm_scores import Scores, score
from sae_jax.analysis.prompts import Unparsable
from sae_jax.analysis.threads import in_threads
from sae_jax.data.progress import Progress

TEXTS_PER_CALL = 20  # at most, of the judge
TOKENS_PER_LABEL, TOKENS_PER_CONFIDENCE = 60, 6  # of answers, for the estimate


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
        scores = self.scores.as_json() if self.scores else None
        judged = self.judged._asdict() if self.judged else None
        return self._asdict() | {"scores": scores, "judged": judged, "method": "llm"}


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
    patience = Patience("latents")

    def take(label: LlmLabel) -> None:
        done(label)
        progress.add(1)
        patience.take(state=label.state, reason=label.reason)

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
        named = converse(asked.to_label(rows, texts), ask=ask, read=prompts.read_label)
        made = made._replace(text=named.label, why=named.why, confidence=named.confidence)
        for request, n in asked.to_judge(rows, texts, label=named.label):
            confidences += converse(request, ask=ask, read=_confidences_of(n))
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


def plan(
    chosen: Sequence[Rows], *, texts: Mapping[int, str], asked: Asked, answers: Answers
) -> Plan:
    """Asks nothing. A label that is not known yet is taken for one of eight words."""
    found = Estimate(answers)
    for rows in chosen:
        label = "eight words that say what a latent means"
        try:
            label = converse(
                asked.to_label(rows, texts), ask=found.kept, read=prompts.read_label
            ).label
        except NotKept as error:
            found.add(error.request, tokens_out=TOKENS_PER_LABEL)
        except (Unparsable, Refused):
            continue
        for request, n in asked.to_judge(rows, texts, label=label):
            try:
                converse(request, ask=found.kept, read=_confidences_of(n))
            except NotKept as error:
                found.add(error.request, tokens_out=TOKENS_PER_CONFIDENCE * n)
            except (Unparsable, Refused):
                break
    return found.plan(f"{len(chosen):,} latents")
