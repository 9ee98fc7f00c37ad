"""What analysis has written into a run folder, corpus by corpus: files alone, no model.

A file of other weights or rows than the codes is left out, and it is said so.
"""

import dataclasses
import json
import pathlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sae_jax.analysis import codes, family_report, matching_report
from sae_jax.analysis.codes import FINGERPRINTS, StoredCodes
from sae_jax.analysis.label_names import names_of
from sae_jax.errors import ShardError
from sae_jax.train import run_folder

Json = Mapping[str, Any]
METHODS = ("ours", "paper")  # of families
SECTIONS = ("Quality", "Density", "Labels", "Families", "Matching")
ALL = "All"  # what is noted of every section
# What comes of a file that is JSON, but not what its command writes.
DAMAGED = (AttributeError, LookupError, TypeError, ValueError)


class Kind(NamedTuple):
    """A file of analysis."""

    section: str
    path: str
    command: str  # that writes it
    format: int | None = None  # None: its lines say none


KINDS = {
    "quality": Kind("Quality", "quality/{corpus}.json", "evaluate {run}{shards}", 2),
    "labels": Kind("Labels", "features/{corpus}/labels.jsonl", "label {run}{shards}"),
    "llm_labels": Kind(
        "Labels",
        "features/{corpus}/llm-labels.jsonl",
        "label {run}{shards} --method=llm --model=MODEL",
    ),
    "ours": Kind(
        "Families",
        "families/{corpus}-ours.json",
        "families {run}{shards}",
        family_report.FORMAT,
    ),
    "paper": Kind(
        "Families",
        "families/{corpus}-paper.json",
        "families {run}{shards} --method=paper",
        family_report.FORMAT,
    ),
    "matching": Kind(
        "Matching",
        "matching/{corpus}/*.json",
        "match {run} OTHER_RUN{shards}",
        matching_report.FORMAT,
    ),
}
CODES = "codes/{corpus}/manifest.json"


@dataclasses.dataclass(kw_only=True)
class Analysis:
    """Of one corpus. What is empty or None is absent or left out; `notes` say why."""

    run: pathlib.Path
    corpus: str  # the name of its folders
    shards: str  # what a command about it takes beside the run
    stored: StoredCodes | None = None
    quality: Json | None = None
    labels: list[Json] = dataclasses.field(default_factory=list)
    llm_labels: list[Json] = dataclasses.field(default_factory=list)
    families: dict[str, Json] = dataclasses.field(default_factory=dict)  # by method
    matching: dict[str, Json] = dataclasses.field(default_factory=dict)  # by name of the file
    notes: dict[str, list[str]] = dataclasses.field(default_factory=dict)  # by section

    @property
    def names(self) -> dict[int, str]:
        """The label of each latent that has one; a language model's, where it gave one."""
        return names_of([*self.labels, *self.llm_labels])

    def note(self, section: str, text: str) -> None:
        self.notes.setdefault(section, []).append(text)

    def command(self, text: str) -> str:
        return f"`sae-jax {text.format(run=self.run, shards=self.shards)}`"


def written(run: pathlib.Path) -> list[pathlib.Path]:
    """The files of analysis that are there."""
    patterns = [*(kind.path for kind in KINDS.values()), CODES]
    found = (run.glob(pattern.format(corpus="*")) for pattern in patterns)
    return sorted({path for paths in found for path in paths})


def read_analyses(run: pathlib.Path, *, show: Callable[[Analysis], object]) -> list[Analysis]:
    """Of every corpus that there is a file of; each file is left out that `show` fails with."""
    corpora = sorted({_corpus_of(path) for path in written(run)})
    return [_read(run, corpus, show=show) for corpus in corpora]


def _corpus_of(path: pathlib.Path) -> str:
    if path.parent.name == "families":
        return path.stem.rpartition("-")[0]
    return path.stem if path.parent.name == "quality" else path.parent.name


def _read(run: pathlib.Path, corpus: str, *, show: Callable[[Analysis], object]) -> Analysis:
    manifest = _manifest(run / "codes" / corpus)
    found = Analysis(run=run, corpus=corpus, shards=_shards(run, corpus, manifest))
    _open_codes(found)
    _compare_steps(found, manifest)
    read = [
        (kind, path, records)
        for kind, path in _paths(found)
        if (records := _records(kind, path, found)) is not None
    ]
    wanted = (
        manifest.fingerprints if manifest else _most_have([records for _, _, records in read])
    )
    for kind, path, records in read:
        if any(_stale(one, wanted) for one in records):
            others = "the codes" if manifest else "most files here"
            _leave_out(found, kind, path, why=f"is of other weights or rows than {others}")
            continue
        alone = Analysis(run=run, corpus=corpus, shards=found.shards)
        _keep(alone, kind, path, records=records)
        try:
            show(alone)
        except DAMAGED as error:
            why = f"cannot be shown ({type(error).__name__}: {error})"
            _leave_out(found, kind, path, why=why)
        else:
            _keep(found, kind, path, records=records)
    return found


