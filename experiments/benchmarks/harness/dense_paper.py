"""The recipe of arXiv 2408.00657 written densely, as a first version of it would be.

Our own few lines for the published maths: three decodes (k, always 4 k although its
coefficient is 0, and AuxK), each a dense product of codes that are mostly zeros, and each
with dense gradients: twelve products a step. It stands for a straightforward implementation
of the recipe, not for the authors' program.
"""

from typing import Any

import torch  # type: ignore[import-not-found]

from harness.protocol import DEAD_BIAS
from harness.torch_peers import AUXK_COEFFICIENT, Peer

LEARNING_RATE = 1e-4
DEAD_AFTER_STEPS = 266
MULTI_K_COEFFICIENT = 0.0
CLIP_NORM = 1.0


class DensePaper(Peer):
    def __init__(self, **size: Any) -> None:
        super().__init__(**size)
        directions = torch.empty(self.d_in, self.n_latents, device=self.device)
        torch.nn.init.xavier_uniform_(directions)
        directions /= directions.norm(dim=0)
        self.W_dec = torch.nn.Parameter(directions)  # a unit column per latent
        self.W_enc = torch.nn.Parameter(directions.T.clone().contiguous())
        self.b_enc = torch.nn.Parameter(torch.zeros(self.n_latents, device=self.device))
        self.b_dec = torch.nn.Parameter(self.first_rows[:10_000].median(dim=0).values)
        self._parameters = [self.W_enc, self.W_dec, self.b_enc, self.b_dec]
        self._optimizer = torch.optim.Adam(self._parameters, lr=LEARNING_RATE)
        self._silent_steps = torch.zeros(self.n_latents, device=self.device)
        self.config = {
            "recipe": f"arXiv 2408.00657, dense; Adam, lr {LEARNING_RATE} constant",
            "auxk": f"k_aux 2 k, decoded in every step; 4 k at {MULTI_K_COEFFICIENT}",
        }

    def codes(self, pre_acts: Any, k: int) -> tuple[Any, Any]:
        """[batch, n_latents], zero but for the k largest after ReLU; and where those are."""
        kept = pre_acts.topk(k, dim=-1)
        dense = torch.zeros_like(pre_acts).scatter(-1, kept.indices, kept.values.relu())
        return dense, kept.indices

    def loss(self, x: Any) -> tuple[Any, Any]:
        pre_acts = (x - self.b_dec) @ self.W_enc.T + self.b_enc
        codes, indices = self.codes(pre_acts, self.k)
        x_hat = codes @ self.W_dec.T + self.b_dec
        wide, _ = self.codes(pre_acts, min(4 * self.k, self.n_latents))
        wide_x_hat = wide @ self.W_dec.T + self.b_dec
        dead = (self._silent_steps > DEAD_AFTER_STEPS).float()
        dead_codes, _ = self.codes(pre_acts * dead, 2 * self.k)
        error = x - x_hat.detach()
        parts = (
            normalised_error(x_hat, x),
            MULTI_K_COEFFICIENT * normalised_error(wide_x_hat, x),
            AUXK_COEFFICIENT * normalised_error(dead_codes @ self.W_dec.T, error),
        )
        return sum(parts), indices

    def step(self, x: Any) -> None:
        loss, indices = self.loss(x)
        self._optimizer.zero_grad()
        loss.backward()
        with torch.no_grad():
            gradient = self.W_dec.grad
            gradient -= (gradient * self.W_dec).sum(dim=0) * self.W_dec
            torch.nn.utils.clip_grad_norm_(self._parameters, CLIP_NORM)
            self._optimizer.step()
            self.W_dec /= self.W_dec.norm(dim=0)
            self._silent_steps += 1
            self._silent_steps[indices.flatten()] = 0
        loss.item()  # a loss is logged every step

    def reconstruct(self, x: Any) -> Any:
        codes, _ = self.codes((x - self.b_dec) @ self.W_enc.T + self.b_enc, self.k)
        return codes @ self.W_dec.T + self.b_dec

    def kill(self, dead: Any) -> None:
        self.b_enc.data[dead] = DEAD_BIAS
        self._silent_steps[dead] = DEAD_AFTER_STEPS + 1


def normalised_error(found: Any, wanted: Any) -> Any:
    """Mean squared error over the batch's own variance."""
    spread = (wanted.mean(dim=0) - wanted).square().mean()
    return (found - wanted).square().mean() / spread
