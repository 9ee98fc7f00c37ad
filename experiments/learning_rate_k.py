"""How the best learning rate depends on k: 22 members, read for the rule in BUILD.md.

sae-jax sweep --config=experiments/learning_rate_k.py --config.shards=DATA/wordnet-glosses \
    --workdir=runs/learning-rate-k
Hardware, time: 2 CPU cores, about 30 min (run in three parts). Held-out fvu, and in brackets
the dead latents where over 0.1 %, at these multiples of 4e-3 · (3,072 / n_latents)^¼:

n_latents, k    .25   .5    .71         1           1.41         2     2.83         4
1,536      16               .301        .300        .304 (0.9)
           64                           .169        .164               .176 (1.1)
          128   .138  .104              .080                     .073               .084 (5.5)
6,144      16               .250 (0.4)  .248 (2.7)  .257 (13.4)
           64                           .169        .162               .167 (11.9)
          128   .166  .148              .131                     .105               .088 (13.5)
"""

from collections.abc import Iterator

BASE = "experiments/wordnet.py"
MULTIPLES = {16: (0.71, 1.0, 1.41), 64: (1.0, 1.41, 2.83), 128: (0.25, 0.5, 1.0, 2.0, 4.0)}


def sweep() -> Iterator[dict[str, object]]:
    """Yields, for each member, the settings in which it differs from BASE."""
    for n_latents in (1_536, 6_144):
        for k, multiples in MULTIPLES.items():
            for multiple in multiples:
                rate = round(4e-3 * (3_072 / n_latents) ** 0.25 * multiple, 5)
                yield {"sae.n_latents": n_latents, "sae.k": k, "optimizer.learning_rate": rate}
