"""Measure steering: do sliders bring the concepts that they name, and at what price?

  sae-jax encode runs/first && sae-jax evaluate-search runs/first
  sae-jax evaluate-search runs/first --encoder=minilm --n_queries=400
  OPENAI_API_KEY=… sae-jax evaluate-search runs/first --judge=llm --judge_model=gpt-4o-mini
  sae-jax evaluate-search runs/first --judge=llm --judge_model=qwen3 \\
      --judge_base_url=http://localhost:8000/v1 --dry_run

Of a corpus with a hierarchy (WordNet, an ontology). Held-out rows are queries, each with one
concept to raise and one to lower; a latent stands for each. Steered to a cosine of .95, .9, .8,
.7 and .5 to the query: by the latent, by rewriting the query's text, by the vector of the
concept's name, by a direction fitted to the concept, by the mean of its rows, and by another
latent. Measured: precision@10, hits on which the latent is on, hits kept, and how often a judge
that counts the true concepts names the right one of five. Without an encoder for the
corpus's texts nothing is rewritten. Writes RUN/search/evaluation/CORPUS.json, .csv and .svg.
WordNet: 2 to 3 minutes on two busy cores.

--judge=llm also shows a language model the texts of the hits before and after and the five
names: which was raised, which lowered? --judge_model and --judge_base_url say whom to ask;
--model and --base_url are the encoder's. Of --judge_queries queries each way and strength is a
call: 50 take up to 1,550 (1,000 without an encoder), said before any is made; --dry_run only
says it. Every answer is kept: the same command goes on after a kill. What failed, was refused
or cannot be read is a state and counts for nothing. Adds CORPUS-judgements.jsonl.
"""

import contextlib
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from absl import flags

from sae_jax.cli.arguments import (
    check_encoder,
    define_corpus,
    define_encoder,
    named_encoder,
    one_folder,
)
from sae_jax.cli.asking import SHARED, define_asking, parameters_of, prices_of, refuse, wait
from sae_jax.embed.openai import KEY_VARIABLE, OPENAI_URL
from sae_jax.errors import EncoderError, UsageError

if TYPE_CHECKING:
    from sae_jax.search.evaluation import Asked, Steered
    from sae_jax.search.llm_judge import Judged

LLM_FLAGS = ("judge_model", "judge_base_url", "judge_queries", *SHARED)


