"""Finds the encoder that a corpus was embedded with, so that texts can be searched for."""

import re
import urllib.parse

import numpy as np

from sae_jax.data.shards import ShardReader
from sae_jax.embed.encoder import Encoder
from sae_jax.embed.minilm import MAX_WORD_PIECES, MiniLM
from sae_jax.embed.openai import OPENAI_URL, OpenAIEncoder
from sae_jax.errors import UsageError

# As OpenAIEncoder names itself in a manifest.
OPENAI_NAME = re.compile(
    r"(?P<model>.+) at (?P<base_url>https?://[^\s,]+)(, cut to (?P<cut>\d+) characters)?"
)
LOOPBACK = ("localhost", "127.0.0.1", "::1")
N_CHECKED = 4  # rows
LARGEST_DISTANCE = 0.1  # of an encoded text to its row, over the row's norm; halves: .0005


def built_in(*, weights: str | None = None) -> MiniLM:
    """For one text at a time: filled up to 256 word pieces it takes 115 ms on two busy cores,
    filled up to 1,024, as many texts are, 290.
    """
    return MiniLM(weights=weights, pieces_per_batch=MAX_WORD_PIECES)


def encoder_of(reader: ShardReader) -> Encoder:
    """The one that the corpus's manifest names.

    Raises:
        UsageError: it names none of ours, or one of another width.
        EncoderError: the weights are not on this machine, or the endpoint does not answer.
    """
    name = reader.provenance.encoder
    if name == MiniLM.name:
        encoder: Encoder = built_in()
    elif found := OPENAI_NAME.fullmatch(name):
        _check_address(found["base_url"], model=found["model"], reader=reader)
        encoder = OpenAIEncoder(
            model=found["model"],
            base_url=found["base_url"],
            max_characters=int(found["cut"]) if found["cut"] else None,
        )
    else:
        raise UsageError(
            f"no text encoder is known for {reader.folder}: its encoder is {name!r}; expected "
            f"{MiniLM.name!r} or a model at an OpenAI-compatible endpoint. If it is one of "
            "these, say so with --encoder=minilm, or --encoder=openai --model=…. To search "
            "from a document, a feature or a family needs no encoder."
        )
    check_width(encoder, reader)
    return encoder


def _check_address(base_url: str, *, model: str, reader: ShardReader) -> None:
    """A corpus may come from anybody: its word alone sends no key and no question anywhere."""
    host = urllib.parse.urlsplit(base_url).hostname
    if base_url != OPENAI_URL and host not in LOOPBACK:
        raise UsageError(
            f"{reader.folder}: its manifest names an encoder at {base_url}. Texts to search "
            "for, and the key, are sent to an address that a corpus names only if you name it, "
            f"too: --encoder=openai --model={model} --base_url={base_url}"
        )


def check_width(encoder: Encoder, reader: ShardReader) -> None:
    if encoder.d_in != reader.d_in:
        raise UsageError(
            f"{encoder.name} gives {encoder.d_in} numbers a text; the rows of {reader.folder} "
            f"have {reader.d_in}. Name the encoder that the corpus was embedded with."
        )


def check_same(encoder: Encoder, reader: ShardReader) -> None:
    """Encodes a few of the corpus's own texts; nothing is checked where it has none.

    Raises:
        UsageError: their rows are others, so that it is another encoder.
    """
    check_width(encoder, reader)
    rows = np.unique(np.linspace(0, reader.n_rows - 1, N_CHECKED).astype(np.int64))
    texts = [str(record.get("text") or "") for record in reader.records(rows) or ()]
    if not all(texts) or not texts:
        return
    stored = reader.read(rows).astype(np.float32)
    distance = np.linalg.norm(encoder.encode(texts) - stored, axis=1)
    distance /= np.maximum(np.linalg.norm(stored, axis=1), 1e-12)
    if np.median(distance) > LARGEST_DISTANCE:
        raise UsageError(
            f"{encoder.name} does not give the rows of {reader.folder}: it encodes "
            f"{len(texts)} of its texts at a median distance of {np.median(distance):.2f} of "
            f"their norm; expected {LARGEST_DISTANCE} at most. Name the encoder that the "
            "corpus was embedded with."
        )
