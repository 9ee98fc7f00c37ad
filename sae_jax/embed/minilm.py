"""all-MiniLM-L6-v2 in JAX: the vectors of sentence-transformers, on any device.

Six layers of BERT (Devlin et al. 2018), the mean over word pieces, then unit length.
Texts are sorted by length and run in batches of a few fixed lengths, so that little is
computed on padding and few programs are compiled. On a Zen 4 core the whole runs at 85
GFLOP/s where bare matrix products reach 96: attention, exact GELU and norms take the rest.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from sae_jax.embed import weights as weights_files

D_IN = 384
N_LAYERS = 6
N_HEADS = 12
MAX_WORD_PIECES = 256  # sentence-transformers' limit for this model; the rest is cut off
# One compiled program each, a second apiece and only where used. Every 8 up to 64: a tenth
# of the products would otherwise be spent on padding (measured on ontology definitions).
PADDED_LENGTHS = (16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256)
# Word pieces in one batch. A CPU is fastest where a batch stays in its cache (measured:
# 1,024 and 4,096 within 4 %, and small ones waste less); an accelerator wants work.
PIECES_PER_BATCH_CPU = 1_024
PIECES_PER_BATCH_ACCELERATOR = 65_536
LAYER_NORM_EPSILON = 1e-12


class Layer(NamedTuple):
    """The parameters of all layers, stacked along the first axis."""

    W_qkv: Float[Array, "*layers 384 1152"]
    b_qkv: Float[Array, "*layers 1152"]
    W_out: Float[Array, "*layers 384 384"]
    b_out: Float[Array, "*layers 384"]
    scale_1: Float[Array, "*layers 384"]
    shift_1: Float[Array, "*layers 384"]
    W_up: Float[Array, "*layers 384 1536"]
    b_up: Float[Array, "*layers 1536"]
    W_down: Float[Array, "*layers 1536 384"]
    b_down: Float[Array, "*layers 384"]
    scale_2: Float[Array, "*layers 384"]
    shift_2: Float[Array, "*layers 384"]


class Bert(NamedTuple):
    """What all-MiniLM-L6-v2 holds, less the pooler that it does not use."""

    word: Float[Array, "vocabulary 384"]
    position: Float[Array, "512 384"]  # with the embedding of token type 0 added
    scale: Float[Array, " 384"]
    shift: Float[Array, " 384"]
    layers: Layer


def load_bert(file: Path) -> Bert:
    """Reads a safetensors file with BERT's own names."""
    from safetensors.numpy import load_file

    tensors = load_file(file)

    def stack(*names: str, transpose: bool = False) -> Array:
        rows = []
        for i in range(N_LAYERS):
            parts = [tensors[f"encoder.layer.{i}.{name}"] for name in names]
            rows.append(np.concatenate([p.T if transpose else p for p in parts], axis=-1))
        return jnp.asarray(np.stack(rows))

    qkv = [f"attention.self.{name}" for name in ("query", "key", "value")]
    layers = Layer(
        W_qkv=stack(*(f"{name}.weight" for name in qkv), transpose=True),
        b_qkv=stack(*(f"{name}.bias" for name in qkv)),
        W_out=stack("attention.output.dense.weight", transpose=True),
        b_out=stack("attention.output.dense.bias"),
        scale_1=stack("attention.output.LayerNorm.weight"),
        shift_1=stack("attention.output.LayerNorm.bias"),
        W_up=stack("intermediate.dense.weight", transpose=True),
        b_up=stack("intermediate.dense.bias"),
        W_down=stack("output.dense.weight", transpose=True),
        b_down=stack("output.dense.bias"),
        scale_2=stack("output.LayerNorm.weight"),
        shift_2=stack("output.LayerNorm.bias"),
    )
    position = tensors["embeddings.position_embeddings.weight"]
    token_type = tensors["embeddings.token_type_embeddings.weight"][0]
    return Bert(
        word=jnp.asarray(tensors["embeddings.word_embeddings.weight"]),
        position=jnp.asarray(position + token_type),
        scale=jnp.asarray(tensors["embeddings.LayerNorm.weight"]),
        shift=jnp.asarray(tensors["embeddings.LayerNorm.bias"]),
        layers=layers,
    )


def layer_norm(
    x: Float[Array, "*batch d"], scale: Float[Array, " d"], *, shift: Float[Array, " d"]
) -> Float[Array, "*batch d"]:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = jnp.mean(centred**2, axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + LAYER_NORM_EPSILON) * scale + shift


