"""What our step costs in time and memory, against each size alone, and the devices.

python experiments/benchmarks/scaling.py --shards=DATA/wordnet-glosses
    all series; --series=n_latents,k,d_in,batch_size,data_devices,latent_devices for some
Each point is a fresh process, at 384 × 6,144, k 32, batch 1,024 but for the size that is
varied. Results are merged into results/ point by point. The devices are forced ones of one
CPU: they share its cores, so their series shows what dividing costs, never what it gains.
"""

import argparse
import math
import pathlib
import sys
from typing import Any

import numpy as np
from harness import cell, environment, remote, results, rows
from harness.remote import WorkerError

HERE = pathlib.Path(__file__).parent
BASE = {"d_in": 384, "n_latents": 6_144, "k": 32, "batch_size": 1_024}
SERIES: dict[str, tuple[int, ...]] = {
    "n_latents": (1_536, 3_072, 6_144, 12_288, 24_576),
    "k": (8, 16, 32, 64, 128),
    "d_in": (192, 384, 768, 1_536),
    "batch_size": (256, 512, 1_024, 2_048, 4_096),
    "data_devices": (1, 2, 4, 8),
    "latent_devices": (1, 2, 4, 8),
}


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--shards", required=True, help="folder of the WordNet embeddings, 384 wide")
    add("--series", default=",".join(SERIES), help="names, by commas")
    add("--rounds", type=int, default=4, help="clean rounds wanted of each point")
    add("--round_seconds", type=float, default=2.0)
    add("--max_foreign_load", type=float, default=0.06, help="of the CPUs, in a clean round")
    add("--threads", type=int, default=2)
    add("--cache", default=str(HERE / ".cache"), help="folder of exported rows and logs")
    add("--out", default="", help="results file; default: in results/, by device")
    return parser.parse_args(words)


def point(series: str, value: int) -> tuple[dict[str, int], dict[str, int]]:
    """The sizes, and the devices, of one point of a series."""
    if series not in ("data_devices", "latent_devices"):
        return BASE | {series: value}, {"n_devices": 1, "latent_shards": 1}
    split = value if series == "latent_devices" else 1
    return BASE, {"n_devices": value, "latent_shards": split}


def measure(
    size: dict[str, int], *, devices: dict[str, int], options: argparse.Namespace
) -> dict[str, Any]:
    """One point: rounds until enough are clean, and the peak of memory after them."""
    place = rows.folder_for(
        options.shards,
        d_in=size["d_in"],
        batch_size=BASE["batch_size"],  # of the export, which our own trainer does not read
        cache=pathlib.Path(options.cache),
    )
    worker = remote.ours(
        "ours",
        device=options.device,
        threads=options.threads,
        logs=pathlib.Path(options.cache) / "logs",
        n_devices=devices["n_devices"],
    )
    limit, rounds = options.max_foreign_load, []
    try:
        request = {"cell": size, "n_steps": cell.NO_END, "dead_fraction": 0.0}
        shards = {"latent_shards": devices["latent_shards"], **place}
        config = worker.ask(do="make", **request, **shards)["config"]
        worker.ask(do="round", steps=2)
        ms = worker.ask(do="round", steps=2)["ms"]
        steps = max(2, round(1e3 * options.round_seconds / ms))
        for _ in range(options.rounds * cell.TRIES_PER_ROUND):
            rounds.append(worker.ask(do="round", steps=steps))
            if sum(results.is_clean(one, most=limit) for one in rounds) >= options.rounds:
                break
        memory = worker.ask(do="memory")
    finally:
        worker.close()
    found = results.summarise(rounds, max_foreign_load=limit, wanted=options.rounds)
    return {**size, **devices, **found, **memory, "config": config}


def exponent(values: list[float], measured: list[float]) -> float:
    """The power of the value with which the measured grows: least squares of logs."""
    return float(
        np.polyfit([math.log(v) for v in values], [math.log(m) for m in measured], 1)[0]
    )


def summarise(name: str, points: dict[str, Any]) -> dict[str, Any]:
    """A series' exponents, of those of its points that could be measured."""
    found = {v: points.get(f"{name}-{v}", {}) for v in SERIES[name]}
    there = [v for v in SERIES[name] if "ms" in found[v]]
    if len(there) < 2:
        return {"n_points": len(there)}
    x = [float(v) for v in there]
    return {
        "n_points": len(there),
        "ms_exponent": round(exponent(x, [found[v]["ms"] for v in there]), 2),
        "memory_exponent": round(exponent(x, [found[v]["above_start_mb"] for v in there]), 2),
        "clean": all(found[v]["clean"] for v in there),
    }


def table(found: dict[str, Any]) -> str:
    lines = []
    for name, summary in found["series"].items():
        lines.append(f"{name}: ms grows with the power {summary.get('ms_exponent', '–')}")
        for value in SERIES[name]:
            one = found["points"].get(f"{name}-{value}", {})
            if "ms" in one:
                said = f"{one['ms']:>9.1f} ms{one['peak_mb']:>8} MB"
                said += f"{one['above_start_mb']:>8} MB above start"
                said += "" if one["clean"] else "  NOT CLEAN"
            else:
                said = f"  failed: {one.get('failed', 'not measured')[:80]}"
            lines.append(f"  {value:>8,}{said}")
    return "\n".join(lines)


def main() -> None:
    options = parse(sys.argv[1:])
    options.device = environment.device_kind()
    place = "gpu" if options.device == "cuda" else "cpu"
    out = pathlib.Path(options.out or HERE / f"results/scaling-{place}.json")
    kept = ("rounds", "round_seconds", "max_foreign_load", "threads")
    settings = {name: getattr(options, name) for name in kept}
    header = environment.header(device=options.device, settings=settings)
    for name in options.series.split(","):
        for value in SERIES[name]:
            size, devices = point(name, value)
            try:
                one = measure(size, devices=devices, options=options)
                print(f"{name} {value:,}: {one['ms']:.1f} ms", flush=True)
            except WorkerError as error:
                print(f"{name} {value:,} failed: {error}", flush=True)
                one = {**size, **devices, "failed": str(error)}
            results.merge(out, header=header, group="points", cells={f"{name}-{value}": one})
        summary = summarise(name, results.read(out)["points"])
        results.merge(out, header=header, group="series", cells={name: summary})
    print("\n" + table(results.read(out)) + f"\nWritten: {out.name}")


if __name__ == "__main__":
    main()
