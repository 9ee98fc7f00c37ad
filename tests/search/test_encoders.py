"""The encoder of a corpus is the one that its manifest names, and no other is taken for it."""

import numpy as np
import pytest
from searchable import endpoint
from tiny import planted_rows

from sae_jax.data.manifest import Provenance
from sae_jax.data.shards import open_shards
from sae_jax.data.writer import ShardWriter
from sae_jax.embed import weights
from sae_jax.embed.minilm import MiniLM
from sae_jax.embed.openai import OpenAIEncoder
from sae_jax.errors import EncoderError, UsageError
from sae_jax.search import encoders
from sae_jax.search.session import Search

ROWS = planted_rows(40)


@pytest.fixture
def url(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with endpoint(ROWS) as url:
        yield url


def corpus(folder, *, encoder, rows=ROWS):
    provenance = Provenance(encoder=encoder, normalisation="L2", source="test", licence="CC0")
    writer = ShardWriter(
        folder, d_in=rows.shape[1], dtype="float16", provenance=provenance, identity="x"
    )
    records = [{"id": str(i), "text": f"text {i}"} for i in range(len(rows))]
    writer.append(rows.astype(np.float16), records=records)
    writer.finish()
    return open_shards(folder)


def test_an_endpoint_is_found_by_the_name_that_it_gave_the_manifest(url, tmp_path):
    made_by = OpenAIEncoder(model="m at home", base_url=url, max_characters=7)
    found = encoders.encoder_of(corpus(tmp_path / "rows", encoder=made_by.name))
    assert isinstance(found, OpenAIEncoder)
    assert (found.model, found.base_url, found.max_characters) == ("m at home", url, 7)
    assert found.name == made_by.name
    plain = OpenAIEncoder(model="m", base_url=url)
    found = encoders.encoder_of(corpus(tmp_path / "other", encoder=plain.name))
    assert (found.model, found.max_characters) == ("m", None)


def test_the_built_in_encoder_finds_its_texts(tmp_path):
    try:
        weights.find_model_folder()
    except EncoderError as error:
        pytest.skip(f"NOT TESTED, the weights are missing: {error}")
    texts = [f"text {i}" for i in range(4)]
    reader = corpus(tmp_path, encoder=MiniLM.name, rows=MiniLM().encode(texts))
    found = encoders.encoder_of(reader)
    encoders.check_same(found, reader)
    np.testing.assert_allclose(found.encode(["text 2"])[0], reader.read(np.array([2]))[0],
                               atol=1e-3)  # as float16 stores it  # fmt: skip


def test_where_none_is_known_it_is_said_what_can_be_done(tmp_path):
    reader = corpus(tmp_path, encoder="unknown")
    with pytest.raises(
        UsageError, match=r"no text encoder is known .* 'unknown'.*needs no enc"
    ):
        encoders.encoder_of(reader)


def test_another_width_is_refused_with_both(url, tmp_path):
    reader = corpus(tmp_path, encoder=f"m at {url}", rows=planted_rows(40, d_in=24))
    with pytest.raises(UsageError, match=r"gives 16 numbers a text; the rows of .* have 24"):
        encoders.encoder_of(reader)


def test_an_encoder_that_gives_other_rows_is_refused(url, tmp_path):
    encoder = OpenAIEncoder(model="m", base_url=url)
    encoders.check_same(encoder, corpus(tmp_path / "same", encoder="unknown"))
    longer = corpus(tmp_path / "longer", encoder="unknown", rows=1.5 * ROWS)
    other = corpus(tmp_path / "other", encoder="unknown", rows=planted_rows(40, seed=3))
    for reader in (longer, other):
        with pytest.raises(UsageError, match="does not give the rows of"):
            encoders.check_same(encoder, reader)


def test_texts_are_searched_for_by_a_named_encoder(search, run):
    with endpoint(planted_rows(1_500)) as url:
        own = Search(
            dictionary=search.dictionary, reader=search.reader, index=search.index, run=run
        )
        with pytest.raises(UsageError, match="no text encoder is known"):
            own.text("text 77")
        own.use_encoder(OpenAIEncoder(model="m", base_url=url))
        hits = own.hits(own.text("text 77"))
        assert hits[0].row == 77


def test_a_corpus_alone_sends_no_key_and_no_question_to_its_address(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setattr(encoders, "OpenAIEncoder", lambda **_: pytest.fail("was asked"))
    reader = corpus(tmp_path / "rows", encoder="m at http://elsewhere.example/v1")
    with pytest.raises(UsageError, match="--encoder=openai --model=m --base_url=http://elsew"):
        encoders.encoder_of(reader)
