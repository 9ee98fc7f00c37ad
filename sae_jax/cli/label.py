"""Label the latents of an encoded run, by words or by a language model, with scores.

  sae-jax encode runs/first && sae-jax label runs/first
  sae-jax label runs/first --shards=data/other
  OPENAI_API_KEY=… sae-jax label runs/first --method=llm --model=gpt-4o-mini --dry_run
  sae-jax label runs/first --method=llm --model=qwen3 --base_url=http://localhost:8000/v1

Half of the rows name each latent, the other half judge the name. keywords asks nobody: F1
and AUROC against random rows (easy) and near misses (hard), in RUN/features/CORPUS/
labels.jsonl. llm has a model name each latent and judge the name on up to 40 rows, half of
them random or near misses, in llm-labels.jsonl, which is of one model, endpoint, seed and
parameters at a time. Every answer is kept: after a kill or a failure the same command goes on
and asks for none twice, but for up to --n_parallel under way at a kill or a second Ctrl-C.
"""

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags

from sae_jax.cli.arguments import Opened, define_corpus, named_latents, open_run
from sae_jax.cli.asking import SHARED, define_asking, parameters_of, prices_of, refuse, wait
from sae_jax.embed.openai import KEY_VARIABLE, OPENAI_URL
from sae_jax.errors import UsageError

if TYPE_CHECKING:
    from sae_jax.analysis.codes import StoredCodes
    from sae_jax.analysis.llm_labels import Asked

SHOWN = 5
LLM_FLAGS = ("base_url", "model", "judge_model", "latent", "n_latents", *SHARED)


def define_flags(values: flags.FlagValues) -> None:
    def text(name: str, default: str, *, about: str) -> None:
        flags.DEFINE_string(name, default, f"llm: {about}", flag_values=values)

    def words(name: str, *, about: str) -> None:
        flags.DEFINE_list(name, [], f"llm: {about}", flag_values=values)

    define_corpus(values)
    flags.DEFINE_integer("seed", 0, "Of the halves, and of what is drawn.", flag_values=values)
    flags.DEFINE_enum("method", "keywords", ["keywords", "llm"], "Which.", flag_values=values)
    text("base_url", OPENAI_URL, about="address of the endpoint, with its /v1.")
    text("model", "", about=f"model to ask. The key is read from {KEY_VARIABLE} only.")
    text("judge_model", "", about="model that judges, if not the one that names.")
    words("latent", about="which latents, by number; otherwise all, or --n_latents.")
    flags.DEFINE_integer(
        "n_latents", None, "llm: draw so many of those that are on often enough.",
        lower_bound=1, flag_values=values,
    )  # fmt: skip
    define_asking(values)


def run(values: flags.FlagValues, arguments: list[str]) -> None:
    if values.method == "llm":
        _check(values)
        _by_model(values, open_run(arguments, values))
        return
    refuse(values, LLM_FLAGS, flag="method")
    _by_keywords(values, open_run(arguments, values))


def _by_keywords(values: flags.FlagValues, opened: Opened) -> None:
    # Imported here: JAX takes a second, which `--help` need not wait for.
    from sae_jax.analysis import labels, terms
    from sae_jax.data.manifest import write_atomically
    from sae_jax.data.numbers import to_json

    folder, _, reader = opened
    stored = opened.codes()
    counted = terms.count_terms(terms.read_texts(reader))
    print(f"{len(counted.names):,} terms in {reader.n_rows:,} texts", flush=True)
    found = labels.label_all(stored, counted, seed=values.seed)
    out = folder / "features" / stored.folder.name / "labels.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    of = {
        "run_fingerprint": stored.manifest.run_fingerprint,
        "data_fingerprint": stored.manifest.data_fingerprint,
    }
    write_atomically(out, "".join(to_json(one.as_json() | of) for one in found).encode())
    print(labels.describe(found, most=SHOWN, seed=values.seed))
    print(f"Labels: {out}")


def _by_model(values: flags.FlagValues, opened: Opened) -> None:
    from sae_jax.analysis import answers, chat, labels, llm_labels, llm_report, llm_rows

    stored, asked = opened.codes(), _asked(values)
    naming = labels.naming_half(stored.manifest.n_rows, seed=values.seed)
    skipped = llm_rows.why_skipped(stored, naming)
    latents = _chosen(values, skipped)
    chosen = [
        llm_rows.rows_of(stored, i, naming=naming, seed=values.seed)
        for i in latents
        if not skipped[i]
    ]
    texts = llm_rows.read_texts(opened.reader, chosen)
    folder = opened.folder / "features" / stored.folder.name
    path = folder / "llm-answers.sqlite"

    def say_plan(kept: answers.Answers) -> None:
        left = llm_labels.plan(chosen, texts=texts, asked=asked, answers=kept)
        print(left.describe(dollars_per_million=prices_of(values)), flush=True)

    if values.dry_run:
        with contextlib.closing(answers.Answers(path if path.exists() else ":memory:")) as kept:
            say_plan(kept)
        return
    client = chat.OpenAIChat(base_url=values.base_url, timeout_seconds=values.timeout_seconds)
    made = [llm_labels.LlmLabel(i, "skipped", reason=skipped[i]) for i in latents if skipped[i]]
    with (
        contextlib.closing(client),
        answers.held(folder),
        contextlib.closing(answers.Answers(path)) as kept,
    ):
        say_plan(kept)
        asking = answers.KeptChat(client, kept)
        try:
            llm_labels.label_all(
                chosen, texts=texts, asked=asked, ask=asking.complete,
                n_parallel=values.n_parallel, done=made.append,
            )  # fmt: skip
        finally:  # also after Ctrl-C, and where the endpoint refuses
            asking.stop()
            n_left_out = llm_report.write(folder, made, of=_origin(stored, asked))
            if n_left_out:
                print(llm_report.describe_left_out(n_left_out))
            wait(asking, seconds=values.timeout_seconds)
    print(llm_report.describe(made, asking, most=SHOWN, seed=values.seed))
    print(f"Labels: {folder / llm_report.FILE}")


def _origin(stored: "StoredCodes", asked: "Asked") -> dict[str, Any]:
    """What each record says of where it comes from."""
    from sae_jax.analysis import prompts

    return {
        "run_fingerprint": stored.manifest.run_fingerprint,
        "data_fingerprint": stored.manifest.data_fingerprint,
        "prompt_version": prompts.VERSION,
        **asked._asdict(),
    }


def _check(values: flags.FlagValues) -> None:
    """Raises UsageError before anything is read."""
    if not values.model:
        raise UsageError("--method=llm needs the --model to ask. See `sae-jax label --help`.")
    if values.latent and values.n_latents:
        raise UsageError("--latent names latents and --n_latents draws them; give one of both.")
    _asked(values)
    prices_of(values)


def _asked(values: flags.FlagValues) -> "Asked":
    from sae_jax.analysis.llm_labels import Asked

    return Asked(
        model=values.model,
        judge_model=values.judge_model or values.model,
        parameters=parameters_of(values),
        seed=values.seed,
        base_url=values.base_url.rstrip("/"),
    )


def _chosen(values: flags.FlagValues, skipped: Sequence[str]) -> list[int]:
    """Those that are named, or drawn, or all."""
    if values.latent:
        return sorted(set(named_latents(values.latent, n_latents=len(skipped))))
    if not values.n_latents:
        return list(range(len(skipped)))
    often = np.array([i for i, reason in enumerate(skipped) if not reason], int)
    rng = np.random.default_rng(values.seed)
    return sorted(rng.permutation(often)[: values.n_latents].tolist())
