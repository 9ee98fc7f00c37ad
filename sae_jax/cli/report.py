"""Report on a sweep or a run: tables, figures, laws and analysis on one offline page.

  sae-jax report runs/grid
  sae-jax report runs/first --out=first-report

Reads the folder alone, whoever trained in it, and whatever is not finished yet. What evaluate,
label, families and match have written of a run is shown too, corpus by corpus; what is absent
is said with the command that makes it. Writes DIR/report: index.html, each figure as SVG and
PNG, report.json and members.csv; of analysis in CORPUS/ (of a sweep in MEMBER/CORPUS/) its
figures, quality.csv, labels.csv and families.csv.
"""

import pathlib

from absl import flags

from sae_jax.cli.arguments import one_folder


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "out", "", "Folder to write to; otherwise DIR/report.", flag_values=values
    )


def run(values: flags.FlagValues, arguments: list[str]) -> None:
    folder = one_folder(arguments, of="folder of runs")
    write_report(folder, out=pathlib.Path(values.out) if values.out else folder / "report")


def write_report(folder: pathlib.Path, *, out: pathlib.Path) -> None:
    """Writes the report, and says what is in it and where."""
    # Imported here: figures take a second, which `--help` need not wait for.
    from sae_jax.sweep import report

    found = report.read(folder)
    written = report.write(found, title=f"Report on {folder.absolute().name}", out=out)
    print(f"{report.describe(found)}\nReport: {written[0]}", flush=True)
