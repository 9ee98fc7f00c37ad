"""A sweep's members trained together against the same ones one after another.

python experiments/benchmarks/sweep.py --shards=DATA/wordnet-glosses --workdir=runs/bench
    --n_steps=256 shortens it, --pack=4 stacks members in one program
Both in one process, compilation and opening of the data included, nothing cached: half of the
members in turn, then all together, then the other half in turn, so that a machine that
slows down slows both. What trained together stays in WORKDIR/together, a sweep's folder.
Merged into results/ by the number of steps and the size of packs.
"""

import argparse
import dataclasses
import json
import pathlib
import runpy
import tempfile
import time

from harness import environment, results

from sae_jax.data.shards import open_shards
from sae_jax.sweep import grid, population, sweep
from sae_jax.sweep.grid import Member
from sae_jax.train import loop, run_folder
from sae_jax.train.watchdog import Watchdog

HERE = pathlib.Path(__file__).parent


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--shards", required=True, help="folder of the WordNet embeddings, 384 wide")
    add("--workdir", required=True, help="a new folder")
    add("--sweep", default=str(HERE.parent / "wordnet_grid.py"), help="sweep file")
    add("--n_steps", type=int, default=0, help="of each member; 0: those of its config")
    add("--pack", default="auto", help="most members in one program")
    add("--checkpoint_every_steps", type=int, default=128)
    add("--out", default="", help="results file; default: in results/, by device")
    return parser.parse_args()


def members_of(options: argparse.Namespace) -> list[Member]:
    file = grid.read_sweep_file(pathlib.Path(options.sweep))
    base = runpy.run_path(str(file.base))["get_config"]()
    config = dataclasses.replace(
        base,
        shards=options.shards,
        n_steps=options.n_steps or base.n_steps,
        checkpoint_every_steps=options.checkpoint_every_steps,
    )
    return grid.make_members(config, file.overrides)


def in_turn(members: list[Member], *, workdir: pathlib.Path) -> dict[str, float]:
    """Seconds of each."""
    seconds = {}
    for member in members:
        began = time.perf_counter()
        reader = open_shards(member.config.shards)
        loop.train(member.config, reader=reader, workdir=workdir / member.name)
        seconds[member.name] = time.perf_counter() - began
    return seconds


def together(members: list[Member], *, workdir: pathlib.Path, pack_size: int) -> float:
    began = time.perf_counter()
    sweep.write_members(members, workdir=workdir)
    with Watchdog() as watch:
        found = sweep.train_sweep(members, workdir=workdir, pack_size=pack_size, watch=watch)
    assert len(found.finished) == len(members), found
    return time.perf_counter() - began


def fvu_of(members: list[Member], workdir: pathlib.Path) -> dict[str, float]:
    found = {member.name: run_folder.read_summary(workdir / member.name) for member in members}
    return {name: summary["held_out"]["fvu"] for name, summary in found.items() if summary}


def main() -> None:
    options = parse()
    members, workdir = members_of(options), pathlib.Path(options.workdir)
    pack_size = population.pack_size(options.pack)
    workdir.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=workdir) as folder:
        alone = pathlib.Path(folder)
        seconds = in_turn(members[::2], workdir=alone)
        joint = together(members, workdir=workdir / "together", pack_size=pack_size)
        seconds |= in_turn(members[1::2], workdir=alone)
        fvu = fvu_of(members, workdir / "together"), fvu_of(members, alone)
    found = {
        "members": len(members),
        "seconds_together": round(joint, 1),
        "seconds_in_turn": round(sum(seconds.values()), 1),
        "ratio": round(sum(seconds.values()) / joint, 3),
        "most_fvu_apart": max(abs(fvu[0][name] - fvu[1][name]) for name in fvu[0]),
        "each": {
            name: {"seconds_alone": round(seconds[name], 1), "fvu": round(fvu[0][name], 5)}
            for name in fvu[0]
        },
    }
    device = environment.device_kind()
    place = "gpu" if device == "cuda" else "cpu"
    out = pathlib.Path(options.out or HERE / f"results/sweep-{place}.json")
    settings = {"checkpoint_every_steps": options.checkpoint_every_steps}
    cell = (
        f"{pathlib.Path(options.sweep).stem}-steps{members[0].config.n_steps}-pack{pack_size}"
    )
    header = environment.header(device=device, settings=settings)
    results.merge(out, header=header, group="cells", cells={cell: found})
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
