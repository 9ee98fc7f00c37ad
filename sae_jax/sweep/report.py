"""The report of a folder of runs: a page, its figures, and all numbers as JSON and CSV."""

import csv
import dataclasses
import io
import json
import math
import pathlib
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

import sae_jax
from sae_jax.analysis.drawing import as_png, as_svg
from sae_jax.data.manifest import write_atomically
from sae_jax.data.numbers import to_json
from sae_jax.sweep import analysis_numbers, figures, laws, page, results, sections
from sae_jax.sweep.analyses import Analysis, written
from sae_jax.sweep.laws import Corpus
from sae_jax.sweep.results import Finished, Result
from sae_jax.train import run_folder

FORMAT = 1
NUMBERS = "report.json"


@dataclasses.dataclass(frozen=True)
class Report:
    """All that is said of a folder of runs."""

    results: list[Result]
    corpora: list[Corpus]
    analyses: dict[str, list[Analysis]]  # by name of the run; of each corpus it has files of
    newest_ns: int  # when the newest of the files changed, of those there before it was read


def read(folder: pathlib.Path) -> Report:
    """From the run folders alone, whoever trained them, finished or not.

    Raises:
        UsageError: the folder is neither a sweep's nor a run's.
    """
    newest_ns = _newest_ns(folder)  # first: what changes meanwhile is newer than this report
    found = results.read_results(folder)
    return Report(
        found,
        laws.corpora(results.finished(found), results=found),
        {one.name: sections.read(one.folder) for one in found if one.config},
        newest_ns,
    )


def write(report: Report, *, title: str, out: pathlib.Path) -> list[pathlib.Path]:
    """Writes index.html, report.json, members.csv and each figure as SVG and PNG.

    What analysis has found is in folders by corpus, of a sweep by member and corpus. Files of
    the last report that are not of this one are removed.
    """
    drawn = [figures.draw(one, results=report.results) for one in report.corpora]
    svgs = [{name: as_svg(figure) for name, figure in one.items()} for one in drawn]
    files: dict[str, bytes] = {}
    for place, pictures in enumerate(drawn):
        for name, figure in pictures.items():
            stem = name if len(drawn) == 1 else f"{name}-{place + 1}"
            files |= _picture(stem, figure, svg=svgs[place][name])
    parts = []
    for name, analyses in report.analyses.items():
        for found in analyses:
            alone = len(report.results) == 1
            folder = found.corpus if alone else f"{name}/{found.corpus}"
            heading = f"Analysis on {found.corpus}" if alone else f"{name} on {found.corpus}"
            part, own = _analysis(found)
            parts.append((heading, part))
            files |= {f"{folder}/{file}": content for file, content in own.items()}
    if not parts and len(report.results) == 1 and report.results[0].summary:
        parts = [("Analysis", page.small(_nothing_yet(report.results[0].folder)))]
    files |= {
        "index.html": page.render(
            title,
            results=report.results,
            corpora=list(zip(report.corpora, svgs, strict=True)),
            analyses=parts,
            made_by=f"By sae_jax {sae_jax.__version__}.",
        ).encode(),
        "members.csv": as_csv([one for c in report.corpora for one in c.members]).encode(),
    }
    names = sorted([*files, NUMBERS])
    # The numbers last: with them the report is whole, and only they name what to remove.
    files[NUMBERS] = to_json(as_json(report) | {"files": names}, indent=1).encode()
    for name in set(_last(out).get("files", ())).difference(names):
        if (out / name).resolve().is_relative_to(out.resolve()):
            (out / name).unlink(missing_ok=True)
    for file, content in files.items():
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out / file, content)
    return [out / "index.html", *(out / file for file in files if file != "index.html")]


def _nothing_yet(run: pathlib.Path) -> str:
    return (
        f"None yet: `sae-jax encode {run}` comes first, then `sae-jax evaluate`, `label`, "
        "`families` and `match`."
    )


def _analysis(found: Analysis) -> tuple[str, dict[str, bytes]]:
    """A part of the page, and the files that go with it."""
    shown = sections.figures(found)
    svgs = {one.name: as_svg(one.figure) for one in shown}
    files = {name: text.encode() for name, text in analysis_numbers.as_csv(found).items()}
    for one in shown:
        files |= _picture(one.name, one.figure, svg=svgs[one.name])
    return sections.as_html(found, shown, svgs=svgs), files


def _picture(stem: str, figure: Figure, *, svg: str) -> dict[str, bytes]:
    return {f"{stem}.svg": svg.encode(), f"{stem}.png": as_png(figure)}


def as_json(report: Report) -> dict[str, Any]:
    """Every number of the page; what is not finite is null."""
    numbers = {one.name: one._asdict() for c in report.corpora for one in c.members}
    return {
        "format": FORMAT,
        "newest_ns": report.newest_ns,
        "members": [
            {
                "name": result.name,
                "state": result.state,
                "error": result.error,
                "numbers": numbers.get(result.name),
                "curves": result.curves,
                "analysis": {
                    found.corpus: analysis_numbers.as_json(found)
                    for found in report.analyses.get(result.name, ())
                },
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
    """Whether nothing has ended or been analysed in the folder since its report was written."""
    return int(_last(out).get("newest_ns", -1)) >= _newest_ns(folder)


def _last(out: pathlib.Path) -> dict[str, Any]:
    """The numbers of the report that is there; none where it cannot be read."""
    try:
        found = json.loads((out / NUMBERS).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _newest_ns(folder: pathlib.Path) -> int:
    """When a run of it last ended or was analysed; 0 before the first."""
    changed = [*folder.glob("*/summary.json"), *folder.glob(f"*/{run_folder.FAILURE}")]
    for config in folder.glob("*/config.json"):
        changed += written(config.parent)
    return max((path.stat().st_mtime_ns for path in changed), default=0)


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
        if result.state != "finished" or result.error
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
    for name, analyses in report.analyses.items():
        for found in analyses:
            own = ", ".join(analysis_numbers.found_in(found)) or "nothing that can be shown"
            lines.append(f"  {name} on {found.corpus}: {own}")
    return "\n".join(lines)
