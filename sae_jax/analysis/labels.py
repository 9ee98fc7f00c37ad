"""Labels without a language model: the terms that set a latent's texts apart, with scores.

Half of the rows name the latent, the other half judge the name. These are keywords and no
explanations: how well they hold is what their scores say.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sae_jax.analysis.codes import StoredCodes
from sae_jax.analysis.intervals import interval, mean_with_interval
from sae_jax.analysis.terms import Terms, without_likes

N_STRONGEST = 50  # texts that name a latent, and most that judge the name
N_TERMS, N_EVIDENCE = 3, 8
LEAST_ROWS = 10  # in each half, or a latent is not labelled
CANDIDATES = 40  # terms looked at for duplicates
MOST_LABELS = 0.02  # of all latents: a term in more labels than that names none
DRAWS = 200  # of the bootstrap


class Score(NamedTuple):
    """How well the label's terms tell rows on which the latent is on from others."""

    f1: float  # of: one of the label's terms is there
    low: float  # its 95 % interval, by bootstrap over rows
    high: float
    auroc: float  # by the weight of all evidence
    n: int  # rows that were judged


class Label(NamedTuple):
    """Of one latent; `state` says why there is none where there is none."""

    latent: int
    state: str  # "ok", "never on", "on nearly everywhere", "too few rows" or "no term"
    terms: list[str]
    evidence: dict[str, float]  # terms and their weights
    easy: Score | None  # strongest rows against random ones on which it is off
    hard: Score | None  # rows of all strengths against those on which it nearly is on

    @property
    def text(self) -> str:
        return ", ".join(self.terms)

    def as_json(self) -> dict[str, Any]:
        return self._asdict() | {"text": self.text, "method": "keywords"}


def label_all(stored: StoredCodes, terms: Terms, *, seed: int = 0) -> list[Label]:
    """Of every latent, in their order."""
    naming = naming_half(stored.manifest.n_rows, seed=seed)
    share = np.asarray(terms.held[naming].mean(axis=0)).ravel()
    weights = [
        _weights(stored, i, terms=terms, naming=naming, share=share) for i in _all(stored)
    ]
    common = _too_common(weights, n_terms=len(terms.names))
    labels = []
    for latent, own in enumerate(weights):
        if isinstance(own, str):
            labels.append(Label(latent, own, [], {}, None, None))
            continue
        for term in common & own.keys():
            del own[term]
        rng = np.random.default_rng((seed, latent))
        labels.append(_judged(stored, latent, own, terms=terms, judging=~naming, rng=rng))
    return labels


def naming_half(n_rows: int, *, seed: int) -> Bool[np.ndarray, " n_rows"]:
    """Rows that name latents; the others judge the names."""
    return np.random.default_rng(seed).random(n_rows) < 0.5


def _all(stored: StoredCodes) -> range:
    return range(stored.manifest.n_latents)


def _weights(
    stored: StoredCodes,
    latent: int,
    *,
    terms: Terms,
    naming: Bool[np.ndarray, " n_rows"],
    share: Float[np.ndarray, " n_terms"],
) -> dict[int, float] | str:
    """The terms that set its strongest rows apart, best first; or why there are none.

    Contrast: sqrt(p) · log(p / p of the corpus), p the share of these rows with the term.
    """
    rows = np.asarray(stored.rows_of(latent))
    if not len(rows):
        return "never on"
    for_naming = rows[naming[rows]][:N_STRONGEST]
    if len(for_naming) < LEAST_ROWS or len(rows) - naming[rows].sum() < LEAST_ROWS:
        return "too few rows"
    p = np.asarray(terms.held[for_naming].mean(axis=0)).ravel()
    seen = np.flatnonzero((p > 1.5 / len(for_naming)) & (p > share))  # in two texts at least
    contrast = np.sqrt(p[seen]) * np.log(p[seen] / np.maximum(share[seen], 1e-9))
    order = np.argsort(-contrast, kind="stable")[:CANDIDATES]
    found = {int(seen[i]): float(contrast[i]) for i in order}
    return found or "no term"


def _too_common(weights: list[dict[int, float] | str], *, n_terms: int) -> set[int]:
    """Terms that would be in the labels of too many latents."""
    first = [term for own in weights if isinstance(own, dict) for term in list(own)[:N_TERMS]]
    n = np.bincount(np.array(first, int), minlength=n_terms)
    return set(np.flatnonzero(n > max(MOST_LABELS * len(weights), 2)).tolist())


