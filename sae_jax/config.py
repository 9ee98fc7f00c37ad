"""Every setting of a run, with its unit and default; none is read with a fallback elsewhere."""

import dataclasses
import json
from typing import Any

from sae_jax.errors import UsageError

ARCHITECTURES = ("topk",)
INITS = ("default", "paper")
NORMALISERS = ("dataset", "batch")
PRODUCTS = ("auto", "sparse", "dense")
SELECTIONS = ("auto", "lax", "chunks")
MATMULS = ("float32", "tf32", "bfloat16")
MOMENTS = ("float32", "bfloat16")
ROWS_PER_BLOCK = 1_024  # neighbours that a shuffle within windows reads together


@dataclasses.dataclass(slots=True, kw_only=True)
class SaeConfig:
    """What the autoencoder is, and the loss that shapes it."""

    d_in: int  # width of one embedding
    n_latents: int  # rows of the dictionary
    k: int  # latents kept per example
    architecture: str = "topk"  # a file of sae_jax/model
    init: str = "default"  # or "paper": coordinate-wise median, Xavier rows
    k_aux: int = 128  # dead latents that model the error, in the AuxK loss
    auxk_coefficient: float = 1 / 32  # weight of the AuxK loss
    auxk_every: int = 2  # one of so many examples has an AuxK loss; 1: all, as in Gao et al.
    multi_topk_coefficient: float = 0.0  # weight of the loss at 4 k; 0 leaves it out
    dead_after_examples: int = 262_144  # silent for so many examples: dead
    loss_normaliser: str = "dataset"  # or "batch": the variance that the loss is divided by
    products: str = "auto"  # "sparse" or "dense" decode and gradients; auto: model/paths.py
    selection: str = "auto"  # top-k by "lax" or by "chunks"; auto: model/paths.py
    matmul: str = "float32"  # inputs of dense products: or "tf32", "bfloat16"


@dataclasses.dataclass(slots=True, kw_only=True)
class OptimizerConfig:
    """Adam with a clipped gradient, and its learning rate over time."""

    learning_rate: float = 0.0  # peak; 0: the measured rule of train/optimizer.py
    warmup_steps: int = 50  # linear, from 0 to the peak
    decay_fraction: float = 0.2  # last share of the steps, linear down to 0
    clip_norm: float = 1.0  # largest global gradient norm
    ema_decay: float = 0.0  # averaged weights, used for evaluation; 0 is off
    first_moment: str = "float32"  # how Adam's first moment is stored: or "bfloat16"


@dataclasses.dataclass(slots=True, kw_only=True)
class Config:
    """One run: the autoencoder, the data, and how long."""

    sae: SaeConfig
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    shards: str  # folder of embeddings
    n_steps: int  # optimiser steps
    batch_size: int = 1_024  # examples per step, over all devices
    seed: int = 0  # of the initial weights
    data_seed: int = 0  # of the order of rows
    window_rows: int = 0  # rows shuffled together in memory; 0: the whole data set, exactly
    block_steps: int = 8  # steps per call of the compiled program
    log_every_steps: int = 64  # a multiple of block_steps, as is the next
    checkpoint_every_steps: int = 512  # evaluate on held-out rows, then save
    eval_rows: int = 16_384  # most held-out rows per evaluation during training

    def validate(self) -> None:
        """Raises UsageError, naming the setting, what was found, and what to do."""
        _check_sae(self.sae)
        _check_optimizer(self.optimizer)
        positive = (
            "n_steps", "batch_size", "block_steps", "log_every_steps",
            "checkpoint_every_steps", "eval_rows",
        )  # fmt: skip
        for name in positive:
            _at_least(name, getattr(self, name), 1)
        _at_least("window_rows", self.window_rows, 0)
        if self.window_rows % ROWS_PER_BLOCK:
            raise UsageError(
                f"window_rows={self.window_rows} is not a multiple of {ROWS_PER_BLOCK}, the "
                "neighbouring rows that are read together. Set window_rows to "
                f"{-(-self.window_rows // ROWS_PER_BLOCK) * ROWS_PER_BLOCK}, or to 0."
            )
        for name in ("log_every_steps", "checkpoint_every_steps"):
            value = getattr(self, name)
            if value % self.block_steps:
                raise UsageError(
                    f"{name}={value} is not a multiple of block_steps={self.block_steps}: "
                    "logs and checkpoints fall between blocks of steps. "
                    f"Set {name} to {-(-value // self.block_steps) * self.block_steps}."
                )
        every = self.sae.auxk_every
        if self.sae.auxk_coefficient and self.batch_size % every:
            raise UsageError(
                f"batch_size={self.batch_size} is not a multiple of sae.auxk_every={every}: "
                "AuxK is taken of one example of so many. Set "
                f"batch_size to {-(-self.batch_size // every) * every}, or sae.auxk_every=1."
            )
        if not self.shards:
            raise UsageError(
                "shards is empty; expected the folder of the embeddings. "
                "Set --config.shards=FOLDER."
            )

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Config":
        fields: dict[str, Any] = json.loads(text)
        return cls(
            # Runs begun before there was this setting took the order of rows from the seed.
            **{"data_seed": fields.get("seed", 0)}
            | fields
            | {
                # Runs begun before there was this setting used every example.
                "sae": SaeConfig(**{"auxk_every": 1} | fields["sae"]),
                "optimizer": OptimizerConfig(**fields["optimizer"]),
            }
        )


