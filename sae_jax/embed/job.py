"""Embeds a source of texts into a shard folder; killed at any moment, it goes on.

One pass over the source counts and hashes it, a second embeds it. Rows are encoded in
pieces that end where shards end, so a resumed folder equals an uninterrupted one.
"""

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from sae_jax.data.manifest import MANIFEST, Manifest, Provenance, read_manifest
from sae_jax.data.progress import Progress
from sae_jax.data.writer import ShardWriter
from sae_jax.embed.encoder import Encoder
from sae_jax.embed.texts import Record, TextSource
from sae_jax.errors import ShardError, UsageError

ROWS_PER_SHARD = 4_096  # a kill loses at most so many: half a minute of MiniLM on a laptop
TEXTS_PER_CALL = 2_048  # sorted by length together: padding 12 %, 13 % with half as many
N_SAMPLED = 512  # texts, evenly spread, that the plan is judged by

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Survey:
    """What one pass over the source found."""

    n_texts: int  # that will be embedded
    empty_ids: tuple[str, ...]  # of texts left out since they hold nothing
    sample: tuple[str, ...]
    sha256: str  # of all records that will be embedded, in order


def embed(
    source: TextSource,
    encoder: Encoder,
    *,
    folder: str | Path,
    dtype: str = "float16",
    rows_per_shard: int = ROWS_PER_SHARD,
    limit: int | None = None,
    licence: str | None = None,
    say: Say = print,
) -> Manifest:
    """Writes one row for each text that is not empty, and returns the folder's manifest.

    Raises ShardError where the folder holds something else, UsageError on no texts.
    """
    folder = Path(folder)
    survey = survey_texts(source, limit=limit)
    _say_plan(source, encoder, survey=survey, folder=folder, dtype=dtype, say=say)
    identity = _identity(survey, encoder, dtype=dtype)
    if (folder / MANIFEST).exists():
        return _already_there(folder, identity=identity, say=say)
    writer = ShardWriter(
        folder,
        d_in=encoder.d_in,
        dtype=dtype,
        provenance=Provenance(
            encoder=encoder.name,
            normalisation=encoder.normalisation,
            source=source.name,
            licence=licence or source.licence,
        ),
        identity=identity,
        rows_per_shard=rows_per_shard,
    )
    n_done = writer.n_rows_done
    if n_done:
        say(f"Going on after {n_done:,} rows that an earlier run left in {folder}.")
    taken = itertools.islice(texts_of(source, limit=limit), n_done, None)
    with Progress("embed", total=survey.n_texts, done=n_done, unit="texts") as progress:
        for records in pieces(taken, first=n_done, rows_per_shard=rows_per_shard):
            writer.append(encoder.encode([r["text"] for r in records]), records=records)
            progress.add(len(records))
    manifest = writer.finish()
    say(
        f"Wrote {manifest.n_rows:,} rows of width {manifest.d_in} as {dtype} into {folder}: "
        f"{manifest.n_rows - n_done:,} texts, {progress.rate:,.0f} texts/s."
    )
    return manifest


def survey_texts(source: TextSource, *, limit: int | None = None) -> Survey:
    """Counts, hashes and samples the texts; raises UsageError where there are none."""
    digest = hashlib.sha256()
    empty_ids: list[str] = []
    sample: list[str] = []
    n_texts, stride = 0, 1
    for record in texts_of(source, limit=limit, empty_ids=empty_ids):
        digest.update(json.dumps(record, default=str).encode())
        if n_texts % stride == 0:
            sample.append(record["text"])
            if len(sample) == 2 * N_SAMPLED:  # thinned, so it stays evenly spread
                sample, stride = sample[::2], stride * 2
        n_texts += 1
    if not n_texts:
        raise UsageError(
            f"{source.name}: holds no text to embed: {len(empty_ids):,} rows, all of them "
            f"empty in column {source.text_column!r}. Name another with --text_column."
        )
    return Survey(
        n_texts=n_texts,
        empty_ids=tuple(empty_ids),
        sample=tuple(sample),
        sha256=digest.hexdigest(),
    )


def texts_of(
    source: TextSource, *, limit: int | None = None, empty_ids: list[str] | None = None
) -> Iterator[Record]:
    """The first `limit` records whose text is not empty; ids of empty ones are collected."""
    n_taken = 0
    for record in source.read():
        if n_taken == limit:
            return
        if record["text"].strip():
            n_taken += 1
            yield record
        elif empty_ids is not None:
            empty_ids.append(record["id"])


def pieces(
    records: Iterator[Record], *, first: int, rows_per_shard: int
) -> Iterator[list[Record]]:
    """Lists of at most TEXTS_PER_CALL records, none of them in two shards."""
    while True:
        left_in_shard = rows_per_shard - first % rows_per_shard
        piece = list(itertools.islice(records, min(TEXTS_PER_CALL, left_in_shard)))
        if not piece:
            return
        yield piece
        first += len(piece)


def _say_plan(
    source: TextSource, encoder: Encoder, *, survey: Survey, folder: Path, dtype: str, say: Say
) -> None:
    """Tells, before the work, what is embedded, by what, and what was left out."""
    say(f"{survey.n_texts:,} texts from {source.name}")
    for line in source.report:
        say(f"  {line}")
    others = [name for name in source.columns if name not in ("id", source.text_column)]
    say(f"  text: column {source.text_column!r}, {source.why}")
    say(f"  kept beside it: {', '.join(others) or 'nothing'}; --text_column chooses another")
    if survey.empty_ids:
        first = ", ".join(survey.empty_ids[:5]) + (", …" if len(survey.empty_ids) > 5 else "")
        say(f"  left out: {len(survey.empty_ids):,} empty texts (ids {first})")
    n_bytes = survey.n_texts * encoder.d_in * (4 if dtype == "float32" else 2)
    say(f"by {encoder.name}: {encoder.plan(survey.sample, n_texts=survey.n_texts)}")
    say(f"into {folder}: {dtype}, width {encoder.d_in}, {n_bytes / 1e6:,.0f} MB")


def _identity(survey: Survey, encoder: Encoder, *, dtype: str) -> str:
    """Names the result: the same texts, encoder and settings have the same."""
    parts = [survey.sha256, encoder.name, encoder.normalisation, encoder.d_in, dtype]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _already_there(folder: Path, *, identity: str, say: Say) -> Manifest:
    manifest = read_manifest(folder)
    if manifest.identity != identity:
        raise ShardError(
            f"{folder}: is already complete, but with other texts, another encoder or other "
            f"settings ({manifest.n_rows:,} rows by {manifest.provenance.encoder} from "
            f"{manifest.provenance.source}). Choose another --out, or remove the folder."
        )
    say(f"{folder} already holds exactly this: {manifest.n_rows:,} rows. Nothing to do.")
    return manifest
