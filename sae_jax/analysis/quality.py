"""The measures of `sae-jax evaluate`, each beside baselines and with its interval."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from sae_jax.analysis import (
    combinations,
    coverage,
    directions,
    probes,
    reconstruction,
    retrieval,
    scorers,
)
from sae_jax.analysis.classes import Classes
from sae_jax.analysis.codes import StoredCodes
from sae_jax.analysis.concepts import Concepts, held_out_mask, together
from sae_jax.analysis.directions import Moments
from sae_jax.analysis.intervals import mean_with_interval
from sae_jax.analysis.probes import Probe
from sae_jax.analysis.robustness import CORRUPTIONS, Curves, Single
from sae_jax.analysis.scorers import Weighted
from sae_jax.data.shards import ShardReader
from sae_jax.notebook import Sae
from sae_jax.train.statistics import spread_positions

N_QUERIES = 1_000  # held-out rows whose neighbours are looked for
PROGRESSIVE_ROWS = 2_048  # held-out ones that other k are measured on
MOST_RANDOM = 8_192  # directions: what they share is a matrix of their number squared
FEATURES = (1, 4, 16)  # that together stand for a concept


class Subject(NamedTuple):
    """What is measured, and the same autoencoder before training."""

    sae: Sae
    reader: ShardReader
    stored: StoredCodes
    untrained: Sae
    untrained_codes: StoredCodes
    concepts: Concepts  # none: the corpus has no hierarchy
    classes: Classes | None
    seed: int


def measure(subject: Subject, *, say: Callable[[str], None]) -> dict[str, Any]:
    """All measures, as `sae-jax evaluate` writes them."""
    reader, classes = subject.reader, subject.classes
    targets = subject.concepts
    if classes:
        targets = together(targets, classes.as_concepts())
    say("mean and covariance")
    moments = directions.moments(reader, concepts=targets, held_out=held_out_mask(reader))
    made: dict[str, Any] = {
        "n_rows": reader.n_rows,
        "n_held_out": len(reader.held_out_ids),
        "sparsity": _sparsity(subject),
    }
    say("reconstruction")
    made |= _reconstruction(subject, moments)
    say("neighbours")
    made["retrieval"] = _retrieval(subject, moments)
    fitted: dict[str, Probe] = {}
    if classes:
        say(f"probes on {classes.field}")
        made["probes"], fitted = _probes(subject, moments, classes=classes)
    chosen: dict[str, Single] = {}
    if targets.ids:
        f1, chosen = _features(subject, moments, targets=targets, say=say)
        n = len(subject.concepts.ids)
        for name, own in (("concepts", slice(n)), ("classes", slice(n, None))):
            if targets.ids[own]:
                made[name] = {
                    kind: {
                        number: coverage.summarise(values[own], seed=subject.seed)
                        for number, values in by_number.items()
                    }
                    for kind, by_number in f1.items()
                }
    say("robustness")
    made["robustness"] = _robustness(subject, moments, fitted=fitted, chosen=chosen)
    return made


def _sparsity(subject: Subject) -> dict[str, Any]:
    stored, held_out = subject.stored, subject.reader.held_out_ids
    l0 = (stored.values[held_out] > 0).sum(axis=1).astype(np.float64)
    return {
        "l0": mean_with_interval(l0, seed=subject.seed),
        "dead_fraction": float(np.mean(stored.n_on == 0)),
        "density_quantiles": reconstruction.quantiles(stored.density),
        "encoder_decoder_cosine": reconstruction.encoder_alignment(subject.sae),
    }


def _reconstruction(subject: Subject, moments: Moments) -> dict[str, Any]:
    sae = subject.sae

    def measured(
        ways: dict[str, reconstruction.Reconstruct], *, most: int | None = None
    ) -> dict[str, Any]:
        row_ids = subject.reader.held_out_ids
        if most:
            row_ids = row_ids[spread_positions(len(row_ids), most=most)]
        return reconstruction.measure(
            ways, subject.reader, row_ids=row_ids, mean=moments.mean, seed=subject.seed
        )

    def pca(k: int) -> reconstruction.Reconstruct:
        return reconstruction.by_directions(moments.principal[:k], mean=moments.mean)

    made = measured(
        {
            "autoencoder": reconstruction.by_autoencoder(sae),
            "untrained": reconstruction.by_least_squares(subject.untrained),
            f"pca_{sae.k}": pca(sae.k),
            "mean": pca(0),
        }
    )
    by_k = {
        k: measured(
            {
                "autoencoder": reconstruction.by_autoencoder(sae, k=k),
                "untrained": reconstruction.by_least_squares(subject.untrained, k=k),
                "pca": pca(k),
            },
            most=PROGRESSIVE_ROWS,
        )
        for k in reconstruction.kept_latents(sae)
    }
    progressive = {
        name: [found[name].fvu for found in by_k.values()]
        for name in ("autoencoder", "untrained", "pca")
    }
    return {"reconstruction": made, "progressive": {"k": list(by_k)} | progressive}


def _spaces(subject: Subject) -> dict[str, retrieval.Vectors]:
    W_dec, b_dec = np.asarray(subject.sae.W_dec), np.asarray(subject.sae.b_dec)
    return {
        "embeddings": retrieval.embeddings(subject.reader),
        "reconstruction": retrieval.reconstructions(subject.stored, W_dec=W_dec, b_dec=b_dec),
        "codes": retrieval.sparse_codes(subject.stored),
    }


def _principal(subject: Subject, moments: Moments) -> retrieval.Vectors:
    return retrieval.principal(
        subject.reader,
        mean=moments.mean.astype(np.float32),
        directions=moments.principal[: subject.sae.k],
    )


def _retrieval(subject: Subject, moments: Moments) -> dict[str, Any]:
    """Neighbours by reconstruction, by the codes alone, and by as many other numbers."""
    rng, held_out = np.random.default_rng(subject.seed), subject.reader.held_out_ids
    n = min(N_QUERIES, len(held_out))
    found = retrieval.fidelity(
        _spaces(subject)
        | {
            f"pca_{subject.sae.k}": _principal(subject, moments),
            "untrained": retrieval.sparse_codes(subject.untrained_codes),
        },
        truth="embeddings",
        queries=np.sort(rng.choice(held_out, n, replace=False)),
        n_rows=subject.reader.n_rows,
        seed=subject.seed,
    )
    return {"n_queries": n} | found


def _probes(
    subject: Subject, moments: Moments, *, classes: Classes
) -> tuple[dict[str, Any], dict[str, Probe]]:
    reader, n_classes = subject.reader, len(classes.names)
    representations = {
        "embeddings": retrieval.embeddings(reader),
        "codes": retrieval.sparse_codes(subject.stored),
        f"pca_{subject.sae.k}": _principal(subject, moments),
        "untrained": retrieval.sparse_codes(subject.untrained_codes),
    }
    train = reader.train_row_ids(np.arange(reader.n_train))
    fitted = {
        name: probes.fit(own, row_ids=train, of_row=classes.of_row, n_classes=n_classes)
        for name, own in representations.items()
    }
    accuracy = {
        name: probes.accuracy(
            fitted[name],
            own,
            row_ids=reader.held_out_ids,
            of_row=classes.of_row,
            seed=subject.seed,
        )
        for name, own in representations.items()
    }
    known = classes.of_row[reader.held_out_ids]
    return {
        "field": classes.field,
        "n_classes": n_classes,
        "largest_class": float(np.mean(known[known >= 0] == 0)),
        "accuracy": accuracy,
    }, fitted


def _dense(subject: Subject, moments: Moments) -> dict[str, Float[np.ndarray, "n d_in"]]:
    d_in, n_random = subject.reader.d_in, min(subject.sae.n_latents, MOST_RANDOM)
    return {
        "coordinates": np.eye(d_in, dtype=np.float32),
        "pca": moments.principal,
        # As many to choose from as there are latents.
        "random": directions.random(n=n_random, d_in=d_in, seed=subject.seed),
    }


def _features(
    subject: Subject, moments: Moments, *, targets: Concepts, say: Callable[[str], None]
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Single]]:
    """Held-out F1 of each target by kind and number of features; the single ones chosen."""
    held_out = held_out_mask(subject.reader)
    scores = scorers.scores_in(subject.reader)
    f1: dict[str, dict[str, np.ndarray]] = {}
    singles = {}

    def judge(name: str, kind: scorers.Features, found: list[list[Weighted]]) -> None:
        f1[name] = {}
        for number, wanted in zip(FEATURES, found, strict=True):
            judged = coverage.judge(kind.summed(wanted), concepts=targets, held_out=held_out)
            f1[name][str(number)] = judged.f1
            if number == 1:
                singles[name] = Single(wanted, judged.threshold)

    for name, stored in (("latents", subject.stored), ("untrained", subject.untrained_codes)):
        say(f"{len(targets.ids):,} concepts and classes by {name}")
        latents = scorers.StoredLatents(stored)
        judge(
            name,
            latents,
            combinations.among_latents(
                latents, concepts=targets, held_out=held_out, sizes=FEATURES
            ),
        )
    for name, own in _dense(subject, moments).items():
        say(f"{len(targets.ids):,} concepts and classes by {name}")
        dense = scorers.Directions(scores, own)
        found = combinations.among_directions(dense, moments=moments, sizes=FEATURES)
        judge(name, dense, found)
    say("the same by a direction fitted to each")
    fitted = scorers.along(scores, directions.supervised(moments))
    judged = coverage.judge(fitted, concepts=targets, held_out=held_out)
    return f1 | {"supervised": {"all": judged.f1}}, singles


def _robustness(
    subject: Subject,
    moments: Moments,
    *,
    fitted: Mapping[str, Probe],
    chosen: Mapping[str, Single],
) -> dict[str, Any]:
    curves = Curves(subject.sae, subject.reader, mean=moments.mean, seed=subject.seed)
    made: dict[str, Any] = {
        "corruptions": CORRUPTIONS,
        "fvu": curves.reconstruction(),
        "latents_kept": {"latents": curves.latents_kept()},
        "recall": curves.recall(_spaces(subject)),
    }
    if subject.classes:
        made["accuracy"] = curves.accuracy(fitted, of_row=subject.classes.of_row)
    n = len(subject.concepts.ids)
    if n:
        own = {
            name: Single(one.feature[:n], one.threshold[:n])
            for name, one in chosen.items()
            if name != "untrained"
        }
        made["concepts"] = curves.concepts(
            own, directions=_dense(subject, moments), concepts=subject.concepts
        )
    return made
