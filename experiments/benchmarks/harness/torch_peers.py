"""The peers, each at its own recipe, by the calls that its own training loop makes.

Where a loop cannot be called with vectors (sparsify's is a hook inside a language model), its
step is enacted here with the peer's own model, losses and optimiser. What a recipe needs
changed to run at all, or runs faster with, is said beside it and recorded in `config`.
"""

from collections.abc import Iterator
from typing import Any

import torch  # type: ignore[import-not-found]

AUXK_COEFFICIENT = 1 / 32


class Peer:
    """A model and its optimiser; a peer overrides `step`, or `train` if it has the loop."""

    packages: tuple[str, ...] = ()
    config: dict[str, Any]

    def __init__(self, **size: Any) -> None:
        self.d_in, self.n_latents, self.k = size["d_in"], size["n_latents"], size["k"]
        self.batch_size, self.n_steps = size["batch_size"], size["n_steps"]
        self.device, self.first_rows = size["device"], size["first_rows"]

    def train(self, batches: Iterator[Any]) -> None:
        for x in batches:
            self.step(x)

    def step(self, x: Any) -> None:
        raise NotImplementedError

    def reconstruct(self, x: Any) -> Any:
        raise NotImplementedError

    def kill(self, dead: Any) -> None:
        """Makes latents unable to fire, and dead by the peer's own count."""
        raise NotImplementedError

    def evaluating(self, on: bool) -> None:
        """Called before and after `reconstruct`s."""

    def short_warmup(self, default: int) -> int:
        """The peer's own warm-up, or a twentieth of a run that it would fill most of."""
        return default if self.n_steps >= 5 * default else self.n_steps // 20


class SaeLens(Peer):
    """SAETrainer.step, with the fields that SAETrainer.fit moves on around it."""

    sparse = False
    packages = ("sae_lens",)

    def __init__(self, **size: Any) -> None:
        super().__init__(**size)
        from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig  # type: ignore
        from sae_lens.config import SAETrainerConfig  # type: ignore
        from sae_lens.training.sae_trainer import SAETrainer  # type: ignore

        changed = {}
        if self.sparse:  # with the default rescaling its backward pass fails on a CPU
            changed = {"use_sparse_activations": True, "rescale_acts_by_decoder_norm": False}
        sae = TopKTrainingSAE(
            TopKTrainingSAEConfig(
                d_in=self.d_in, d_sae=self.n_latents, k=self.k, device=self.device, **changed
            )
        )
        settings = SAETrainerConfig(
            total_training_samples=self.n_steps * self.batch_size,
            train_batch_size_samples=self.batch_size,
            device=self.device,
            lr_end=3e-5,  # it must be said, and a constant rate never uses it
        )
        self._trainer = SAETrainer(settings, sae, data_provider=iter(()))
        self.config = {
            "recipe": f"TopKTrainingSAE, SAETrainer: defaults, lr {settings.lr} constant",
            "changed": changed,
            "auxk": f"k_aux d/2, coefficient {sae.cfg.aux_loss_coefficient}",
        }

    def step(self, x: Any) -> None:
        self._trainer.step(x)
        self._trainer.n_training_steps += 1

    def reconstruct(self, x: Any) -> Any:
        return self._trainer.sae(x)

    def kill(self, dead: Any) -> None:
        from harness.protocol import DEAD_BIAS

        self._trainer.sae.b_enc.data[dead] = DEAD_BIAS
        since = self._trainer.n_forward_passes_since_fired
        since[dead] = self._trainer.cfg.dead_feature_window + 1


class SaeLensSparse(SaeLens):
    sparse = True


class DictionaryLearning(Peer):
    """TopKTrainer.update."""

    packages = ("dictionary_learning.trainers.top_k",)

    def __init__(self, **size: Any) -> None:
        super().__init__(**size)
        from dictionary_learning.trainers.top_k import TopKTrainer  # type: ignore

        warmup = self.short_warmup(1_000)  # it refuses a warm-up as long as the run
        self._trainer = TopKTrainer(
            steps=self.n_steps,
            activation_dim=self.d_in,
            dict_size=self.n_latents,
            k=self.k,
            layer=0,
            lm_name="vectors",
            warmup_steps=warmup,
            seed=0,
            device=self.device,
        )
        self._n_done = 0
        self.config = {
            "recipe": f"TopKTrainer: defaults, lr {self._trainer.lr:.2g}",
            "changed": {} if warmup == 1_000 else {"warmup_steps": warmup},
            "auxk": f"k_aux d/2, coefficient {self._trainer.auxk_alpha}",
        }

    def step(self, x: Any) -> None:
        self._trainer.update(self._n_done, x)
        self._n_done += 1

    def reconstruct(self, x: Any) -> Any:
        return self._trainer.ae(x)

    def kill(self, dead: Any) -> None:
        from harness.protocol import DEAD_BIAS

        self._trainer.ae.encoder.bias.data[dead] = DEAD_BIAS
        self._trainer.num_tokens_since_fired[dead] = self._trainer.dead_feature_threshold


