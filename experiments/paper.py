"""The recipe of arXiv 2408.00657 to the letter: astro-ph, 1,536 wide, 50 passes.

sae-jax train --config=experiments/paper.py --config.shards=FOLDER --workdir=runs/paper
For comparison, the paper's own curve for this size: fvu at step 1, 272, 2,443, 6,514 and
13,300 is .779, .431, .194, .136 and .119. It needs the authors' embeddings: 271,492
abstracts, text-embedding-3-small. Not yet run here.

The same: initial values, loss and its normaliser, constant learning rate, clip, dead
window, AuxK of every example and k_aux = 2 k. Mended, as in all of sae_jax: dead latents
are masked with −inf (with 0, negative ones get no gradient), a latent fires only where its
value is above 0, and a tenth of the rows is held out, where the paper trained and measured
on all.
"""

from sae_jax.config import Config, OptimizerConfig, SaeConfig


def get_config() -> Config:
    return Config(
        sae=SaeConfig(
            d_in=1_536,
            n_latents=9_216,
            k=64,
            init="paper",
            k_aux=128,
            auxk_every=1,
            dead_after_examples=272_384,  # 266 steps of 1,024: one pass
            loss_normaliser="batch",
        ),
        optimizer=OptimizerConfig(learning_rate=1e-4, warmup_steps=0, decay_fraction=0.0),
        shards="data/astro_ph",
        n_steps=13_300,
    )
