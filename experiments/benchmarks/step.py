"""Where the time of a training step goes, and how near it comes to the limit.

  python experiments/benchmarks/step.py --shards=wordnet-glosses
  python experiments/benchmarks/step.py --cells=d1536-n3072-k64 --ways
  python experiments/benchmarks/step.py --cells=d384-n6144-k32 --batch_sizes=1024,8192

A step cannot do without one product of the batch with the encoder, 2·B·d·n FLOP. Its time
at the matmul peak, measured in the same run, is the limit; the best of many such products in
the same program is `product`. Programs that do more and more of a step are timed in turns,
each a block of steps as in training; the differences of their medians are what each part
costs. `--ways` times the step with every path forced, and with 10 % of the latents dead.
Results: results/step-cpu.json or -gpu; a rerun replaces its own cells alone.
"""

import argparse
import functools
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from harness import cell as cells
from harness import environment, jax_worker, results

from sae_jax.config import Config, OptimizerConfig, SaeConfig
from sae_jax.data.shards import open_shards
from sae_jax.model.topk import TopKAutoencoder
from sae_jax.train import setup, step
from sae_jax.train.step import TrainState

HERE = pathlib.Path(__file__).parent
CELLS = "d384-n3072-k32,d384-n6144-k32,d384-n24576-k32,d1536-n3072-k64"
PARTS = ("product", "top_k", "decode", "gradients", "step")
WAYS: dict[str, dict[str, Any]] = {
    "auto": {},
    "products=dense": {"products": "dense"},
    "selection=lax": {"selection": "lax"},
    "matmul=tf32": {"matmul": "tf32"},
    "matmul=bfloat16": {"matmul": "bfloat16"},
    "first_moment=bfloat16": {"first_moment": "bfloat16"},
    "10 % dead": {"dead": 0.1},
}
Block = Callable[[TrainState, jax.Array], tuple[TrainState, Any]]


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--cells", default=CELLS, help="shapes, as d384-n6144-k32, joined by commas")
    add("--batch_sizes", default="1024", help="joined by commas")
    add("--block_steps", type=int, default=8, help="steps a call, as in training")
    add("--rounds", type=int, default=9, help="calls of each program, in turns")
    add("--shards", default="", help="embeddings; without: random unit rows, and no input")
    add("--ways", action="store_true", help="the step with every path forced, too")
    add("--out", default="", help="results file")
    return parser.parse_args(words)


def make_config(size: dict[str, int], options: argparse.Namespace, **way: Any) -> Config:
    moment = way.pop("first_moment", "float32")
    way.pop("dead", None)
    sae = SaeConfig(d_in=size["d_in"], n_latents=size["n_latents"], k=size["k"], **way)
    return Config(
        sae=sae,
        optimizer=OptimizerConfig(first_moment=moment, learning_rate=jax_worker.STANDSTILL),
        shards=options.shards or "-",
        n_steps=10_000,
        batch_size=size["batch_size"],
        block_steps=options.block_steps,
    )


