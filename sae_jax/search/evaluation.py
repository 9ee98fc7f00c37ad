"""Does steering do what it says? Hits of steered queries against the corpus's own hierarchy.

All ways move a query to the same cosines, so that they are compared at equal fidelity. Then
latents at marks of their sliders, and rewritten texts, each at the cosine where it lands.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sae_jax.analysis import directions
from sae_jax.analysis.concepts import Concepts, held_out_mask
from sae_jax.analysis.intervals import Interval, mean_with_interval
from sae_jax.analysis.records import texts_at
from sae_jax.embed.encoder import Encoder
from sae_jax.search import trials, ways
from sae_jax.search.dictionary import Dictionary
from sae_jax.search.judge import SIDES, Judge, Outcome, Trial
from sae_jax.search.llm_judge import Judged, measures
from sae_jax.search.session import Search
from sae_jax.search.steer import LEAST_PERCENT, MOST_PERCENT
from sae_jax.search.trials import Cases, Targets

COSINES = (0.95, 0.9, 0.8, 0.7, 0.5)  # to the query
MARKS = {"up": (50, 100, 200, 300), "down": (0, -50, -100)}  # of sliders, in percent


class Asked(NamedTuple):
    """What is to be evaluated."""

    search: Search
    concepts: Concepts
    encoder: Encoder | None  # none: nothing is rewritten
    n_queries: int
    seed: int


class Steered(NamedTuple):
    """What the numbers are of."""

    targets: Targets
    judge: Judge
    found: list[Outcome]


def steer(asked: Asked, *, say: Callable[[str], None]) -> Steered:
    """Every query by every way at every strength."""
    search = asked.search
    reader, index, dictionary = search.reader, search.index, search.dictionary
    say("concepts that a latent stands for, and queries")
    targets = trials.find_targets(
        dictionary.stored, asked.concepts, held_out=held_out_mask(reader)
    )
    cases = trials.draw(
        targets, index=index, reader=reader, n_queries=asked.n_queries, seed=asked.seed
    )
    say(f"{len(cases.rows)} queries, {len(targets.latents)} concepts; their directions")
    known = _known(asked, cases=cases, targets=targets)
    made = make_trials(cases, targets, known=known, dictionary=dictionary)
    say(f"{len(made) * len(cases.rows):,} steered queries")
    judge = Judge(cases, targets, index=index, stored=dictionary.stored)
    return Steered(targets, judge, [judge.outcome(trial) for trial in made])


def measure(asked: Asked, steered: Steered, *, judged: Judged | None = None) -> dict[str, Any]:
    """All numbers, as `sae-jax evaluate-search` writes them; with a model's, if one judged."""
    seed, (targets, judge, found) = asked.seed, steered
    return {
        "n_queries": len(judge.cases.rows),
        "n_hits": trials.N_HITS,
        "n_concepts": len(targets.latents),
        "latent_f1": mean_with_interval(targets.f1, seed=seed),
        "encoder": asked.encoder.name if asked.encoder else None,
        "neutral": {
            side: mean_with_interval(judge.before[:, place], seed=seed)
            for place, side in enumerate(SIDES["both"])
        },
        "llm_judge": judged and judged.as_json(),
        "points": [
            _point(one, seed=seed)
            | {"llm": judged and measures(judged, i, outcome=one, seed=seed)}
            for i, one in enumerate(found)
        ],
        "ahead": list(_ahead(found, seed=seed)),
        "marks": list(_marks(judge.cases, targets, dictionary=asked.search.dictionary)),
    }


def _known(
    asked: Asked, *, cases: Cases, targets: Targets
) -> dict[str, dict[str, ways.Vectors]]:
    """Of each way and edit the directions."""
    reader = asked.search.reader
    moments = directions.moments(
        reader, concepts=targets.concepts, held_out=held_out_mask(reader)
    )
    known = ways.without_words(
        cases, targets, dictionary=asked.search.dictionary, moments=moments, seed=asked.seed
    )
    if asked.encoder is not None:
        texts_of = texts_at(reader, cases.rows)
        texts = [texts_of[row] for row in cases.rows.tolist()]
        known |= ways.with_words(cases, targets, texts=texts, encoder=asked.encoder)
    return known


def make_trials(
    cases: Cases,
    targets: Targets,
    *,
    known: Mapping[str, Mapping[str, ways.Vectors]],
    dictionary: Dictionary,
) -> list[Trial]:
    made = []
    for edit in ways.EDITS:
        for way, own in known.items():
            for cosine in COSINES:
                moved = ways.turned(cases.queries, own[edit], cosine=cosine)
                made.append(Trial(edit, way, f"cosine {cosine:g}", moved))
    for edit, marks in MARKS.items():
        for percent in marks:
            moved = ways.slid(cases, targets, dictionary=dictionary, edit=edit, percent=percent)
            made.append(Trial(edit, ways.SAE, f"slider {percent} %", moved))
    for edit, written in known.get(ways.REWRITING, {}).items():
        made.append(Trial(edit, ways.REWRITING, "as written", written))
    return made


def _point(one: Outcome, *, seed: int) -> dict[str, Any]:
    """Means over cases, each with its interval."""
    return {
        "edit": one.trial.edit,
        "way": one.trial.way,
        "at": one.trial.at,
        "cosine": mean_with_interval(one.cosine, seed=seed),
        "overlap": mean_with_interval(one.overlap, seed=seed),
        "sides": {
            side: {
                name: mean_with_interval(values, seed=seed)
                for name, values in own._asdict().items()
            }
            for side, own in one.sides.items()
        },
    }


def _ahead(found: Sequence[Outcome], *, seed: int) -> Iterator[dict[str, Any]]:
    """How much further the latent moves precision the wanted way than another way does.

    The difference of the same cases, at the same cosine; above 0 the latent moves it further.
    """
    at_cosine = [one for one in found if one.trial.at.startswith("cosine")]
    by_latent = {
        (one.trial.edit, one.trial.at): one for one in at_cosine if one.trial.way == ways.SAE
    }
    for one in at_cosine:
        edit, way, at, _ = one.trial
        if way == ways.SAE:
            continue
        for side, own in one.sides.items():
            further = by_latent[edit, at].sides[side].change - own.change
            ahead: Interval = mean_with_interval(
                further if side == "up" else -further, seed=seed
            )
            yield {"edit": edit, "side": side, "than": way, "at": at, "precision": ahead}


def _marks(
    cases: Cases, targets: Targets, *, dictionary: Dictionary
) -> Iterator[dict[str, Any]]:
    """Where the slider stands at each cosine, and whether a slider goes so far."""
    for edit in MARKS:
        for cosine in COSINES:
            percents = ways.marks(
                cases, targets, dictionary=dictionary, edit=edit, cosine=cosine
            )
            known = percents[np.isfinite(percents)]
            reached = (known >= LEAST_PERCENT) & (known <= MOST_PERCENT)
            yield {
                "edit": edit,
                "at": f"cosine {cosine:g}",
                "median": float(np.median(known)) if len(known) else float("nan"),
                "reached": float(reached.sum() / len(percents)),
            }
