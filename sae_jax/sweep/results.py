"""What a folder says of the runs in it: numbers and curves, also of those not finished."""

import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sae_jax.analysis import scaling
from sae_jax.config import Config
from sae_jax.errors import CheckpointError, UsageError
from sae_jax.sweep import sweep
from sae_jax.train import run_folder
from sae_jax.train.metrics import JSON_LINES

# Settings that a table has columns for; members that differ in others are of other variants.
OF_A_LAW = ("n_latents", "k", "seed")


DENSE = 0.1  # density of a latent that is no longer sparse


class Point(NamedTuple):
    """Of a learning curve."""

    step: int
    fvu: float


class Result(NamedTuple):
    """One run of a sweep, as far as it has come."""

    folder: pathlib.Path
    name: str
    variant: str  # its overrides other than n_latents, k and seed
    config: Config | None  # None where it was never begun
    summary: Mapping[str, Any] | None  # None where it is not finished
    error: str  # why it failed; empty where it did not
    curves: dict[str, list[Point]]  # of the splits held_out and train

    @property
    def state(self) -> str:
        if self.summary:
            return "finished"
        return "failed" if self.error else "unfinished" if self.curves else "not begun"


class Finished(NamedTuple):
    """The numbers of a finished run; fvu is of its end. What tables and laws are made of."""

    name: str
    variant: str
    corpus: str
    n_latents: int
    k: int
    seed: int
    learning_rate: float  # the peak
    fvu: float
    fvu_train: float
    cosine: float
    l0: float
    dead_fraction: float
    density_median: float
    dense_share: float  # of L0 that latents on for over a tenth of rows make up; NaN: unknown
    seconds: float
    examples_per_second: float
    n_examples: int
    flops: float  # of training, as counted in analysis/scaling.py
    paper_flops: float  # as arXiv 2408.00657 counts them
    device: str


def read_results(folder: pathlib.Path) -> list[Result]:
    """Of a sweep's folder, or of a single run's.

    Raises:
        UsageError: it is neither.
    """
    if (folder / "sweep.json").exists():
        members = sweep.read_members(folder)
        return [_read(folder / name, overrides=o, name=name) for name, o in members.items()]
    if (folder / "config.json").exists():
        return [_read(folder, overrides={}, name=folder.absolute().name)]
    raise UsageError(
        f"{folder}: has neither sweep.json nor config.json; expected the --workdir of "
        "`sae-jax sweep` or of `sae-jax train`."
    )


def _read(folder: pathlib.Path, *, overrides: Mapping[str, Any], name: str) -> Result:
    begun = (folder / "config.json").exists()
    failure = run_folder.read_failure(folder)
    others = {key.rsplit(".", 1)[-1]: value for key, value in overrides.items()}
    found = Result(
        folder=folder,
        name=name,
        variant=",".join(f"{k}={v}" for k, v in others.items() if k not in OF_A_LAW),
        config=run_folder.read_config(folder) if begun else None,
        summary=None,
        error=failure.error if failure else "",
        curves=_read_curves(folder / JSON_LINES),
    )
    # The other members are reported, whatever has become of this one's summary.
    try:
        summary = run_folder.read_summary(folder)
        if summary and found.config:
            _numbers(found, config=found.config, summary=summary)
        return found._replace(summary=summary)
    except CheckpointError as error:
        return found._replace(error=str(error))
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        why = (
            f"{folder / 'summary.json'}: has not the numbers that training writes "
            f"({type(error).__name__}: {error}). Remove it and run the same command again."
        )
        return found._replace(error=why)


def _read_curves(path: pathlib.Path) -> dict[str, list[Point]]:
    curves: dict[str, list[Point]] = {}
    if not path.exists():
        return curves
    for text in path.read_text().splitlines():
        try:
            line = json.loads(text)
            if line["split"] in ("held_out", "train") and line["fvu"] is not None:
                curves.setdefault(line["split"], []).append(Point(line["step"], line["fvu"]))
        except (LookupError, TypeError, ValueError):  # cut short by a kill, or still written
            break
    return curves


def finished(results: Sequence[Result]) -> list[Finished]:
    """The numbers of the runs that came to their end, by size, k and seed."""
    found = [
        _numbers(result, config=result.config, summary=result.summary)
        for result in results
        if result.summary and result.config
    ]
    return sorted(
        found, key=lambda one: (one.corpus, one.n_latents, one.k, one.variant, one.seed)
    )


def step_costs(config: Config) -> tuple[float, float]:
    """FLOPs of one step: as computed, and as the paper counts them."""
    sae = config.sae
    size = {"d_in": sae.d_in, "n_latents": sae.n_latents, "k": sae.k}
    return (
        scaling.step_flops(**size, batch_size=config.batch_size),
        scaling.paper_step_flops(**size),
    )


def dense_share(summary: Mapping[str, Any]) -> float:
    """From the histogram of densities, so to two places; NaN for runs that have none."""
    found = summary.get("density_histogram")
    if not found:
        return math.nan
    edges, n = np.array(found["log10_edges"]), np.array(found["n_latents"], float)
    on = n * 10 ** ((edges[1:] + edges[:-1]) / 2)
    return float(on[edges[:-1] >= np.log10(DENSE) - 1e-9].sum() / max(on.sum(), 1e-12))


def _numbers(result: Result, *, config: Config, summary: Mapping[str, Any]) -> Finished:
    held_out, train = summary["held_out"], summary["train"]
    flops, paper_flops = step_costs(config)
    return Finished(
        name=result.name,
        variant=result.variant,
        corpus=f"{pathlib.PurePath(config.shards).name} ({summary['data_fingerprint'][:8]})",
        n_latents=config.sae.n_latents,
        k=config.sae.k,
        seed=config.seed,
        # Runs of before 2026-11-23 do not say what the rule of their day gave.
        learning_rate=summary.get("peak_learning_rate", config.optimizer.learning_rate)
        or math.nan,
        fvu=held_out["fvu"],
        fvu_train=train["fvu"],
        cosine=held_out["cosine"],
        l0=held_out["l0"],
        dead_fraction=summary["dead_fraction"],
        density_median=summary["density_quantiles"]["0.5"],
        dense_share=dense_share(summary),
        seconds=summary["seconds"],
        examples_per_second=summary["examples_per_second"],
        n_examples=summary["n_examples"],
        flops=config.n_steps * flops,
        paper_flops=config.n_steps * paper_flops,
        device=summary["device"],
    )
