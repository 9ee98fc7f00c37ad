"""Match the latents of runs: which are the same, which are in all, and how they split.

  sae-jax match runs/seed0 runs/seed1 runs/seed2
  sae-jax match runs/1536 runs/3072 runs/6144
  sae-jax encode runs/b --shards=data/a && sae-jax match runs/a runs/b

The first run is matched with each other, by decoder rows and by activation on its own corpus
or that of --shards, of which all need codes. Where no two runs are of one size, also from each
size to the next: children, and true concepts where the corpus has a hierarchy. Two runs alone
may be of one size: how much "splits" by training anew. Every number stands beside what chance
gives. Writes to RUN/matching/CORPUS/ a .json, a .csv with a line for
each latent, and one for each child, named by the other runs and a hash of where they lie.
"""

from absl import flags

from sae_jax.cli.arguments import define_corpus
from sae_jax.errors import UsageError


def define_flags(values: flags.FlagValues) -> None:
    define_corpus(values)
    flags.DEFINE_integer(
        "seed", 0, "Of what chance gives, of intervals, and of the trees shown.",
        flag_values=values,
    )  # fmt: skip


def run(values: flags.FlagValues, arguments: list[str]) -> None:
    # Imported here: JAX takes a second, which `--help` need not wait for.
    import functools

    from sae_jax.analysis import concepts, matching_report, matching_words
    from sae_jax.analysis.matching_runs import open_runs
    from sae_jax.data.manifest import write_atomically
    from sae_jax.data.numbers import to_json

    say = functools.partial(print, flush=True)
    runs, reader = open_runs(arguments, shards=values.shards)
    compared = matching_report.compare(runs, seed=values.seed, say=say)
    truth = None
    if compared.steps:
        try:
            truth = concepts.read_concepts(reader)
        except UsageError as error:
            say(f"No concepts: {error}")
    made = matching_report.make(compared, concepts=truth, seed=values.seed)
    out = runs[0].folder / "matching" / runs[0].stored.folder.name
    out.mkdir(parents=True, exist_ok=True)
    name = matching_report.file_name(runs)
    matches = matching_report.matches_as_csv(compared)
    write_atomically(out / f"{name}.csv", matches.encode())
    if compared.steps:
        links = matching_report.links_as_csv(compared)
        write_atomically(out / f"{name}-splitting.csv", links.encode())
    write_atomically(out / f"{name}.json", to_json(made, indent=1).encode())
    say(matching_words.describe(made))
    say(f"Matching: {out / name}.json")
