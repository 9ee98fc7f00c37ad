"""The paper's recipe on the benchmark corpus, to compare experiments/wordnet.py with.

sae-jax train --config=experiments/wordnet_paper.py --config.shards=DATA/wordnet-glosses \
    --workdir=runs/wordnet-paper
Hardware, time, result: 2 CPU cores, 73 s; held-out fvu .410 (PCA-32 .643), none dead.
"""

from sae_jax.config import Config, OptimizerConfig, SaeConfig


def get_config() -> Config:
    return Config(
        sae=SaeConfig(
            d_in=384,
            n_latents=3_072,
            k=32,
            init="paper",
            k_aux=64,  # 2 k, as in the paper
            auxk_every=1,
            dead_after_examples=272_384,  # 266 steps of 1,024
            loss_normaliser="batch",
        ),
        optimizer=OptimizerConfig(learning_rate=1e-4, warmup_steps=0, decay_fraction=0.0),
        shards="data/wordnet-glosses",
        n_steps=1_036,  # 10 passes over 106,012 training rows
    )