def define_flags(values: flags.FlagValues) -> None:
    define_corpus(values)
    define_encoder(values)
    flags.DEFINE_integer(
        "n_queries", 200, "Held-out rows that are steered.", lower_bound=10, flag_values=values
    )
    flags.DEFINE_integer(
        "seed", 0, "Of queries, concepts and intervals.", lower_bound=0, flag_values=values
    )
    flags.DEFINE_enum(
        "judge", "counts", ["counts", "llm"],
        "Who says what was moved: true concepts counted alone, or a language model, too.",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_string(
        "judge_model", "", f"llm: model to ask. The key is read from {KEY_VARIABLE} only.",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_string(
        "judge_base_url", OPENAI_URL, "llm: address of the endpoint, with its /v1.",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer(
        "judge_queries", 50, "llm: how many of the queries it judges.", lower_bound=1,
        flag_values=values,
    )  # fmt: skip
    define_asking(values)


def run(values: flags.FlagValues, arguments: list[str]) -> None:
    folder = one_folder(arguments, of="run folder")
    _check(values)
    # Imported here: JAX takes a second, which `--help` need not wait for.
    import time

    from sae_jax.analysis.concepts import read_concepts
    from sae_jax.search import evaluation
    from sae_jax.search.session import Search
    from sae_jax.search.trials import LEAST_ROWS

    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {text}", flush=True)

    search = Search.open(folder, shards=values.shards, say=say)
    concepts = read_concepts(search.reader, least_rows=LEAST_ROWS)
    if values.encoder:
        search.use_encoder(named_encoder(values))
    encoder = None
    try:
        encoder = search.encoder
    except (UsageError, EncoderError) as error:
        say(f"No rewriting, nor the vectors of names: {error}")
    asked = evaluation.Asked(search, concepts, encoder, values.n_queries, values.seed)
    out = folder / "search" / "evaluation" / f"{search.dictionary.stored.folder.name}.json"
    if values.judge == "counts":
        steered, judged = evaluation.steer(asked, say=say), None
    else:
        steered, judged = _judge_by_model(values, asked, out=out, say=say)
    if not values.dry_run:
        say("intervals")
        _write(out, asked, steered, judged)


def _check(values: flags.FlagValues) -> None:
    """Raises UsageError before anything is read."""
    check_encoder(values)
    if values.judge == "counts":
        refuse(values, LLM_FLAGS, flag="judge")
    elif not values.judge_model:
        raise UsageError(
            "--judge=llm needs --judge_model, the model to ask; --model is the encoder's. See "
            "`sae-jax evaluate-search --help`."
        )
    parameters_of(values)
    prices_of(values)


def _judge_by_model(
    values: flags.FlagValues, asked: "Asked", *, out: pathlib.Path, say: Callable[[str], None]
) -> "tuple[Steered, Judged | None]":
    """All that --judge=llm asks; with --dry_run what it would ask is said, and no more."""
    from sae_jax.analysis import answers, chat
    from sae_jax.search import evaluation, llm_judge

    model = llm_judge.Model(
        values.judge_model, values.judge_base_url.rstrip("/"), parameters_of(values)
    )
    path = out.with_name(f"{out.stem}-llm-answers.sqlite")
    with contextlib.ExitStack() as closing:
        if values.dry_run:
            kept = answers.Answers(path if path.exists() else ":memory:")
        else:  # first of all: what is wrong with the endpoint's address needs no wait
            client = chat.OpenAIChat(
                base_url=model.base_url, timeout_seconds=values.timeout_seconds,
                flag="--judge_base_url",
            )  # fmt: skip
            closing.callback(client.close)
            closing.enter_context(answers.claim(out.parent))
            kept = answers.Answers(path)
        closing.callback(kept.close)
        steered = evaluation.steer(asked, say=say)
        questions = llm_judge.make_questions(
            steered.judge, steered.found, reader=asked.search.reader, model=model,
            n_queries=values.judge_queries, seed=values.seed,
        )  # fmt: skip
        plan = llm_judge.plan(questions, answers=kept)
        say(plan.describe(dollars_per_million=prices_of(values)))
        if values.dry_run:
            return steered, None
        asking = answers.KeptChat(client, kept)
        try:
            verdicts = llm_judge.ask_all(
                questions, ask=asking.complete, n_parallel=values.n_parallel
            )
        finally:  # also after Ctrl-C, and where the endpoint refuses
            asking.stop()
            wait(asking, seconds=values.timeout_seconds)
    say(asking.describe())
    return steered, llm_judge.Judged(model, questions, verdicts)


def _write(
    out: pathlib.Path, asked: "Asked", steered: "Steered", judged: "Judged | None"
) -> None:
    from sae_jax.analysis.drawing import as_svg
    from sae_jax.data.manifest import write_atomically
    from sae_jax.data.numbers import to_json, without_nan
    from sae_jax.search import evaluation, evaluation_figure, evaluation_table, llm_judge

    manifest = asked.search.dictionary.stored.manifest
    origin: dict[str, Any] = {
        "run_fingerprint": manifest.run_fingerprint,
        "data_fingerprint": manifest.data_fingerprint,
        "seed": asked.seed,
    }
    made = without_nan(
        {"format": 1} | origin | evaluation.measure(asked, steered, judged=judged)
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    if judged is not None:
        lines = llm_judge.records(judged, steered.judge, found=steered.found)
        path = out.with_name(f"{out.stem}-judgements.jsonl")
        of = origin | {name: made["llm_judge"][name] for name in llm_judge.WHO}
        write_atomically(path, "".join(to_json(line | of) for line in lines).encode())
    figure = as_svg(evaluation_figure.draw(made))
    write_atomically(out.with_suffix(".svg"), figure.encode())
    write_atomically(out.with_suffix(".csv"), evaluation_table.to_csv(made).encode())
    write_atomically(out, to_json(made, indent=1).encode())
    print(f"{evaluation_table.describe(made)}\nSteering: {out}")