def _manifest(folder: pathlib.Path) -> codes.Manifest | None:
    """None where there is none that can be read."""
    try:
        return codes.read_manifest(folder)
    except ShardError:
        return None


def _shards(run: pathlib.Path, corpus: str, manifest: codes.Manifest | None) -> str:
    """Nothing, where it is the corpus that the run was trained on."""
    own = pathlib.Path(run_folder.read_config(run).shards).absolute()
    if manifest is None:
        name = corpus.rpartition("-")[0]
        return "" if name == own.name else f" --shards=…/{name}"
    other = pathlib.Path(manifest.shards)
    return "" if other.absolute() == own else f" --shards={other}"


def _compare_steps(found: Analysis, manifest: codes.Manifest | None) -> None:
    """Said where the run has been trained on since: what is here is not of its weights now."""
    steps = run_folder.steps(found.run)
    if manifest and steps and manifest.step != steps[-1]:
        encode = found.command("encode {run}{shards}")
        found.note(
            ALL,
            f"The codes are of step {manifest.step}, and so is what was made of them; the run "
            f"is at step {steps[-1]}. {encode} makes them anew.",
        )


def _open_codes(found: Analysis) -> None:
    folder = found.run / "codes" / found.corpus
    try:
        found.stored = codes.open_codes(folder)
    except ShardError as error:
        encode = found.command("encode {run}{shards}")
        why = f"No codes, or not all of them: {encode} makes them."
        damaged = (folder / codes.MANIFEST).exists()
        found.note("Density", f"{error} That is: {encode}." if damaged else why)


def _paths(found: Analysis) -> Iterable[tuple[str, pathlib.Path]]:
    """Each file that is there; what is not is said."""
    for kind, one in KINDS.items():
        paths = sorted(found.run.glob(one.path.format(corpus=_literally(found.corpus))))
        yield from ((kind, path) for path in paths)
        if not paths:
            name = one.path.format(corpus=found.corpus)
            found.note(one.section, f"{name} is absent; {found.command(one.command)} makes it.")


def _literally(name: str) -> str:
    """For a pattern of files: a name may have brackets in it."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _records(kind: str, path: pathlib.Path, found: Analysis) -> list[Json] | None:
    """None where it cannot be read, or is of another format; that is said."""
    try:
        text = path.read_text()
        records = [json.loads(one) for one in (text.splitlines() if _by_line(path) else [text])]
    except ValueError as error:
        _leave_out(found, kind, path, why=f"cannot be read ({error})")
        return None
    if not records:
        _leave_out(found, kind, path, why="is empty")
        return None
    wanted = KINDS[kind].format
    for one in records:
        if not isinstance(one, dict):
            why = f"holds {json.dumps(one)[:20]}; expected a JSON object"
            _leave_out(found, kind, path, why=why)
            return None
        if wanted is not None and one.get("format") != wanted:
            why = f"has format {one.get('format')}; expected {wanted}"
            _leave_out(found, kind, path, why=why)
            return None
    return records


def _by_line(path: pathlib.Path) -> bool:
    return path.suffix == ".jsonl"


def _leave_out(found: Analysis, kind: str, path: pathlib.Path, *, why: str) -> None:
    name = path.relative_to(found.run)
    again = found.command(KINDS[kind].command)
    found.note(KINDS[kind].section, f"{name} is left out: it {why}. {again} makes it anew.")


def _most_have(files: Sequence[Sequence[Json]]) -> dict[str, str]:
    """Where no codes say which weights and rows they are of: what most files say."""
    counts = {
        name: Counter(one[0][name] for one in files if one and name in one[0])
        for name in FINGERPRINTS
    }
    return {name: own.most_common(1)[0][0] for name, own in counts.items() if own}


def _stale(record: Json, wanted: Mapping[str, str]) -> bool:
    return any(record.get(name, own) != own for name, own in wanted.items())


def _keep(found: Analysis, kind: str, path: pathlib.Path, *, records: Sequence[Json]) -> None:
    if kind == "quality":
        found.quality = records[0]
    elif kind in METHODS:
        found.families[kind] = records[0]
    elif kind == "matching":
        found.matching[path.stem] = records[0]
    elif kind == "labels":
        found.labels = list(records)
    else:
        found.llm_labels = list(records)
