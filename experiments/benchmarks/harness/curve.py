"""Held-out fvu against seconds of training, each trainer at its own recipe for a whole run."""

import argparse
import pathlib
import subprocess
from typing import Any

from harness import environment, remote, results
from harness.remote import Remote, WorkerError

CELL = "d384-n3072-k32"
N_STEPS = 1_030  # ten passes of 103 batches of 1,024 over WordNet's 106,012 training rows
OUR_STEPS = (128, 256, 512, 1_024)  # a run each, since the decay is part of the recipe
N_POINTS = 20
TARGET = "ours_reaches_dense_paper"


def runs(trainers: list[str]) -> dict[str, tuple[str, int]]:
    """The trainer and the number of steps of each run, by its name."""
    found: dict[str, tuple[str, int]] = {}
    for name in trainers:
        if name == results.OURS:
            found |= {f"ours, {n:,} steps": (name, n) for n in OUR_STEPS}
        else:
            found[name] = (name, N_STEPS)
    return found


def train(
    trainer: str,
    *,
    n_steps: int,
    cell: dict[str, int],
    place: dict[str, str],
    options: argparse.Namespace,
    python: str,
) -> dict[str, Any]:
    """One run; evaluation is not in its seconds, nor is our compilation, which is told."""
    common = {
        "device": options.device,
        "threads": options.threads,
        "logs": pathlib.Path(options.cache) / "logs",
    }
    if trainer == results.OURS:
        worker = remote.ours(trainer, **common)
    else:
        worker = Remote(trainer, python=python, **common)
    try:
        request = {"trainer": trainer, "cell": cell, "n_steps": n_steps, "dead_fraction": 0.0}
        config = worker.ask(do="make", **request, **place)["config"]
        points: list[dict[str, Any]] = []
        done, seconds = 0, 0.0
        while done < n_steps:
            steps = min(max(16, n_steps // N_POINTS), n_steps - done)
            measured = worker.ask(do="round", steps=steps)
            done, seconds = done + measured["steps"], seconds + measured["seconds"]
            points.append(
                {
                    "step": done,
                    "seconds": round(seconds, 3),
                    "fvu": round(worker.ask(do="fvu")["fvu"], 4),
                    "clean": results.is_clean(measured, most=options.max_foreign_load),
                }
            )
    finally:
        worker.close()
    clean = sum(point["clean"] for point in points) / len(points)
    said = {"n_steps": n_steps, "seconds": points[-1]["seconds"], "fvu": points[-1]["fvu"]}
    return said | {"clean_share": round(clean, 2), "config": config, "points": points}


def summarise(found: dict[str, Any]) -> dict[str, Any]:
    """How soon each of our runs is as good as the dense paper recipe after its last step."""
    if results.PAPER not in found or "fvu" not in found[results.PAPER]:
        return {}
    paper = found[results.PAPER]
    reached = {}
    for name, run in found.items():
        if not name.startswith(results.OURS) or "points" not in run:
            continue
        for point in run["points"]:  # a measured point, nothing between two of them
            if point["fvu"] <= paper["fvu"]:
                seconds = point["seconds"]
                compiled = seconds + run["config"]["compile_seconds"]
                reached[name] = {
                    "seconds": round(seconds, 2),
                    "times_faster": round(paper["seconds"] / seconds, 1),
                    "times_faster_with_compilation": round(paper["seconds"] / compiled, 1),
                }
                break
    summary = {"fvu": paper["fvu"], "dense_paper_seconds": paper["seconds"]}
    return {TARGET: summary | {"reached": reached}}


def run_all(
    trainers: list[str], *, out: pathlib.Path, header: dict[str, Any], **more: Any
) -> None:
    """Trains, merges each run into the file as it ends, and draws what the file holds."""
    for name, (trainer, n_steps) in runs(trainers).items():
        print(f"== {name}", flush=True)
        try:
            found = train(trainer, n_steps=n_steps, **more)
            print(f"  fvu {found['fvu']:.4f} after {found['seconds']:.1f} s", flush=True)
        except WorkerError as error:
            print(f"  failed: {error}", flush=True)
            found = {"failed": str(error)}
        results.merge(out, header=header, group="runs", cells={name: found})
    summary = summarise(results.read(out)["runs"])
    results.merge(out, header=header, group="summary", cells=summary)
    if TARGET in summary:
        print_summary(summary[TARGET])
    draw(out, python=more["python"])


def print_summary(summary: dict[str, Any]) -> None:
    seconds = summary["dense_paper_seconds"]
    print(f"\ndense_paper: fvu {summary['fvu']:.4f} after {seconds:.1f} s. As good are")
    for name, one in summary["reached"].items():
        print(
            f"  {name:<20} after {one['seconds']:.1f} s: {one['times_faster']:.1f} times "
            f"sooner ({one['times_faster_with_compilation']:.1f} with its compilation)"
        )
    if not summary["reached"]:
        print("  none of our runs")


def draw(path: pathlib.Path, *, python: str) -> None:
    """An SVG beside the file, by the matplotlib of the peers' environment."""
    picture = path.with_suffix(".svg")
    done = subprocess.run(
        [python, "-m", "harness.plot", str(path), str(picture)],
        env=remote.surroundings("cpu", threads=1, n_devices=1),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = environment.without_places(done.stderr.strip().splitlines()[-1])
        print(f"No plot: {last}")
    else:
        print(f"Plot: {picture}")
