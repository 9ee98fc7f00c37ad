"""The sections of a report on what analysis has found in a run: tables, figures and notes."""

import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from sae_jax.analysis import (
    family_figures,
    family_tables,
    label_figures,
    label_tables,
    matching_figures,
    matching_tables,
    quality_figures,
    quality_headline,
)
from sae_jax.analysis.quality_figures import DENSE
from sae_jax.analysis.tables import Table, with_null
from sae_jax.sweep import analysis_numbers, page
from sae_jax.sweep.analyses import ALL, DAMAGED, SECTIONS, Analysis, read_analyses

METHODS = {"ours": "Families by co-occurrence", "paper": "Families as in arXiv 2408.00657"}


class Shown(NamedTuple):
    """A figure, and where it belongs."""

    section: str
    name: str  # of its file
    title: str
    note: str
    figure: Figure


def read(run: pathlib.Path) -> list[Analysis]:
    """Of every corpus; a file that no table, CSV or JSON can be made of is left out."""
    return read_analyses(run, show=_show)


def _show(found: Analysis) -> None:
    as_html(found, [], svgs={})
    analysis_numbers.as_json(found)
    analysis_numbers.as_csv(found)


def figures(found: Analysis) -> list[Shown]:
    """All that this analysis has numbers for; where one fails, that is noted."""
    shown: list[Shown] = []
    for section, draw in _FIGURES.items():
        try:
            shown.extend(draw(found))
        except DAMAGED as error:
            why = f"{type(error).__name__}: {error}"
            found.note(section, f"Not all figures could be drawn: a file is damaged ({why}).")
    return shown


def _quality_figures(found: Analysis) -> Iterator[Shown]:
    made = found.quality
    if made is None:
        return
    yield Shown(
        "Quality", "progressive", "With more or fewer latents than in training",
        "The untrained autoencoder's code is scaled by least squares. Bands: 95 % intervals.",
        quality_figures.draw_progressive(made),
    )  # fmt: skip
    coverage = quality_figures.draw_coverage(made)
    if coverage:
        yield Shown(
            "Quality", "coverage", "How many concepts and classes features stand for",
            "For each the best features, chosen on training rows, by F1 on held-out rows. "
            "supervised: a direction fitted to each with its labels, the same in every panel.",
            coverage,
        )  # fmt: skip
    yield Shown(
        "Quality", "robustness", "With noise, and without some coordinates",
        "Held-out rows are corrupted; what they are compared with, and all that was fitted, is "
        "clean. Bands are 95 % intervals.",
        quality_figures.draw_robustness(made),
    )  # fmt: skip


def _density_figures(found: Analysis) -> Iterator[Shown]:
    if found.stored is not None:
        yield Shown(
            "Density", "density-of-codes", "On what share of the rows each latent is on",
            "Latents that are never on are in no bar.",
            quality_figures.draw_density(found.stored.density),
        )  # fmt: skip


def _label_figures(found: Analysis) -> Iterator[Shown]:
    for name, records in (("labels", found.labels), ("llm-labels", found.llm_labels)):
        if any(record["state"] == "ok" for record in records):
            by = "a language model" if name == "llm-labels" else "keywords"
            yield Shown(
                "Labels", name, f"How well labels by {by} hold",
                "easy: strongest rows against random ones; hard: rows of all strengths against "
                "near misses." if name == "labels" else "",
                label_figures.draw_scores(records),
            )  # fmt: skip


def _family_figures(found: Analysis) -> Iterator[Shown]:
    for method, made in found.families.items():
        if not made["families"]:
            continue
        if found.stored is not None:
            yield Shown(
                "Families", f"overlap-{method}", f"{METHODS[method]}: which are on together",
                "The largest families, outlined; of each its parent and the children most "
                f"often on, at most {family_figures.LATENTS_PER_BLOCK} latents; "
                "(+n): n more. Each latent stands in the first of its families. White: never "
                "together.",
                family_figures.draw_matrix(made, found.stored, names=found.names),
            )  # fmt: skip
        yield Shown(
            "Families", f"trees-{method}", f"{METHODS[method]}: the largest, as trees",
            "Latents with most below them come first; (+n): so many children more. A latent "
            "with two parents stands below each.",
            family_figures.draw_trees(made, names=found.names),
        )  # fmt: skip


def _matching_figures(found: Analysis) -> Iterator[Shown]:
    for name, made in found.matching.items():
        others = ", ".join(pair["run"] for pair in made["pairs"])
        yield Shown(
            "Matching", f"similarities-{name}", f"How like the nearest latents are: {others}",
            "Dashed: the median.", matching_figures.draw_similarities(made),
        )  # fmt: skip
        if made["splitting"] and made["splitting"]["trees"]:
            yield Shown(
                "Matching", f"splitting-{name}", f"Some latents that split: {others}",
                "Drawn at random. The thicker a line, the more alike the two.",
                matching_figures.draw_trees(made),
            )  # fmt: skip


_FIGURES = {
    "Quality": _quality_figures,
    "Density": _density_figures,
    "Labels": _label_figures,
    "Families": _family_figures,
    "Matching": _matching_figures,
}


