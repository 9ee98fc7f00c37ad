"""The study behind the learning-rate rule of sae_jax/train/optimizer.py.

python experiments/studies/learning_rate.py DATA/wordnet-glosses
Trains 10 epochs per line of CELLS on WordNet and appends held-out fvu and dead latents to
learning_rate.jsonl beside this file; cells that are there already are skipped.
Hardware: 2 CPU cores, 45 minutes. The results are read in BUILD.md.
"""

import functools
import json
import pathlib
import sys
import time
from typing import Any

import jax
import numpy as np

from sae_jax.config import Config, OptimizerConfig, SaeConfig
from sae_jax.data.prefetch import prefetch
from sae_jax.data.shards import ShardReader, open_shards
from sae_jax.data.stream import RowStream
from sae_jax.train import evaluate, setup, statistics, step

RESULTS = pathlib.Path(__file__).with_suffix(".jsonl")
N_EPOCHS = 10
DEFAULT = {"n_latents": 3_072, "k": 32, "batch_size": 1_024, "decay_fraction": 0.2, "seed": 0}
CELLS: list[dict[str, float]] = [
    *({"learning_rate": rate} for rate in (2e-3, 4e-3, 6e-3, 8e-3)),  # the peak
    *({"learning_rate": 4e-3, "seed": seed} for seed in (1, 2)),  # and its noise
    *({"learning_rate": 4e-3, "decay_fraction": share} for share in (0.0, 0.5, 1.0)),
    *({"learning_rate": rate, "batch_size": 256} for rate in (1e-3, 2e-3, 4e-3)),
    *({"learning_rate": rate, "batch_size": 4_096} for rate in (4e-3, 8e-3, 1.6e-2)),
    *({"learning_rate": rate, "n_latents": 768} for rate in (4e-3, 8e-3, 1.6e-2)),
    *({"learning_rate": r, "n_latents": 12_288, "k": 64} for r in (1e-3, 2e-3, 4e-3, 6e-3)),
]


def train_cell(
    cell: dict[str, Any], *, reader: ShardReader, data: statistics.DataStatistics
) -> dict[str, Any]:
    """Trains one cell and measures it on all held-out rows."""
    config = Config(
        sae=SaeConfig(d_in=reader.d_in, n_latents=cell["n_latents"], k=cell["k"]),
        optimizer=OptimizerConfig(
            learning_rate=cell["learning_rate"], decay_fraction=cell["decay_fraction"]
        ),
        shards=str(reader.folder),
        batch_size=cell["batch_size"],
        n_steps=-(-N_EPOCHS * reader.n_train // cell["batch_size"]),
        seed=cell["seed"],
    )
    config.validate()
    state = setup.initial_state(config, reader=reader, data=data)
    block = jax.jit(functools.partial(step.train_block, config=config), donate_argnames="state")
    stream = RowStream(reader=reader, seed=config.seed, batch_size=config.batch_size)
    began = time.monotonic()
    steps = range(0, config.n_steps, config.block_steps)
    for drawn in prefetch(
        lambda start: setup.draw(stream, start=start, config=config), steps=steps
    ):
        state, _ = block(state, drawn.rows)
    jax.block_until_ready(state)
    seconds = time.monotonic() - began
    measure = evaluate.make_evaluator(reader, mean=data.mean, config=config.sae)
    held_out = measure(state.model, reader.held_out_ids)
    everything = reader.train_row_ids(statistics.spread_positions(reader.n_train, most=131_072))
    density = measure(state.model, everything).density
    return {
        "held_out_fvu": round(held_out.fvu, 4),
        "dead_fraction": round(float(np.mean(density == 0)), 4),
        "seconds": round(seconds),
    }


def main() -> None:
    reader = open_shards(sys.argv[1])
    data = statistics.measure(reader)
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    done = [json.loads(line)["cell"] for line in lines]
    for cell in CELLS:
        cell = DEFAULT | cell
        if cell in done:
            continue
        result = {"cell": cell} | train_cell(cell, reader=reader, data=data)
        print(json.dumps(result), flush=True)
        with RESULTS.open("a") as file:
            file.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
