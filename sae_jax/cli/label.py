"""Label the latents of an encoded run by words, with scores.

  sae-jax encode runs/first && sae-jax label runs/first
  sae-jax label runs/first --shards=data/other

Half of the rows name each latent, the other half judge the name: F1 and AUROC against random
rows (easy) and against rows on which the latent nearly is on (hard). No language model is
asked. Writes RUN/features/CORPUS/labels.jsonl, a line for each latent.
"""

import json
import pathlib

import numpy as np
from absl import flags

from sae_jax.errors import UsageError

SHOWN = 5


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "shards", "", "Folder of embeddings, if not the run's own.", flag_values=values
    )
    flags.DEFINE_integer("seed", 0, "Of the halves, and of what is shown.", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> None:
    if len(arguments) != 1:
        raise UsageError(f"found the arguments {arguments}; expected one run folder.")
    # Imported here: JAX takes a second, which `--help` need not wait for.
    from sae_jax.analysis import encode, labels, terms
    from sae_jax.analysis.labels import Label
    from sae_jax.data.manifest import write_atomically
    from sae_jax.notebook import load, open_corpus

    folder = pathlib.Path(arguments[0])
    sae = load(folder)
    reader = open_corpus(folder, sae, shards=values.shards)
    stored = encode.open_run_codes(folder, sae, reader)
    counted = terms.count_terms(terms.read_texts(reader))
    print(f"{len(counted.names):,} terms in {reader.n_rows:,} texts", flush=True)
    found = labels.label_all(stored, counted, seed=values.seed)
    out = folder / "features" / stored.folder.name / "labels.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(
        out, "".join(json.dumps(label.as_json()) + "\n" for label in found).encode()
    )

    def mean(of: str) -> str:
        scores = [getattr(label, of) for label in found if label.state == "ok"]
        f1, auroc = (np.array([getattr(s, name) for s in scores]) for name in ("f1", "auroc"))
        return f"F1 {f1.mean():.3f}, AUROC {auroc.mean():.3f} (means of {len(scores):,})"

    states = [label.state for label in found]
    counts = ", ".join(f"{states.count(state):,} {state}" for state in dict.fromkeys(states))
    print(f"{len(found):,} latents: {counts}")
    if "ok" in states:
        print(f"  easy, strongest against random rows:   {mean('easy')}")
        print(f"  hard, all strengths against near ones: {mean('hard')}")
    named: list[Label] = [label for label in found if label.state == "ok"]
    drawn = np.random.default_rng(values.seed).permutation(len(named))[:SHOWN]
    print(f"{len(drawn)} of them, drawn at random:")
    for label in (named[i] for i in drawn.tolist()):
        assert label.easy is not None, "of those with a label"
        assert label.hard is not None, "of those with a label"
        scores = f"F1 {label.easy.f1:.2f} easy, {label.hard.f1:.2f} hard"
        print(f"  latent {label.latent}: {label.text} ({scores})")
    print(f"Labels: {out}")
