"""Our trainer against its peers on one machine: time a step, memory, held-out fvu.

python experiments/benchmarks/peers.py --shards=DATA/wordnet-glosses
    all cells; --cells=d384-n3072-k32,… for some
python experiments/benchmarks/peers.py --shards=DATA/wordnet-glosses --dead_fraction=0.1
    with a tenth of the latents dead, so that AuxK works
python experiments/benchmarks/peers.py --shards=DATA/wordnet-glosses --curve
    held-out fvu against seconds of training

Beside it, README.md says what is compared, by which rules, and how to read it. The first run
makes the peers' own environment (4 GB). Results are merged into results/ cell by cell.
"""

import argparse
import pathlib
import sys
import time
from typing import Any

from harness import cell, curve, environment, results, rows

HERE = pathlib.Path(__file__).parent
BATCH_SIZE = 1_024
CELLS = (
    *(f"d384-n{n}-k{k}" for n in (3_072, 6_144, 24_576) for k in (16, 32, 64)),
    *(f"d1536-n{n}-k64" for n in (3_072, 6_144)),
)
DEAD_CELLS = ("d384-n6144-k32",)
QUALITY_CELLS = ("d384-n3072-k32", "d384-n6144-k32", "d1536-n3072-k64")
TRAINERS = (
    "ours", "sparsify", "sparsify_signum", "saelens", "saelens_sparse",
    "dictionary_learning", "overcomplete", "dense_paper",
)  # fmt: skip
# The same, with AuxK where overcomplete has it, and ours once more with nothing dead.
DEAD_TRAINERS = (
    "ours", "ours_none_dead", "sparsify", "saelens", "saelens_sparse",
    "dictionary_learning", "overcomplete_auxk", "dense_paper",
)  # fmt: skip


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--shards", required=True, help="folder of the WordNet embeddings, 384 wide")
    add("--cells", default="", help="names, by commas; default: all of the mode")
    add("--trainers", default="", help="names, by commas; default: all of the mode")
    add("--rounds", type=int, default=5, help="clean rounds wanted of each trainer")
    add("--steps_per_round", type=int, default=0, help="0: as many as fit --round_seconds")
    add("--round_seconds", type=float, default=2.0)
    add("--max_foreign_load", type=float, default=0.06, help="of the CPUs, in a clean round")
    add("--quality_steps", type=int, default=304, help="steps before held-out fvu; 0: none")
    add("--quality_cells", default=",".join(QUALITY_CELLS), help="names, or all")
    add("--dead_fraction", type=float, default=0.0, help="share of latents made dead")
    add("--curve", action="store_true", help="time to quality instead of time a step")
    add("--threads", type=int, default=2, help="of every trainer")
    add("--cache", default=str(HERE / ".cache"), help="folder of exported rows and logs")
    add("--peers_env", default="", help="folder of the peers' environment; default: in cache")
    add("--pip_arguments", default="", help="for its installation, such as an --index-url")
    add("--out", default="", help="results file; default: in results/, by mode and device")
    return parser.parse_args(words)


def main() -> None:
    options = parse(sys.argv[1:])
    options.device = environment.device_kind()
    place = "gpu" if options.device == "cuda" else "cpu"
    env = pathlib.Path(options.peers_env or pathlib.Path(options.cache) / "peers-env")
    python = environment.peers_python(env, pip_arguments=options.pip_arguments.split())
    kept = ("rounds", "steps_per_round", "round_seconds", "max_foreign_load", "threads")
    header = environment.header(
        device=options.device, settings={name: getattr(options, name) for name in kept}
    )
    header["peer_versions"] = environment.peer_versions(env)
    if options.curve:
        out = pathlib.Path(options.out or HERE / f"results/time-to-quality-{place}.json")
        trainers = names_of(options.trainers, default=TRAINERS)
        size = cell.named(curve.CELL, batch_size=BATCH_SIZE)
        curve.run_all(
            trainers, out=out, header=header, cell=size, place=rows_of(size, options),
            options=options, python=python,
        )  # fmt: skip
        return
    out = pathlib.Path(options.out or HERE / f"results/peers-{place}.json")
    measure_cells(options, out=out, header=header, python=python)


def names_of(said: str, *, default: tuple[str, ...]) -> list[str]:
    return said.split(",") if said else list(default)


def rows_of(size: dict[str, int], options: argparse.Namespace) -> dict[str, str]:
    return rows.folder_for(
        options.shards,
        d_in=size["d_in"],
        batch_size=size["batch_size"],
        cache=pathlib.Path(options.cache),
    )


def measure_cells(
    options: argparse.Namespace, *, out: pathlib.Path, header: dict[str, Any], python: str
) -> None:
    """Each cell in turn, merged into the file as it ends; all of them printed at the end."""
    dead = bool(options.dead_fraction)
    group = f"dead_{options.dead_fraction:g}" if dead else "cells"
    names = names_of(options.trainers, default=DEAD_TRAINERS if dead else TRAINERS)
    measured = {}
    for name in names_of(options.cells, default=DEAD_CELLS if dead else CELLS):
        began = time.monotonic()
        print(f"== {name}", flush=True)
        size = cell.named(name, batch_size=BATCH_SIZE)
        in_quality = options.quality_cells == "all" or name in options.quality_cells.split(",")
        found = cell.measure(
            size,
            names=names,
            place=rows_of(size, options),
            options=options,
            python=python,
            with_quality=bool(options.quality_steps) and in_quality and not dead,
        )
        if dead:
            add_dead_cost(found)
        results.merge(out, header=header, group=group, cells={name: found})
        measured[name] = found
        print(results.table({name: found}))
        print(f"  {time.monotonic() - began:.0f} s", flush=True)
    print("\n" + results.table(measured) + f"\nWritten: {out.name}")


def add_dead_cost(found: dict[str, Any]) -> None:
    """What dead latents add to our own step."""
    with_dead, without = (
        found["trainers"].get(name, {}).get("ms") for name in ("ours", "ours_none_dead")
    )
    if with_dead and without:
        found["ours_dead_over_none_dead"] = round(with_dead / without, 3)


if __name__ == "__main__":
    main()
