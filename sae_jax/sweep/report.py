"""The report of a folder of runs: a page, its figures, and all numbers as JSON and CSV."""

import csv
import dataclasses
import io
import math
import pathlib
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

import sae_jax
from sae_jax.data.manifest import write_atomically
from sae_jax.data.numbers import to_json
from sae_jax.sweep import figures, laws, page, results
from sae_jax.sweep.laws import Corpus
from sae_jax.sweep.results import Finished, Result
from sae_jax.train import run_folder

FORMAT = 1
PIXELS_PER_INCH = 160


@dataclasses.dataclass(frozen=True)
class Report:
    """All that is said of a folder of runs."""

    results: list[Result]
    corpora: list[Corpus]


def read(folder: pathlib.Path) -> Report:
    """From the run folders alone, whoever trained them, finished or not.

    Raises:
        UsageError: the folder is neither a sweep's nor a run's.
    """
    found = results.read_results(folder)
    return Report(found, laws.corpora(results.finished(found), results=found))


def write(report: Report, *, title: str, out: pathlib.Path) -> list[pathlib.Path]:
    """Writes index.html, report.json, members.csv and each figure as SVG and PNG."""
    out.mkdir(parents=True, exist_ok=True)
    drawn = [figures.draw(one, results=report.results) for one in report.corpora]
    svgs = [{name: page.as_svg(figure) for name, figure in one.items()} for one in drawn]
    files = {
        "index.html": page.render(
            title,
            results=report.results,
            corpora=list(zip(report.corpora, svgs, strict=True)),
            made_by=f"By sae_jax {sae_jax.__version__}.",
        ).encode(),
        "report.json": to_json(as_json(report), indent=1).encode(),
        "members.csv": as_csv([one for c in report.corpora for one in c.members]).encode(),
    }
    for place, pictures in enumerate(drawn):
        for name, figure in pictures.items():
            stem = name if len(drawn) == 1 else f"{name}-{place + 1}"
            files[f"{stem}.svg"] = svgs[place][name].encode()
            files[f"{stem}.png"] = _as_png(figure)
    # The numbers last: where they are newer than every run's end, the report is whole.
    for name in sorted(files, key=lambda name: name == "report.json"):
        write_atomically(out / name, files[name])
    return [out / name for name in files]


def _as_png(figure: Figure) -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=PIXELS_PER_INCH)
    return picture.getvalue()


def as_json(report: Report) -> dict[str, Any]:
    """Every number of the page; what is not finite is null."""
    numbers = {one.name: one._asdict() for c in report.corpora for one in c.members}
    return {
        "format": FORMAT,
        "members": [
            {
                "name": result.name,
                "state": result.state,
                "error": result.error,
                "numbers": numbers.get(result.name),
                "curves": result.curves,
            }
            for result in report.results
        ],
        "corpora": [
            {
                "name": corpus.name,
                "power_laws": [
                    {"k": law.k, "held_out": _fields(law.held_out), "train": _fields(law.train)}
                    for law in corpus.by_k
                ],
                "joint_law": _fields(corpus.joint),
                "seeds": [one._asdict() for one in corpus.seeds],
                "frontier": [point._asdict() for point in corpus.frontier],
            }
            for corpus in report.corpora
        ],
    }


def _fields(law: Any) -> dict[str, Any] | None:
    return law._asdict() if law else None


def is_current(folder: pathlib.Path, *, out: pathlib.Path) -> bool:
    """Whether nothing has ended in the folder since its report was written."""
    made = out / "report.json"
    ended = [*folder.glob("*/summary.json"), *folder.glob(f"*/{run_folder.FAILURE}")]
    since = [path.stat().st_mtime_ns for path in ended]
    return made.exists() and made.stat().st_mtime_ns >= max(since, default=0)


def as_csv(members: Sequence[Finished]) -> str:
    """A line for each finished member."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Finished._fields)
    writer.writerows(members)
    return text.getvalue()


def describe(report: Report) -> str:
    """Laws and what has no result, as a person reads them in a terminal."""
    states = [result.state for result in report.results]
    lines = [f"{states.count('finished')} of {len(states)} runs finished"]
    lines += [
        f"  {result.name:<40} {result.state.upper()} {result.error}".rstrip()
        for result in report.results
        if result.state != "finished"
    ]
    for corpus in report.corpora:
        lines.append(f"{corpus.name}: {len(corpus.members)} runs")
        for law in corpus.by_k:
            if law.held_out:
                alpha, low, high = law.held_out[1:4]
                known = f" (95 %: {low:.3f} to {high:.3f})" if math.isfinite(low) else ""
                lines.append(
                    f"  k {law.k:<4} held-out fvu falls with n_latents: α = {alpha:.3f}{known}"
                )
    return "\n".join(lines)
