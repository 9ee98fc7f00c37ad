"""The run that is open beside its siblings of the same sweep: numbers, curves, laws."""

import json
import math
import os
import pathlib
import shlex
import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from sae_jax.analysis import matching_tables
from sae_jax.analysis.scaling import PowerLaw, fit_power_law
from sae_jax.config import Config
from sae_jax.errors import SaeJaxError
from sae_jax.explorer import curves
from sae_jax.explorer.opened import Opened
from sae_jax.explorer.parameters import LARGEST_WHOLE, NotThereError, Parameters
from sae_jax.sweep import laws, results, sweep
from sae_jax.sweep.results import Finished
from sae_jax.train import run_folder

# What comes of a file that is JSON, but not what training writes.
DAMAGED = (AttributeError, LookupError, TypeError, ValueError)
FREE = run_folder.FREE_SETTINGS
FITTED = {"held_out": "fvu", "train": "fvu_train"}


def _run(opened: Opened) -> pathlib.Path:
    """By a path whose last part is its name, also where it was opened as `runs/a/..`."""
    return pathlib.Path(os.path.abspath(opened.options.run))


def folders(opened: Opened) -> dict[str, pathlib.Path]:
    """By name the run that is open and, where it is of a sweep, the others of that sweep.

    Of names that would lead out of the sweep's folder there are none.
    """
    own = _run(opened)
    listed = [own.name]
    if (own.parent / "sweep.json").exists():
        members = list(sweep.read_members(own.parent))
        listed = members if own.name in members else listed
    plain = [name for name in listed if pathlib.PurePath(name).name == name and name != ".."]
    return {name: own.parent / name for name in plain}


def runs(opened: Opened, request: Request) -> dict[str, Any]:
    """The run and the others of its sweep, as far as each has come.

    `state` is finished, failed, unfinished or "not begun"; `why` says why one failed, or why
    its files cannot be read. Numbers are of the end where the run is finished, else of its
    last lines.
    """
    Parameters(request)
    own = _run(opened)
    why, found = "", {own.name: own}
    try:
        found = folders(opened)
    except SaeJaxError as error:
        why = str(error)
    return {
        "current": own.name,
        "folder": str(own.parent),
        "why": why,
        "runs": [entry(path, name=name) for name, path in found.items()],
    }


def entry(folder: pathlib.Path, *, name: str) -> dict[str, Any]:
    """What a table says of one run. Never raises: what cannot be read is said."""
    told: dict[str, Any] = {"name": name, "state": "not begun", "why": None}
    try:
        if not (folder / "config.json").exists():
            return told | _failure(folder)
        config = run_folder.read_config(folder)
        told |= _settings(config) | {"state": "unfinished"}
        summary = run_folder.read_summary(folder)
        if summary:
            return told | _of_summary(summary) | {"state": "finished"}
        return told | _so_far(folder, config=config) | _failure(folder)
    except SaeJaxError as error:
        return told | {"state": "damaged", "why": str(error)}
    except (OSError, *DAMAGED) as error:
        why = f"{folder}: has not the files that training writes ({type(error).__name__}: "
        return told | {"state": "damaged", "why": f"{why}{error})."}


def _settings(config: Config) -> dict[str, Any]:
    return {
        "n_latents": config.sae.n_latents,
        "k": config.sae.k,
        "seed": config.seed,
        "architecture": config.sae.architecture,
        "n_steps": config.n_steps,
        "batch_size": config.batch_size,
    }


def _of_summary(summary: Mapping[str, Any]) -> dict[str, Any]:
    held_out, train = summary["held_out"], summary["train"]
    return {
        "step": summary["n_steps"],
        "fvu": held_out["fvu"],
        "fvu_train": train["fvu"],
        "l0": held_out["l0"],
        "dead_fraction": summary["dead_fraction"],
        "seconds": summary["seconds"],
        "examples_per_second": summary["examples_per_second"],
        "device": summary["device"],
    }


def _so_far(folder: pathlib.Path, *, config: Config) -> dict[str, Any]:
    """From the last lines of the metrics."""
    path = folder / results.JSON_LINES
    last = curves.last_lines(path)
    train, held_out, timing = (last.get(one, {}) for one in ("train", "held_out", "timing"))
    step = train.get("step", 0)
    rate = timing.get("examples_per_second") or math.nan
    age = max(time.time() - path.stat().st_mtime, 0.0) if path.exists() else math.nan
    return {
        "step": step,
        "fvu": held_out.get("fvu"),
        "fvu_train": train.get("fvu"),
        "l0": train.get("l0"),
        "dead_fraction": train.get("dead_fraction"),
        "examples_per_second": rate,
        "checkpoint": max(run_folder.steps(folder), default=None),
        "seconds_left": (config.n_steps - step) * config.batch_size / rate,
        "seconds_since": age,  # its last line was written
        "again": _again(folder),
    }


def _failure(folder: pathlib.Path) -> dict[str, Any]:
    failure = run_folder.read_failure(folder)
    if not failure:
        return {}
    return {"state": "failed", "why": failure.error, "again": _again(folder, failed=True)}