def attend(
    x: Float[Array, "batch length 384"], layer: Layer, *, is_piece: Bool[Array, "batch length"]
) -> Float[Array, "batch length 384"]:
    """Multi-head attention over the word pieces of each text, padding left out."""
    qkv = (x @ layer.W_qkv + layer.b_qkv).reshape(*x.shape[:2], 3, N_HEADS, D_IN // N_HEADS)
    query, key, value = (qkv[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
    scores = jnp.einsum("bhqd,bhkd->bhqk", query, key) / (D_IN // N_HEADS) ** 0.5
    scores = jnp.where(is_piece[:, None, None, :], scores, jnp.finfo(scores.dtype).min)
    mixed = jnp.einsum("bhqk,bhkd->bhqd", jax.nn.softmax(scores), value)
    return mixed.transpose(0, 2, 1, 3).reshape(x.shape) @ layer.W_out + layer.b_out


@jax.jit
def embed_pieces(
    bert: Bert, pieces: Int[Array, "batch length"], n_pieces: Int[Array, " batch"]
) -> Float[Array, "batch 384"]:
    """Unit rows of padded word pieces, of which each text's first n_pieces count."""
    is_piece = jnp.arange(pieces.shape[1]) < n_pieces[:, None]

    def apply(
        x: Float[Array, "batch length 384"], layer: Layer
    ) -> tuple[Float[Array, "batch length 384"], None]:
        x = x + attend(x, layer, is_piece=is_piece)
        x = layer_norm(x, layer.scale_1, shift=layer.shift_1)
        # GELU by erf, as BERT was trained: tanh's approximation is off by 3e-4.
        hidden = jax.nn.gelu(x @ layer.W_up + layer.b_up, approximate=False)
        x = x + hidden @ layer.W_down + layer.b_down
        return layer_norm(x, layer.scale_2, shift=layer.shift_2), None

    # On a GPU or TPU float32 products are TF32 or bfloat16 unless told otherwise, and the
    # vectors would differ from sentence-transformers' by 1e-3. A CPU has only float32.
    with jax.default_matmul_precision("highest"):
        x = bert.word[pieces] + bert.position[: pieces.shape[1]]
        x = layer_norm(x, bert.scale, shift=bert.shift)
        # scan: one layer is compiled, not six; measured as fast as six in a row.
        x, _ = jax.lax.scan(apply, x, bert.layers)
    mean = jnp.sum(jnp.where(is_piece[:, :, None], x, 0.0), axis=1) / n_pieces[:, None]
    return mean / jnp.linalg.norm(mean, axis=-1, keepdims=True)


class MiniLM:
    """The encoder; loads and checks the weights when made.

    Raises EncoderError where they are not found or not all-MiniLM-L6-v2's.
    """

    name = "sentence-transformers/all-MiniLM-L6-v2"
    d_in = D_IN
    normalisation = "L2"

    def __init__(
        self, *, weights: str | None = None, pieces_per_batch: int | None = None
    ) -> None:
        from tokenizers import Tokenizer

        self.folder = weights_files.find_model_folder(weights)
        file = self.folder / weights_files.WEIGHTS_FILE
        weights_files.check_sha256(file)
        self.bert = load_bert(file)
        self.tokenizer = Tokenizer.from_file(str(self.folder / weights_files.TOKENIZER_FILE))
        # The file says 128 and pads to 128, which sentence-transformers overrides too.
        self.tokenizer.enable_truncation(MAX_WORD_PIECES)
        self.tokenizer.no_padding()
        on_cpu = jax.default_backend() == "cpu"
        default = PIECES_PER_BATCH_CPU if on_cpu else PIECES_PER_BATCH_ACCELERATOR
        self.pieces_per_batch = max(pieces_per_batch or default, MAX_WORD_PIECES)

    def plan(self, sample: Sequence[str], *, n_texts: int) -> str:
        lengths = [len(pieces) for pieces in self.pieces(sample)]
        mean = sum(lengths) / max(1, len(lengths))
        n_full = round(lengths.count(MAX_WORD_PIECES) / max(1, len(lengths)) * n_texts)
        device = jax.devices()[0]
        return (
            f"about {mean:.0f} word pieces a text; {n_full:,} texts reach "
            f"{MAX_WORD_PIECES} and are cut there; on {device.platform} "
            f"({device.device_kind}); weights from {self.folder}"
        )

    def encode(self, texts: Sequence[str]) -> Float[np.ndarray, "n_texts 384"]:
        """Unit rows, float32; texts over 256 word pieces are cut, as in the original."""
        pieces = self.pieces(texts)
        lengths = np.array([len(p) for p in pieces], np.int32)
        # All are dispatched before the first is fetched: the device never waits.
        batches = [
            (ids, embed_pieces(self.bert, *self._pad([pieces[i] for i in ids])))
            for ids in batches_by_length(lengths, pieces_per_batch=self.pieces_per_batch)
        ]
        rows = np.empty((len(texts), D_IN), np.float32)
        for ids, found in batches:
            rows[ids] = np.asarray(found)[: len(ids)]
        return rows

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """Word-piece ids of each text, with [CLS] and [SEP]."""
        return [found.ids for found in self.tokenizer.encode_batch_fast(list(texts))]

    def _pad(
        self, pieces: Sequence[Sequence[int]]
    ) -> tuple[Int[Array, "batch length"], Int[Array, " batch"]]:
        """Fills up to a fixed length and number of texts, so that programs are few."""
        length = padded_length(max(len(p) for p in pieces))
        ids = np.zeros((self.pieces_per_batch // length, length), np.int32)
        n_pieces = np.ones(len(ids), np.int32)  # 1, not 0: an empty mean is no number
        for i, text in enumerate(pieces):
            ids[i, : len(text)] = text
            n_pieces[i] = len(text)
        return jnp.asarray(ids), jnp.asarray(n_pieces)


def padded_length(n_pieces: int) -> int:
    """The shortest of the fixed lengths that holds so many word pieces."""
    return next(length for length in PADDED_LENGTHS if n_pieces <= length)


def batches_by_length(
    lengths: Int[np.ndarray, " n_texts"], *, pieces_per_batch: int
) -> Iterator[Int[np.ndarray, " batch"]]:
    """Positions of the texts, longest first, cut where a batch is full."""
    order = np.argsort(-lengths, kind="stable")
    first = 0
    while first < len(order):
        n_texts = pieces_per_batch // padded_length(int(lengths[order[first]]))
        yield order[first : first + n_texts]
        first += n_texts
