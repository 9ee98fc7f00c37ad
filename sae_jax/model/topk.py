"""The top-k sparse autoencoder: encode, decode, and its loss (DESIGN §4)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from sae_jax.config import SaeConfig
from sae_jax.model import auxk, init, matmul, paths, sparse
from sae_jax.model.protocol import Autoencoder, Objective, Varied
from sae_jax.model.sparse import Codes, Encoder


class _Reconstruction(NamedTuple):
    codes: Codes
    product: Float[Array, "batch n_latents"]  # pre-activations but for b_enc
    error: Float[Array, "batch d_in"]
    fvu: Float[Array, ""]
    fvu_4k: Float[Array, ""] | None  # with 4 k latents, where Multi-TopK asks for it


class TopKAutoencoder(Autoencoder):
    """x ≈ Σ_j values_j W_dec[indices_j] + b_dec, with the k strongest latents of x.

    Source: Gao et al. 2024 (arXiv 2406.04093), sections 2.3 and 2.4.
    """

    def __init__(
        self,
        *,
        W_enc: Float[Array, "d_in n_latents"],
        b_enc: Float[Array, " n_latents"],
        W_dec: Float[Array, "n_latents d_in"],
        b_dec: Float[Array, " d_in"],
    ) -> None:
        # Stored with one row per latent, like W_dec: sparse gradients then touch
        # contiguous rows. `W_enc` gives the public orientation.
        self.W_enc_rows = nnx.Param(W_enc.T)
        self.b_enc = nnx.Param(b_enc)
        self.W_dec = nnx.Param(W_dec)
        self.b_dec = nnx.Param(b_dec)

    @classmethod
    def create(
        cls, config: SaeConfig, *, seed: int, rows: Float[np.ndarray, "rows d_in"]
    ) -> "TopKAutoencoder":
        """W_dec in random unit rows, W_enc its transpose, b_dec the centre of the rows."""
        W_dec = init.random_directions(
            config.init, n_latents=config.n_latents, d_in=config.d_in, seed=seed
        )
        if config.init == "paper":
            b_dec = np.median(rows[:10_000], axis=0)  # by coordinate, of the first 10,000
        else:
            b_dec = init.geometric_median(rows)
        return cls(
            W_enc=W_dec.T,
            b_enc=jnp.zeros(config.n_latents),
            W_dec=W_dec,
            b_dec=jnp.asarray(b_dec, jnp.float32),
        )

    @property
    def W_enc(self) -> Float[Array, "d_in n_latents"]:
        return self.W_enc_rows[...].T

    def _product(
        self, x: Float[Array, "batch d_in"], config: SaeConfig
    ) -> Float[Array, "batch n_latents"]:
        """Pre-activations but for b_enc: the one large array, which is read and not copied."""
        centred = x - self.b_dec[...]
        return matmul.product(centred, self.W_enc_rows[...].T, matmul=config.matmul)

    def pre_acts(
        self, x: Float[Array, "batch d_in"], config: SaeConfig
    ) -> Float[Array, "batch n_latents"]:
        return self._product(x, config) + self.b_enc[...]

    def encode(self, x: Float[Array, "batch d_in"], config: SaeConfig) -> Codes:
        """The k strongest latents of each example, strongest first; zeros where ReLU cut."""
        product = self._product(x, config)
        return sparse.top_k(product, self.b_enc[...], config.k, paths=paths.choose(config))

    def decode(self, codes: Codes, config: SaeConfig) -> Float[Array, "batch d_in"]:
        directions = sparse.sum_rows(codes, self.W_dec[...], paths.choose(config))
        return directions + self.b_dec[...]

    def gradient(
        self,
        x: Float[Array, "batch d_in"],
        *,
        dead: Bool[Array, " n_latents"],
        data_variance: Float[Array, ""],
        config: SaeConfig,
        varied: Varied | None = None,
    ) -> tuple["TopKAutoencoder", Objective]:
        """Of fvu + AuxK, and + Multi-TopK where its coefficient is not 0.

        Source: Gao et al. 2024, section 2.4, appendices A.2 and A.3.
        """

        def loss(model: "TopKAutoencoder") -> tuple[Float[Array, ""], _Reconstruction]:
            return model._reconstruct(
                x, data_variance=data_variance, config=config, varied=varied
            )

        (loss_, of), gradient = jax.value_and_grad(loss, has_aux=True)(self)
        metrics = {"fvu": of.fvu, "auxk_loss": jnp.zeros(())}
        if of.fvu_4k is not None:
            metrics["fvu_4k"] = of.fvu_4k
        if config.auxk_coefficient:
            weight = (varied or config).auxk_coefficient
            settings = config.k_aux, weight, config.auxk_every
            weights, metrics["auxk_loss"] = auxk.add_gradient(
                gradient._weights(),
                self._weights(),
                auxk.Inputs(x, of.product, of.error, dead),
                how=auxk.How(*settings, paths.choose(config)),
            )
            (W_enc_rows, b_enc, b_dec), W_dec = weights
            gradient = type(self)(W_enc=W_enc_rows.T, b_enc=b_enc, W_dec=W_dec, b_dec=b_dec)
            loss_ += weight * metrics["auxk_loss"]
        metrics["loss"] = loss_
        return gradient, Objective(of.codes, metrics)

    def _weights(self) -> auxk.Weights:
        return auxk.Weights(self._encoder(), self.W_dec[...])

    def _encoder(self) -> Encoder:
        return Encoder(self.W_enc_rows[...], self.b_enc[...], self.b_dec[...])

    def _reconstruct(
        self,
        x: Float[Array, "batch d_in"],
        *,
        data_variance: Float[Array, ""],
        config: SaeConfig,
        varied: Varied | None,
    ) -> tuple[Float[Array, ""], _Reconstruction]:
        """The loss but for AuxK, and what it comes from."""
        # Without a gradient: _top_k gives the chosen ones theirs.
        product = jax.lax.stop_gradient(self._product(x, config))
        variance = data_variance
        if config.loss_normaliser == "batch":
            variance = jnp.mean(jnp.sum((x - x.mean(axis=0)) ** 2, axis=-1))

        def reconstruct(times: int) -> tuple[Codes, Array, Array]:
            codes = self._top_k(x, product, times * config.k, config=config)
            if varied:  # ranks come strongest first
                kept = jnp.arange(times * config.k) < times * varied.k
                codes = codes._replace(values=jnp.where(kept, codes.values, 0.0))
            error = x - self.decode(codes, config)
            return codes, error, jnp.mean(jnp.sum(error**2, axis=-1)) / variance

        codes, error, fvu = reconstruct(1)
        loss, fvu_4k = fvu, None
        if config.multi_topk_coefficient:
            _, _, fvu_4k = reconstruct(4)
            loss += (varied or config).multi_topk_coefficient * fvu_4k
        return loss, _Reconstruction(codes, product, error, fvu, fvu_4k)

    def _top_k(
        self,
        x: Float[Array, "batch d_in"],
        product: Float[Array, "batch n_latents"],
        k: int,
        *,
        config: SaeConfig,
    ) -> Codes:
        """The k strongest latents, differentiable in the weights."""
        how = paths.choose(config)
        codes = sparse.top_k(product, self.b_enc[...], k, paths=how)
        values = sparse.with_encoder_gradient(codes, x, self._encoder(), how)
        return Codes(values, codes.indices)

    def project(self, gradient: Autoencoder) -> "TopKAutoencoder":
        """The gradient of W_dec without its part along each row, which the norm undoes."""
        W_dec, d_W_dec = self.W_dec[...], gradient.W_dec[...]
        along = jnp.sum(d_W_dec * W_dec, axis=-1, keepdims=True)
        assert isinstance(gradient, TopKAutoencoder)
        return gradient._with_W_dec(d_W_dec - along * W_dec)

    def constrained(self) -> "TopKAutoencoder":
        return self._with_W_dec(init.unit_rows(self.W_dec[...]))

    def _with_W_dec(self, W_dec: Float[Array, "n_latents d_in"]) -> "TopKAutoencoder":
        return type(self)(
            W_enc=self.W_enc, b_enc=self.b_enc[...], W_dec=W_dec, b_dec=self.b_dec[...]
        )