def _judged(
    stored: StoredCodes,
    latent: int,
    weights: dict[int, float],
    *,
    terms: Terms,
    judging: Bool[np.ndarray, " n_rows"],
    rng: np.random.Generator,
) -> Label:
    place = {terms.names[i]: i for i in weights}
    evidence = without_likes(place, most=N_EVIDENCE)
    if not evidence:
        return Label(latent, "no term", [], {}, None, None)
    columns = np.array([place[term] for term in evidence])
    strengths = np.array([weights[i] for i in columns.tolist()])
    rows = np.asarray(stored.rows_of(latent))
    on = rows[judging[rows]]
    near = np.asarray(stored.near_rows[latent])
    near = near[near >= 0]
    near = near[judging[near]]

    def score(positive: np.ndarray, negative: np.ndarray) -> Score:
        held = terms.held[np.concatenate([positive, negative])][:, columns].toarray()
        truth = np.arange(len(held)) < len(positive)
        return judge(held, strengths=strengths, truth=truth, rng=rng)

    strongest = on[:N_STRONGEST]
    random = off_rows(stored, latent, among=judging, n=len(strongest), rng=rng)
    if len(random) < LEAST_ROWS:
        return Label(latent, "on nearly everywhere", [], {}, None, None)
    n_hard = min(len(on), max(len(near), LEAST_ROWS))
    of_all_strengths = on[np.linspace(0, len(on) - 1, n_hard).astype(int)]
    hard = np.concatenate([near, random])[:n_hard]
    return Label(
        latent,
        "ok",
        evidence[:N_TERMS],
        dict(zip(evidence, strengths.tolist(), strict=True)),
        score(strongest, random),
        score(of_all_strengths, hard),
    )


def off_rows(
    stored: StoredCodes,
    latent: int,
    *,
    among: Bool[np.ndarray, " n_rows"],
    n: int,
    rng: np.random.Generator,
) -> Int[np.ndarray, " off"]:
    """Random rows of these, on which the latent is off."""
    off = among.copy()
    off[stored.rows_of(latent)] = False
    rows = np.flatnonzero(off)
    return rng.choice(rows, size=min(n, len(rows)), replace=False)


def judge(
    held: Int[np.ndarray, "rows evidence"],
    *,
    strengths: Float[np.ndarray, " evidence"],
    truth: Bool[np.ndarray, " rows"],
    rng: np.random.Generator,
) -> Score:
    """F1 of "one of the label's terms is there", and AUROC of the weights of all evidence."""
    yes = np.asarray(held[:, :N_TERMS].any(axis=1))
    f1 = interval(
        lambda rows: f1_of(yes[rows], truth[rows]), n=len(truth), rng=rng, draws=DRAWS
    )
    return Score(*f1, auroc(held @ strengths, truth), len(truth))


def f1_of(
    yes: Bool[np.ndarray, "draws rows"], truth: Bool[np.ndarray, "draws rows"]
) -> Float[np.ndarray, " draws"]:
    said = yes.sum(axis=-1) + truth.sum(axis=-1)
    return np.asarray(2 * (yes & truth).sum(axis=-1) / np.maximum(said, 1))


def auroc(weight: Float[np.ndarray, " rows"], truth: Bool[np.ndarray, " rows"]) -> float:
    """The chance that a row that is on weighs more than one that is off; a tie is a half."""
    difference = weight[truth][:, None] - weight[~truth][None]
    if not difference.size:
        return float("nan")
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


def describe(labels: Sequence[Label], *, most: int, seed: int) -> str:
    """How many have a label, how well these hold, and some of them, drawn at random."""
    states = [label.state for label in labels]
    counts = ", ".join(f"{states.count(state):,} {state}" for state in dict.fromkeys(states))
    lines = [f"{len(labels):,} latents: {counts}"]
    for said, scores in (
        ("easy, strongest against random rows:  ", [label.easy for label in labels]),
        ("hard, all strengths against near ones:", [label.hard for label in labels]),
    ):
        known = [score for score in scores if score]
        if known:
            f1, auroc = (
                mean_with_interval(np.array([getattr(s, of) for s in known]), seed=seed)
                for of in ("f1", "auroc")
            )
            lines.append(f"  {said} F1 {f1}, AUROC {auroc}, means of {len(known):,}")
    named = [label for label in labels if label.easy and label.hard]
    drawn = np.random.default_rng(seed).permutation(len(named))[:most].tolist()
    lines.append(f"{len(drawn)} of them, drawn at random:")
    for label in (named[i] for i in drawn):
        assert label.easy, "chosen so"
        assert label.hard, "chosen so"
        held = f"F1 {label.easy.f1:.2f} easy, {label.hard.f1:.2f} hard"
        lines.append(f"  latent {label.latent}: {label.text} ({held})")
    return "\n".join(lines)
