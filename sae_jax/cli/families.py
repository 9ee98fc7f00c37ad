"""Find the feature families of an encoded run.

  sae-jax encode runs/first && sae-jax families runs/first
  sae-jax families runs/first --method=paper

A family is a general latent with specific ones below it. Ours asks for co-occurrence beyond
chance, and a latent may have several parents; paper is the algorithm of arXiv 2408.00657.
Writes RUN/families/CORPUS-METHOD.json: edges, families and measures beside a null; where the
corpus has a true hierarchy, agreement with it, too.
"""

from absl import flags

from sae_jax.cli.arguments import define_corpus, open_run

SHOWN = 5


def define_flags(values: flags.FlagValues) -> None:
    define_corpus(values)
    flags.DEFINE_enum("method", "ours", ["ours", "paper"], "Which.", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> None:
    # Imported here: JAX takes a second, which `--help` need not wait for.
    from sae_jax.analysis import cooccurrence, families, family_report, paper_families
    from sae_jax.analysis.label_names import read_labels
    from sae_jax.data.manifest import write_atomically
    from sae_jax.data.numbers import to_json

    folder, sae, reader = opened = open_run(arguments, values)
    stored = opened.codes()
    on = cooccurrence.active(stored)
    if values.method == "ours":
        found = families.find_families(on)
    else:
        found = paper_families.find_paper_families(on)
    made = family_report.make(found, sae=sae, stored=stored, on=on, reader=reader)
    out = folder / "families" / f"{stored.folder.name}-{values.method}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    text = to_json({"method": values.method} | made, indent=1)
    write_atomically(out, text.encode())
    names = read_labels(
        folder / "features" / stored.folder.name,
        run_fingerprint=stored.manifest.run_fingerprint,
    )
    print(family_report.describe(made, names=names, most=SHOWN))
    print(f"Families: {out}")
