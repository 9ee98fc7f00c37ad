"""Show what the latents of an encoded run respond to, strongly, weakly and nearly.

  sae-jax encode runs/first && sae-jax latents runs/first
  sae-jax latents runs/first --n_latents=20 --n_examples=8
  sae-jax latents runs/first --latent=17,2040

Without --latent, they are drawn at random from those that are on for at least five rows,
so that what you see is typical and not picked. Of each: its strongest texts, one of its
median and one of its weakest tenth, one on which it is off though nearly on; latents whose
decoder row is like its own (cosine), and those that are on with it (share of its rows). Labels
of `sae-jax label` are shown where there are any.
"""

import textwrap
from typing import TYPE_CHECKING

import numpy as np
from absl import flags

from sae_jax.cli.arguments import define_corpus, named_latents, open_run

if TYPE_CHECKING:
    from sae_jax.analysis.features import Examples, Page
    from sae_jax.data.shards import ShardReader

LEAST_ROWS = 5  # a latent on for fewer says little
N_OTHERS = 2  # latents like it, and on with it


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_list(
        "latent", [], "Which latents, by number; otherwise drawn at random.", flag_values=values
    )
    flags.DEFINE_integer("n_latents", 5, "How many to draw.", lower_bound=1, flag_values=values)
    flags.DEFINE_integer(
        "n_examples", 5, "Strongest texts of each.", lower_bound=1, upper_bound=20,
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer("seed", 0, "Of the draw.", flag_values=values)
    define_corpus(values)


def run(values: flags.FlagValues, arguments: list[str]) -> None:
    # Imported here: JAX takes a second, which `--help` need not wait for.
    from sae_jax.analysis import feature_tables
    from sae_jax.analysis.features import FeaturePages
    from sae_jax.analysis.label_names import read_labels

    opened = open_run(arguments, values)
    chosen = named_latents(values.latent, n_latents=opened.sae.n_latents)
    stored = opened.codes()
    folder = feature_tables.folder_for(opened.folder, stored)
    pages = FeaturePages(stored, feature_tables.open_tables(stored, out=folder))
    names = read_labels(folder, run_fingerprint=stored.manifest.run_fingerprint)
    if not chosen:
        often = np.flatnonzero(pages.n_on >= LEAST_ROWS)
        n = min(values.n_latents, len(often))
        chosen = [int(i) for i in np.random.default_rng(values.seed).choice(often, n, False)]
        print(
            f"{n} of the {len(often):,} latents that are on for at least {LEAST_ROWS} of "
            f"{pages.n_rows:,} rows, drawn at random:"
        )
    for latent in chosen:
        page = pages.page(latent)
        name = f" “{names[latent]}”" if latent in names else ""
        print(f"\nlatent {latent}{name}: on for {100 * page.density:.3g} % of rows")
        _show_rows(page, reader=opened.reader, n_examples=values.n_examples)
        _show_others(page, names=names)


def _show_rows(page: "Page", *, reader: "ShardReader", n_examples: int) -> None:
    strongest = type(page.top)(*(part[:n_examples] for part in page.top))
    for said, examples, most in (
        ("", strongest, n_examples),
        ("median", page.deciles[len(page.deciles) // 2], 1),
        ("weak", page.deciles[-1], 1),
        ("off", page.near, 1),
    ):
        for value, text in _texts(examples, reader=reader, most=most):
            line = textwrap.shorten(text, 77, placeholder=" …")
            print(f"  {said:<6} {value:6.3f}  {line}")


def _texts(
    examples: "Examples", *, reader: "ShardReader", most: int
) -> list[tuple[float, str]]:
    rows, values = examples.rows[:most], examples.values[:most]
    records = reader.records(rows.astype(np.int64)) if len(rows) else None
    texts = [f"row {row}" for row in rows]
    if records is not None:
        texts = [str(record.get("text", "")) for record in records]
    return list(zip(values.tolist(), texts, strict=True))


def _show_others(page: "Page", *, names: dict[int, str]) -> None:
    def name(latent: int) -> str:
        return f"{latent} “{names[latent]}”" if latent in names else str(latent)

    for like in page.alike[:N_OTHERS]:
        print(f"  like   {like.cosine:6.3f}  {name(like.latent)}")
    for one in page.together[:N_OTHERS]:
        share = f"{100 * one.share:.0f} %"
        print(f"  with   {share:>6}  {name(one.latent)}, {one.lift:.0f} × chance")
