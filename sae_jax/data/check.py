"""Reads a whole folder and says what is wrong with it, and what a trainer should know."""

import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np

from sae_jax.data import dtypes, plain, records, shards
from sae_jax.data import manifest as manifests
from sae_jax.data.manifest import FileEntry, Manifest, ShardEntry
from sae_jax.data.mapped import Layout, MappedRows
from sae_jax.data.row_statistics import Statistics
from sae_jax.errors import ShardError

ROWS_PER_BLOCK = 8_192
MAX_LISTED = 20


@dataclasses.dataclass
class Report:
    """What a check found. Without problems the folder is what its manifest says."""

    folder: pathlib.Path
    summary: list[str] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)

    def lines(self) -> list[str]:
        found = [f"{self.folder}:", *(f"  {line}" for line in self.summary)]
        if not self.problems:
            return [*found, "  all is well"]
        more = len(self.problems) - MAX_LISTED
        found += [f"  WRONG: {problem}" for problem in self.problems[:MAX_LISTED]]
        return [*found, f"  … and {more} more problems"] if more > 0 else found


def check(folder: str | pathlib.Path) -> Report:
    """Reads every byte. Goes on after a problem, so that one run names them all."""
    folder = pathlib.Path(folder)
    report = Report(folder)
    if not (folder / manifests.MANIFEST).exists():
        reader = shards.open_shards(folder)  # raises where there is nothing to check
        report.summary.append("no manifest  read in place; sizes and sha256 are not on record")
        layouts = [plain.layout_of(file.path) for file in reader.files]
        check_rows(report, layouts=layouts, d_in=reader.d_in)
        check_records(report, store=reader.store, n_rows=reader.n_rows)
        return report
    try:
        manifest = manifests.read_manifest(folder)
    except ShardError as error:
        report.problems.append(str(error))
        return report
    report.summary += _describe(manifest)
    whole = [entry for entry in manifest.shards if _file_is_whole(report, entry=entry)]
    layouts = list(_fitting(report, manifest=manifest, entries=whole))
    check_rows(report, layouts=layouts, d_in=manifest.d_in)
    if _file_is_whole(report, entry=manifest.held_out):
        _check_held_out(report, manifest=manifest)
    if manifest.rows_file and _file_is_whole(report, entry=manifest.rows_file):
        store = records.open_records(folder / manifest.rows_file.file)
        check_records(report, store=store, n_rows=manifest.n_rows)
    return report


def _describe(manifest: Manifest) -> list[str]:
    told = manifest.provenance
    return [
        f"rows        {manifest.n_rows:,} × {manifest.d_in} {manifest.dtype} in "
        f"{len(manifest.shards)} shards; {manifest.held_out.n_rows:,} held out",
        f"from        {told.source}; encoder {told.encoder}, normalisation "
        f"{told.normalisation}, licence {told.licence}",
        f"fingerprint {manifest.fingerprint}",
    ]


def _file_is_whole(report: Report, *, entry: FileEntry) -> bool:
    path = report.folder / entry.file
    try:
        shards.check_size(report.folder, entry=entry)
        found = manifests.sha256_of(path)
    except (ShardError, OSError) as error:
        report.problems.append(str(error))
        return False
    if found != entry.sha256:
        report.problems.append(
            f"{path}: has sha256 {found[:12]}…, {manifests.MANIFEST} says "
            f"{entry.sha256[:12]}…: a byte changed. Restore the file, or if the change is "
            f"meant, `sae-jax check {report.folder} --rewrite`."
        )
    return True  # its rows can be looked at all the same


def _fitting(
    report: Report, *, manifest: Manifest, entries: list[ShardEntry]
) -> Iterator[Layout]:
    for entry in entries:
        try:
            yield shards.fitting_layout(report.folder, entry=entry, manifest=manifest)
        except ShardError as error:
            report.problems.append(str(error))


def check_rows(report: Report, *, layouts: list[Layout], d_in: int) -> None:
    """Adds statistics of all rows, and the rows that cannot be trained on."""
    statistics = Statistics(d_in)
    for layout in layouts:
        file = MappedRows(layout)
        for first in range(0, len(file.rows), ROWS_PER_BLOCK):
            rows = file.rows[first : first + ROWS_PER_BLOCK]
            found = dtypes.faults(rows)
            report.problems += [
                f"{layout.path}: row {first + i} of the file has a NaN or Inf."
                for i in np.flatnonzero(found.not_finite)
            ]
            report.problems += [
                f"{layout.path}: row {first + i} of the file is all zeros."
                for i in np.flatnonzero(found.all_zero)
            ]
            statistics.add(rows[~found.not_finite])
            file.forget()
    report.summary += statistics.report()


def _check_held_out(report: Report, *, manifest: Manifest) -> None:
    try:
        ids = plain.read_held_out(report.folder, n_rows=manifest.n_rows)
    except ShardError as error:
        report.problems.append(str(error))
        return
    if len(ids) != manifest.held_out.n_rows:
        report.problems.append(
            f"{report.folder / manifests.HELD_OUT}: has {len(ids)} row ids, "
            f"{manifests.MANIFEST} says {manifest.held_out.n_rows}."
        )


def check_records(report: Report, *, store: records.RecordStore | None, n_rows: int) -> None:
    """Adds how many records there are, and whether that is one a row."""
    if store is None:
        return
    try:
        n_records = len(store)
    except ShardError as error:
        report.problems.append(str(error))
        return
    report.summary.append(f"texts       {store.path.name}, {n_records:,} records")
    if n_records != n_rows:
        report.problems.append(
            f"{store.path}: has {n_records:,} records for {n_rows:,} rows; expected one a row."
        )