class Sparsify(Peer):
    """SparseCoder, stepped as Trainer.fit does; Adam, an option of its TrainConfig."""

    packages = ("sparsify",)

    def __init__(self, **size: Any) -> None:
        super().__init__(**size)
        from sparsify import SparseCoder, SparseCoderConfig, TrainConfig  # type: ignore

        torch.set_float32_matmul_precision("high")  # as Trainer.fit does; no change on a CPU
        coder = SparseCoderConfig(num_latents=self.n_latents, k=self.k)
        self._settings = TrainConfig(coder, auxk_alpha=AUXK_COEFFICIENT)
        self._sae = SparseCoder(self.d_in, coder, self.device, dtype=torch.float32)
        self._since = torch.zeros(self.n_latents, dtype=torch.long, device=self.device)
        self._fired = torch.zeros(self.n_latents, dtype=torch.bool, device=self.device)
        self._first = True
        scale = (self.n_latents / 2**14) ** 0.5
        self.config = {
            "recipe": self._make_optimizer(scale),
            "changed": {"auxk_alpha": "1/32 (default 0)"},
            "auxk": "k_aux d/2",
        }

    def _make_optimizer(self, scale: float) -> str:
        warmup = self.short_warmup(self._settings.lr_warmup_steps)
        self._optimizer = torch.optim.Adam(self._sae.parameters(), lr=2e-4 / scale)

        def share(step: int) -> float:  # up to the rate, then down to 0 at the end
            left = (self.n_steps - step) / max(1, self.n_steps - warmup)
            return step / warmup if step < warmup else max(0.0, left)

        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, share)
        return f"Adam, lr {2e-4 / scale:.2g}, warm-up {warmup}, linear decay to 0"

    def step(self, x: Any) -> None:
        sae = self._sae
        if self._first:
            sae.b_dec.data = x.mean(0)
            self._first = False
        sae.set_decoder_norm_to_unit_norm()
        out = sae(x, dead_mask=self._since > self._settings.dead_feature_threshold)
        self._fired[out.latent_indices.flatten()] = True
        float(out.fvu.detach()), float(out.auxk_loss.detach())  # it reads both every step
        (out.fvu + AUXK_COEFFICIENT * out.auxk_loss + out.multi_topk_fvu / 8).backward()
        sae.remove_gradient_parallel_to_decoder_directions()
        self._optimizer.step()
        self._optimizer.zero_grad()
        if self._schedule:
            self._schedule.step()
        self._since += len(x)
        self._since[self._fired] = 0
        self._fired.zero_()

    def reconstruct(self, x: Any) -> Any:
        return self._sae(x).sae_out

    def kill(self, dead: Any) -> None:
        from harness.protocol import DEAD_BIAS

        self._sae.encoder.bias.data[dead] = DEAD_BIAS
        self._since[dead] = self._settings.dead_feature_threshold + 1


class SparsifySignum(Sparsify):
    """The same with its default optimiser, sign descent without a schedule."""

    def _make_optimizer(self, scale: float) -> str:
        from schedulefree import ScheduleFreeWrapper  # type: ignore
        from sparsify.sign_sgd import SignSGD  # type: ignore

        base = SignSGD(self._sae.parameters(), lr=5e-3 / scale)
        self._optimizer = ScheduleFreeWrapper(base, momentum=0.95)
        self._optimizer.train()
        self._schedule = None
        return f"Signum (its default), schedule-free, lr {5e-3 / scale:.2g}"

    def evaluating(self, on: bool) -> None:
        self._optimizer.eval() if on else self._optimizer.train()


class Overcomplete(Peer):
    """TopKSAE in train_sae, as its README trains: squared error alone, no AuxK."""

    auxk = False
    packages = ("overcomplete.sae",)

    def __init__(self, **size: Any) -> None:
        super().__init__(**size)
        from overcomplete.sae import TopKSAE  # type: ignore
        from overcomplete.sae.losses import top_k_auxiliary_loss  # type: ignore

        self._sae = TopKSAE(self.d_in, self.n_latents, top_k=self.k, device=self.device)
        self._optimizer = torch.optim.Adam(self._sae.parameters(), lr=5e-4)
        self._loss = top_k_auxiliary_loss if self.auxk else squared_error
        self.config = {
            "recipe": "TopKSAE, train_sae(monitoring=0), Adam, lr 5e-4 constant",
            "auxk": "top_k_auxiliary_loss, n/2 of all latents" if self.auxk else "none",
        }

    def train(self, batches: Iterator[Any]) -> None:
        from overcomplete.sae import train_sae

        train_sae(
            self._sae, batches, self._loss, self._optimizer,
            nb_epochs=1, monitoring=0, device=self.device,
        )  # fmt: skip

    def reconstruct(self, x: Any) -> Any:
        return self._sae(x)[2]

    def kill(self, dead: Any) -> None:
        """Nothing: it counts no dead latents, and its AuxK always works."""


class OvercompleteAuxk(Overcomplete):
    auxk = True


def squared_error(x: Any, x_hat: Any, *_: Any) -> Any:
    return (x - x_hat).square().mean()


PEERS: dict[str, type[Peer]] = {
    "saelens": SaeLens,
    "saelens_sparse": SaeLensSparse,
    "dictionary_learning": DictionaryLearning,
    "sparsify": Sparsify,
    "sparsify_signum": SparsifySignum,
    "overcomplete": Overcomplete,
    "overcomplete_auxk": OvercompleteAuxk,
}
