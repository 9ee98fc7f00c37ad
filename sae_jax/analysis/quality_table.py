"""What `sae-jax evaluate` has measured, as one table and as text."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One number with its 95 % interval, where it has one."""

    measure: str  # such as "recall@10"
    of: str  # "autoencoder", or the baseline
    at: str  # number of features, k, or level of a corruption; empty: no such thing
    value: float | None
    low: float | None
    high: float | None


def rows(made: Mapping[str, Any]) -> list[Row]:
    """Every number of a quality file."""
    return list(_rows(made))


def _rows(made: Mapping[str, Any]) -> Iterator[Row]:
    for name, one in made["reconstruction"].items():
        yield _row("fvu", name, one["fvu"])
        yield _row("cosine", name, one["cosine"])
    sparsity = made["sparsity"]
    yield _row("l0", "autoencoder", sparsity["l0"])
    yield Row("dead_fraction", "autoencoder", "", sparsity["dead_fraction"], None, None)
    alignment = sparsity["encoder_decoder_cosine"]
    yield Row("encoder_decoder_cosine", "autoencoder", "mean", alignment["mean"], None, None)
    for measure, found in (
        ("density", sparsity["density_quantiles"]),
        ("encoder_decoder_cosine", alignment["quantiles"]),
    ):
        for q, value in found.items():
            yield Row(measure, "autoencoder", f"quantile {q}", value, None, None)
    for name, one in made["retrieval"].items():
        if isinstance(one, dict):
            yield _row("recall@10", name, one["recall"])
            yield _row("ndcg@10", name, one["ndcg"])
    for name, one in made.get("probes", {}).get("accuracy", {}).items():
        yield _row("probe_accuracy", name, one)
    for targets in ("concepts", "classes"):
        for kind, by_number in made.get(targets, {}).items():
            for number, one in by_number.items():
                yield _row(f"{targets}_f1", kind, one["f1"], at=number)
    progressive = dict(made["progressive"])
    for name, own in progressive.items():
        if name != "k":
            for k, one in zip(progressive["k"], own, strict=True):
                yield _row("progressive_fvu", name, one, at=f"k {k}")
    robustness = dict(made["robustness"])
    levels = [f"{one['kind']} {one['level']:g}" for one in robustness.pop("corruptions")]
    for measure, by_name in robustness.items():
        for name, own in by_name.items():
            for level, one in zip(levels, own, strict=True):
                yield _row(f"robust_{measure}", name, one, at=level)


def _row(measure: str, of: str, one: Mapping[str, float], *, at: str = "") -> Row:
    return Row(measure, of, at, one["value"], one["low"], one["high"])


def to_csv(made: Mapping[str, Any]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(rows(made))
    return text.getvalue()


def describe(made: Mapping[str, Any]) -> str:
    """The measures as a person reads them."""
    sparsity = made["sparsity"]
    density = sparsity["density_quantiles"]
    lines = [f"Reconstruction of {made['n_held_out']:,} held-out rows: fvu, cosine"]
    for name, one in made["reconstruction"].items():
        lines.append(f"  {name:<15} {_shown(one['fvu'])}   {_number(one['cosine']['value'])}")
    lines += [
        f"L0 {sparsity['l0']['value']:.1f}; {100 * sparsity['dead_fraction']:.2f} % of latents "
        f"dead; density {density['0.05']:.2g} … {density['0.5']:.2g} … {density['0.95']:.2g} "
        "(5 %, median, 95 %)",
        "Cosine of a latent's encoder and decoder: "
        f"{sparsity['encoder_decoder_cosine']['mean']:.3f}",
        "fvu with fewer or more latents than in training",
    ]
    progressive = made["progressive"]
    lines.append("  k              " + "".join(f"{k:>7}" for k in progressive["k"]))
    for name, own in progressive.items():
        if name != "k":
            lines.append(
                f"  {name:<15}" + "".join(f"{_number(one['value']):>7}" for one in own)
            )
    retrieval = made["retrieval"]
    lines.append(f"Neighbours of {retrieval['n_queries']:,} held-out rows: recall, nDCG at 10")
    for name, one in retrieval.items():
        if isinstance(one, dict):
            lines.append(
                f"  {name:<15} {_shown(one['recall'])}   {_number(one['ndcg']['value'])}"
            )
    if "probes" in made:
        probes = made["probes"]
        lines.append(
            f"Linear probes on {probes['field']}, {probes['n_classes']} classes: accuracy "
            f"(the largest class alone: {probes['largest_class']:.3f})"
        )
        lines += [f"  {name:<15} {_shown(one)}" for name, one in probes["accuracy"].items()]
    for targets in ("classes", "concepts"):
        if targets in made:
            lines += _features(made[targets], targets=targets)
    return "\n".join(lines + _robustness(made["robustness"]))


def _features(found: Mapping[str, Any], *, targets: str) -> list[str]:
    numbers = list(found["latents"])
    n = found["latents"][numbers[0]]["n_concepts"]
    lines = [
        f"Held-out F1 of {n:,} {targets} by the best {', '.join(numbers)} features; share of "
        "them with .5 or more by one"
    ]
    for kind, by_number in found.items():
        values = "   ".join(_shown(one["f1"]) for one in by_number.values())
        (first, *_) = by_number.values()
        lines.append(f"  {kind:<15} {values}   {100 * first['covered']['0.5']:.1f} %")
    return lines


def _robustness(found: Mapping[str, Any]) -> list[str]:
    levels = found["corruptions"]
    head = "".join(f"{one['level']:>7.2g}" for one in levels)
    n_noise = sum(one["kind"] == "noise" for one in levels)
    lines = [
        f"With noise (share of the rows' spread; {n_noise} columns), then with coordinates "
        "dropped (share)",
        f"  {'':<25} {head}",
    ]
    for measure, by_name in found.items():
        if measure != "corruptions":
            for name, own in by_name.items():
                values = "".join(f"{_number(one['value']):>7}" for one in own)
                lines.append(f"  {measure + ', ' + name:<25} {values}")
    return lines


def _shown(one: Mapping[str, float | None]) -> str:
    ends = (
        f" ({_number(one['low'])} to {_number(one['high'])})" if one["low"] is not None else ""
    )
    return _number(one["value"]) + ends


def _number(value: float | None) -> str:
    """Of three places; – for one that is not known."""
    return "–" if value is None else f"{value:.3f}"