def as_html(found: Analysis, shown: Sequence[Shown], *, svgs: Mapping[str, str]) -> str:
    """A part of the page; the figures come as SVG elements too, by name."""
    parts = [page.small(text) for text in found.notes.get(ALL, ())]
    for section in SECTIONS:
        own = [*_TABLES[section](found)]
        own += [
            page.figure(one.title, svgs[one.name], note=one.note, level=4)
            for one in shown
            if one.section == section
        ]
        notes = [page.small(text) for text in found.notes.get(section, ())]
        parts += [f"<h3>{section}</h3>", *own, *notes]
    return "\n".join(parts)


def _quality(found: Analysis) -> Iterator[str]:
    made = found.quality
    if made is None:
        return
    yield quality_headline.headline(made).as_html()
    yield page.small(
        f"Of {made['n_held_out']:,} held-out rows of {made['n_rows']:,}, with 95 % intervals. "
        "fvu: share of the variance that the reconstruction misses. recall, nDCG: of a row's "
        "ten nearest neighbours by its embedding; codes are compared as sparse vectors. "
        "untrained: the same autoencoder before training. PCA: as many numbers as latents are "
        "on."
    )
    yield quality_headline.sparsity(made).as_html()
    for targets in ("concepts", "classes"):
        if targets in made:
            (first, *_) = made[targets]["latents"].values()
            yield page.subtitle(f"Held-out F1 of {first['n_concepts']:,} {targets}")
            yield quality_headline.features(made, targets=targets).as_html()


def _density(found: Analysis) -> Iterator[str]:
    if found.stored is not None:
        own = analysis_numbers.density(found.stored)
        rows = [[f"quantile {q}", f"{value:.5f}"] for q, value in own["quantiles"].items()]
        rows += [
            ["never on", f"{own['n_never_on']:,} latents"],
            [f"on for over {DENSE:g}", f"{own['n_dense']:,} latents"],
        ]
        yield Table(["density over all rows", ""], rows).as_html()


def _labels(found: Analysis) -> Iterator[str]:
    for by, records in (
        ("keywords", found.labels), ("a language model", found.llm_labels),
    ):  # fmt: skip
        if records:
            summary = label_tables.summarise(records)
            yield page.subtitle(f"By {by}")
            yield page.paragraph(f"{label_tables.states(summary)}.")
            if models := label_tables.models(records):
                yield page.paragraph(f"Named by {models}.")
            if summary.scores:
                yield label_tables.scores(summary).as_html()
                yield label_tables.examples(records).as_html()
                yield page.small(
                    "Drawn at random. Scores are of rows that did not name the latent; means "
                    "with 95 % intervals over latents."
                )


def _families(found: Analysis) -> Iterator[str]:
    for method, made in found.families.items():
        yield page.subtitle(METHODS[method])
        yield page.paragraph(family_tables.summary(made))
        yield family_tables.metrics(made).as_html()
        agreement = family_tables.agreement(made)
        if agreement:
            yield agreement.as_html()
            yield page.small(
                "An edge is right where the concept of the parent is above that of the child; "
                "null: latents that have traded concepts. k-means, agglomerative: edges from "
                "clusters of decoder rows."
            )
        if made["families"]:
            yield family_tables.largest(made, names=found.names).as_html()
    if found.families and found.stored is None:
        encode = found.command("encode {run}{shards}")
        yield page.small(
            f"No matrix of which latents are on together: {encode} makes the codes."
        )


def _matching(found: Analysis) -> Iterator[str]:
    for made in found.matching.values():
        others = ", ".join(pair["run"] for pair in made["pairs"])
        yield page.subtitle(f"{made['run']} with {others}")
        for table in (
            matching_tables.similarities(made),
            matching_tables.universality(made),
            matching_tables.splitting(made),
        ):
            if table:
                yield table.as_html()
        yield page.small(
            "median: of the similarity to the nearest latent, and what chance gives; mutual: "
            "share of latents with a mutual match from there on. 95 % intervals; in brackets, "
            "what chance gives. by decoder: cosine of "
            "decoder rows; by activation: correlation over rows. A match is mutual where each "
            "of the two latents is the other's nearest."
        )
        for other, share in matching_tables.begun_alike(made).items():
            yield page.small(
                f"Of the matches with {other} {100 * share:.0f} % have one number in both "
                "runs: of one seed, the two began with the same directions. Another seed "
                "shows how much of the likeness comes of that."
            )
        splitting = made["splitting"] or {"sizes": [], "consistency": None}
        if splitting["sizes"] and splitting["sizes"][0] == splitting["sizes"][-1]:
            yield page.small(
                "Both are of one size: this is what training anew does without growing."
            )
        consistency = splitting["consistency"]
        if consistency:
            yield page.small(
                f"{with_null(consistency)} % of the largest run's latents have the same "
                "ancestor by steps and directly."
            )


_TABLES = {
    "Quality": _quality,
    "Density": _density,
    "Labels": _labels,
    "Families": _families,
    "Matching": _matching,
}