def part(name: str, config: Config) -> Block:
    """A block of steps that stop after this part."""
    sae = config.sae

    def one(state: TrainState, x: jax.Array) -> tuple[TrainState, jax.Array]:
        model, seen = state.model, []
        x = x.astype(jnp.float32)
        if name == "product":
            seen = [model._product(x, sae)[:, :: sae.n_latents // 4]]  # type: ignore[attr-defined]
        if name in ("top_k", "decode"):
            codes = model.encode(x, sae)
            seen = [*codes] if name == "top_k" else [*codes, model.decode(codes, sae)]
        if name == "gradients":
            none = jnp.zeros(sae.n_latents, bool)
            variance = state.data_variance
            found = model.gradient(x, dead=none, data_variance=variance, config=sae)
            seen = jax.tree.leaves(found)
        # Something of all that was computed is used, so that nothing is left out.
        flat = (jnp.ravel(array) for array in seen)
        used = sum((jnp.sum(a[:: 1 + a.size // 2**18]) for a in flat), jnp.zeros(()))
        moved = state.data_variance + 1e-30 * used
        return state._replace(step=state.step + 1, data_variance=moved), used

    if name == "step":
        return functools.partial(step.train_block, config=config)
    return functools.partial(jax.lax.scan, one)


def make_state(config: Config, *, dead: float) -> TrainState:
    sae = config.sae
    rows = np.random.default_rng(0).normal(size=(256, sae.d_in)).astype(np.float32)
    model = TopKAutoencoder.create(sae, seed=0, rows=0.01 * rows)
    state = step.create_state(model, config=config, data_variance=jnp.float32(1.0))
    return jax_worker.with_dead(state, fraction=dead, config=config) if dead else state


def blocks_of_rows(config: Config, n: int) -> tuple[list[jax.Array], float | None]:
    """n blocks of rows, and the milliseconds that drawing takes a step."""
    shape = (config.block_steps, config.batch_size, config.sae.d_in)
    reader = None if config.shards == "-" else open_shards(config.shards)
    if reader is None or reader.d_in != config.sae.d_in:
        rows = np.random.default_rng(1).normal(size=(n, *shape)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
        return [jax.device_put(block) for block in rows], None
    stream = setup.row_stream(config, reader=reader)
    found, times = [], []
    for i in range(n):
        began = time.perf_counter()
        steps = range(i * config.block_steps, (i + 1) * config.block_steps)
        found.append(jax.block_until_ready(jax.device_put(stream.batches(steps).rows)))
        times.append((time.perf_counter() - began) / config.block_steps)
    return found, 1e3 * statistics.median(times)


def time_in_turns(
    programs: dict[str, tuple[Config, Block, float]], blocks: list[jax.Array]
) -> dict[str, list[float]]:
    """Milliseconds a step of each program, once for every block of rows."""
    states = {n: make_state(c, dead=dead) for n, (c, _, dead) in programs.items()}
    jitted = {n: jax.jit(block, donate_argnums=0) for n, (_, block, _) in programs.items()}
    compiled = {
        n: setup.compile_lowered(f.lower(states[n], blocks[0])) for n, f in jitted.items()
    }
    times: dict[str, list[float]] = {name: [] for name in programs}
    for rows in [blocks[0], *blocks]:  # the first warms up
        for name in programs:
            began = time.perf_counter()
            states[name], _ = compiled[name](states[name], rows)
            jax.block_until_ready(states[name])
            times[name].append(1e3 * (time.perf_counter() - began) / len(rows))
    return {name: measured[1:] for name, measured in times.items()}


def measure(size: dict[str, int], options: argparse.Namespace) -> dict[str, Any]:
    config = make_config(size, options)
    blocks, input_ms = blocks_of_rows(config, options.rounds)
    programs = {name: (config, part(name, config), 0.0) for name in PARTS}
    times = time_in_turns(programs, blocks)
    ms = {name: statistics.median(measured) for name, measured in times.items()}
    gflops = jax_worker.JaxWorker().matmul_gflops([[cells.SQUARE] * 3])
    limit = 2e-6 * size["batch_size"] * size["d_in"] * size["n_latents"] / gflops
    upto = [0.0, *(ms[name] for name in PARTS)]
    names = ("product", "top_k", "decode", "gradients", "optimizer")
    breakdown = {n: round(upto[i + 1] - upto[i], 2) for i, n in enumerate(names)}
    found = {
        **size,
        "ms": round(ms["step"], 2),
        "ms_best": round(min(times["step"]), 2),
        "examples_per_s": round(1e3 * size["batch_size"] / ms["step"]),
        "limit_ms": round(limit, 2),
        "fraction_of_limit": round(limit / ms["step"], 3),
        "breakdown_ms": breakdown | ({"input_beside": round(input_ms, 2)} if input_ms else {}),
    }
    if options.ways:
        found["ways_ms"] = measure_ways(size, blocks, options)
    return found


def measure_ways(
    size: dict[str, int], blocks: list[jax.Array], options: argparse.Namespace
) -> dict[str, float]:
    programs = {}
    for name, way in WAYS.items():
        config = make_config(size, options, **dict(way))
        dead = float(way.get("dead", 0.0))
        programs[name] = (config, part("step", config), dead)
    times = time_in_turns(programs, blocks)
    return {name: round(statistics.median(measured), 2) for name, measured in times.items()}


def sizes(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, int]]]:
    for name in options.cells.split(","):
        for batch_size in map(int, options.batch_sizes.split(",")):
            more = "" if batch_size == 1_024 else f"-b{batch_size}"
            yield name + more, cells.named(name, batch_size=batch_size)


def main() -> None:
    options = parse(sys.argv[1:])
    place = "gpu" if jax.default_backend() == "gpu" else "cpu"
    out = pathlib.Path(options.out or HERE / f"results/step-{place}.json")
    settings = {"block_steps": options.block_steps, "rounds": options.rounds}
    device = "cuda" if place == "gpu" else "cpu"
    header = environment.header(device=device, settings=settings)
    for name, size in sizes(options):
        one = measure(size, options)
        print(f"{name}: {one['ms']} ms, {one['fraction_of_limit']:.0%} of the limit")
        for label, group in (("part", "breakdown_ms"), ("way", "ways_ms")):
            for key, value in one.get(group, {}).items():
                print(f"    {label} {key:24s} {value:8.2f} ms")
        sys.stdout.flush()
        results.merge(out, header=header, group="cells", cells={name: one})


if __name__ == "__main__":
    main()
