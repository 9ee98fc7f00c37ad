"""The numbers of a finished run, beside the baselines that they have to beat."""

import dataclasses
import platform
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float

import sae_jax
from sae_jax.config import Config
from sae_jax.data.shards import ShardReader
from sae_jax.model.protocol import Autoencoder
from sae_jax.train import evaluate, processes, sharding, statistics
from sae_jax.train.metrics import duration
from sae_jax.train.optimizer import peak_learning_rate
from sae_jax.train.statistics import DataStatistics

TRAIN_ROWS = 131_072  # most training rows that fvu, density and dead latents are measured on
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
DENSITY_EDGES = np.arange(-5.5, 0.01, 0.125)  # of the histogram, powers of ten
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def summarise(
    config: Config,
    *,
    reader: ShardReader,
    data: DataStatistics,
    model: Autoencoder,
    measure: Callable[[Autoencoder, np.ndarray], evaluate.Quality],
    seconds: float,
    mesh: Mesh,
) -> dict[str, Any]:
    """Measures the final model on all held-out rows and on training rows of all shards."""
    spread = statistics.spread_positions(reader.n_train, most=TRAIN_ROWS)
    train = measure(model, reader.train_row_ids(spread))
    held_out = measure(model, reader.held_out_ids)
    k = min(config.sae.k, reader.d_in)
    pca = processes.from_first(
        lambda: statistics.pca_fvu(reader, data, k=k, row_ids=reader.held_out_ids)
    )
    n_examples = config.n_steps * config.batch_size
    return {
        "held_out": _numbers(held_out),
        "train": _numbers(train),
        "dead_fraction": float(np.mean(train.density == 0)),
        "density_quantiles": {
            f"{q:g}": float(np.quantile(train.density, q)) for q in QUANTILES
        },
        "density_histogram": _density_histogram(train.density),
        "baselines_held_out_fvu": {"mean": 1.0, f"pca_{k}": pca},
        "peak_learning_rate": peak_learning_rate(config),
        "n_steps": config.n_steps,
        "n_examples": n_examples,
        "seconds": seconds,
        "examples_per_second": n_examples / seconds,
        "data_fingerprint": reader.fingerprint,
        "data_variance": data.variance,
        "versions": {name: metadata.version(name) for name in PACKAGES}
        | {"sae_jax": sae_jax.__version__, "python": platform.python_version()},
        "device": sharding.describe(mesh),
        "config": dataclasses.asdict(config),
    }


def _density_histogram(density: Float[np.ndarray, " n_latents"]) -> dict[str, list[Any]]:
    """How many latents there are between powers of ten of density; dead ones are in none."""
    alive = np.log10(density[density > 0]).clip(DENSITY_EDGES[0], DENSITY_EDGES[-1])
    counts, _ = np.histogram(alive, DENSITY_EDGES)
    return {"log10_edges": DENSITY_EDGES.tolist(), "n_latents": counts.tolist()}


def _numbers(quality: evaluate.Quality) -> dict[str, float]:
    return {
        "fvu": quality.fvu,
        "cosine": quality.cosine,
        "l0": quality.l0,
        "n_rows": quality.n_rows,
    }


def describe(summary: dict[str, Any]) -> str:
    """The summary as a person reads it."""
    held_out, train = summary["held_out"], summary["train"]
    density, sae = summary["density_quantiles"], summary["config"]["sae"]
    baselines = ",  ".join(
        f"{name.replace('_', '-')} {fvu:.4f}"
        for name, fvu in summary["baselines_held_out_fvu"].items()
    )

    def line(name: str, values: str, meaning: str) -> str:
        return f"  {name:<9} {values:<32} {meaning}"

    def both(name: str, form: str) -> str:
        return "  ".join(f"{part[name]:>10{form}}" for part in (held_out, train))

    return "\n".join(
        [
            line(
                "",
                "  held out       train",
                f"{held_out['n_rows']:,}, {train['n_rows']:,} rows",
            ),
            line("fvu", both("fvu", ".4f"), "share of the variance not explained"),
            line("", f"    to beat: {baselines}", "baselines' held-out fvu"),
            line("cosine", both("cosine", ".4f"), "of a row and its reconstruction"),
            line("L0", both("l0", ".1f"), f"latents on per row (k {sae['k']})"),
            line(
                "dead",
                f"{100 * summary['dead_fraction']:>21.2f}%",
                f"of {sae['n_latents']:,} latents, on no training row",
            ),
            line(
                "density",
                f"{density['0.05']:.5f} … {density['0.5']:.5f} … {density['0.95']:.5f}",
                "share of rows a latent is on: 5 %, median, 95 %",
            ),
            line(
                "speed",
                f"{summary['examples_per_second']:,.0f} examples/s",
                f"{summary['n_examples']:,} in {duration(summary['seconds'])} "
                f"on {summary['device']}",
            ),
        ]
    )