def _again(folder: pathlib.Path, *, failed: bool = False) -> str:
    """The command that goes on with it. Which file it was begun with is written nowhere."""
    workdir = folder.absolute()
    command, rest = "train", ""
    if (workdir.parent / "sweep.json").exists():
        command, workdir = "sweep", workdir.parent
        rest = " --retry_failed" if failed else ""
    return f"sae-jax {command} --config=FILE.py --workdir={shlex.quote(str(workdir))}{rest}"


def _named(opened: Opened, name: str) -> pathlib.Path:
    """Raises NotThereError on a name that is not of the listing."""
    known = folders(opened)
    if name not in known:
        raise NotThereError(f"there is no run {name[:80]!r}; expected {', '.join(known)}.")
    return known[name]


def metrics(opened: Opened, request: Request) -> dict[str, Any]:
    """The curves of a run: of each split the steps, and a list for each number.

    Asked again with `after` and `file` of the answer before, it tells what has been
    written since. `restarted` says that the file is another, from a resume: then it
    tells all. Beyond 2,000 points of a split they are thinned evenly.

    Parameters:
        after: bytes of the file that are known; 0 where it is not given.
        file: which file they are of.
    Example: /api/run/{name}/metrics
    """
    asked = Parameters(request, "after", "file")
    path = _named(opened, request.path_params["name"]) / results.JSON_LINES
    after = asked.whole("after", default=0, low=0, high=LARGEST_WHOLE)
    return curves.read(path, after=after, file=asked.text("file"))._asdict()


def difference(opened: Opened, request: Request) -> dict[str, Any]:
    """The settings in which two runs differ.

    Parameters:
        one: name of a run.
        other: name of another.
    Example: /api/runs/difference?one={name}&other={name}
    """
    asked = Parameters(request, "one", "other")
    one, other = (
        run_folder.read_config(_named(opened, asked.text(name))) for name in ("one", "other")
    )
    found = run_folder.differing_settings(one, other)
    free = ((name, getattr(one, name), getattr(other, name)) for name in FREE)
    found += [setting for setting in free if setting[1] != setting[2]]
    return {
        "one": asked.text("one"),
        "other": asked.text("other"),
        "settings": [{"setting": s, "one": a, "other": b} for s, a, b in found],
    }


def scaling(opened: Opened, request: Request) -> dict[str, Any]:
    """How fvu falls with the number of latents at each k: points, and the fitted power laws.

    A law is c · n^−alpha with the 95 % interval of alpha, from least squares on logarithms;
    null with fewer than two sizes. Several seeds of a size are several points.
    """
    Parameters(request)
    folder = _run(opened)
    try:
        known = folders(opened)
        if len(known) > 1:
            folder = folder.parent
        read = [one for one in results.read_results(folder) if one.name in known]
        members = results.finished(read)
        by_corpus: dict[str, list[Finished]] = {}
        for one in members:
            by_corpus.setdefault(one.corpus, []).append(one)
        found = [_corpus(name, own) for name, own in by_corpus.items()]
    except (SaeJaxError, OSError, *DAMAGED) as error:
        return {"corpora": [], "why": f"{folder}: no law can be fitted: {error}"}
    return {"corpora": found, "why": ""}


def _corpus(name: str, members: list[Finished]) -> dict[str, Any]:
    best = laws.best_variants(members)
    by_k = []
    for k in sorted({one.k for one in best}):
        own = [one for one in best if one.k == k]
        by_k.append({"k": k} | {split: _law(own, of=of) for split, of in FITTED.items()})
    fields = ("name", "n_latents", "k", "seed", "fvu", "fvu_train")
    points = [{field: getattr(one, field) for field in fields} for one in best]
    return {"name": name, "points": points, "by_k": by_k}


def _law(members: list[Finished], *, of: str) -> PowerLaw | None:
    sizes = [one.n_latents for one in members]
    if len(set(sizes)) < 2:
        return None
    return fit_power_law(sizes, [getattr(one, of) for one in members])


def matching(opened: Opened, request: Request) -> dict[str, Any]:
    """What `sae-jax match` has found of this run's latents in other runs, as tables."""
    Parameters(request)
    run, manifest = opened.options.run, opened.stored.manifest
    found: list[dict[str, Any]] = []
    for path in sorted((run / "matching" / opened.stored.folder.name).glob("*.json")):
        try:
            made = json.loads(path.read_text())
            table = matching_tables.similarities(made)
            others = [pair["run"] for pair in made["pairs"]]
            stale = made["run_fingerprint"] != manifest.run_fingerprint
        except DAMAGED:
            found.append(
                {"file": path.name, "why": f"{path}: is not what `sae-jax match` writes."}
            )
            continue
        fields = {"head": list(table.head), "rows": [list(row) for row in table.rows]}
        n_text = table.n_text_columns
        found.append(
            {"file": path.name, "others": others, "stale": stale, "n_text": n_text, **fields}
        )
    return {"found": found, "again": f"sae-jax match {shlex.quote(str(run))} OTHER_RUN"}