def _at_least(name: str, value: int | float, least: int | float) -> None:
    if value < least:
        raise UsageError(f"{name}={value}; expected at least {least}. Set --config.{name}.")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(
            f"{name}={value!r} is not known; expected one of {', '.join(known)}. "
            f"Set --config.{name}."
        )


def _check_sae(sae: SaeConfig) -> None:
    for name in ("d_in", "n_latents", "k", "k_aux", "auxk_every", "dead_after_examples"):
        _at_least(f"sae.{name}", getattr(sae, name), 1)
    for name in ("auxk_coefficient", "multi_topk_coefficient"):
        _at_least(f"sae.{name}", getattr(sae, name), 0)
    for name in ("k", "k_aux"):
        if getattr(sae, name) > sae.n_latents:
            raise UsageError(
                f"sae.{name}={getattr(sae, name)} is more than sae.n_latents="
                f"{sae.n_latents}: no more latents can be kept than there are. "
                f"Lower sae.{name}, or raise sae.n_latents."
            )
    if sae.multi_topk_coefficient and 4 * sae.k > sae.n_latents:
        raise UsageError(
            f"sae.multi_topk_coefficient={sae.multi_topk_coefficient} needs 4 k latents: "
            f"4 × sae.k={4 * sae.k} is more than sae.n_latents={sae.n_latents}. "
            "Lower sae.k, or set sae.multi_topk_coefficient=0."
        )
    if sae.dead_after_examples > 2**30:
        raise UsageError(
            f"sae.dead_after_examples={sae.dead_after_examples} is more than the counter "
            f"holds; expected at most {2**30}."
        )
    _one_of("sae.architecture", sae.architecture, ARCHITECTURES)
    _one_of("sae.init", sae.init, INITS)
    _one_of("sae.loss_normaliser", sae.loss_normaliser, NORMALISERS)
    _one_of("sae.products", sae.products, PRODUCTS)
    _one_of("sae.selection", sae.selection, SELECTIONS)
    _one_of("sae.matmul", sae.matmul, MATMULS)


def _check_optimizer(optimizer: OptimizerConfig) -> None:
    _one_of("optimizer.first_moment", optimizer.first_moment, MOMENTS)
    _at_least("optimizer.learning_rate", optimizer.learning_rate, 0)
    _at_least("optimizer.warmup_steps", optimizer.warmup_steps, 0)
    if optimizer.clip_norm <= 0:
        raise UsageError(
            f"optimizer.clip_norm={optimizer.clip_norm}; expected more than 0 (1.0 is the "
            "paper's; a large number such as 1e9 never clips)."
        )
    for name, below in (("decay_fraction", 1.0 + 1e-9), ("ema_decay", 1.0)):
        value = getattr(optimizer, name)
        if not 0 <= value < below:
            raise UsageError(
                f"optimizer.{name}={value}; expected a share from 0 to 1"
                f"{', and less than 1' if below == 1 else ''}."
            )
