import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from sae_jax.data.shards import open_shards
from sae_jax.embed import job
from sae_jax.embed.texts import TextSource, open_texts
from sae_jax.errors import EncoderError, ShardError, UsageError


class Counting:
    """An encoder whose rows tell the text's length and place, and that can fail."""

    name = "counting"
    d_in = 4
    normalisation = "none"

    def __init__(self, *, fail_after=None):
        self.n_encoded = 0
        self.fail_after = fail_after

    def plan(self, sample, *, n_texts):
        return f"{n_texts} texts, {len(sample)} sampled"

    def encode(self, texts):
        if self.fail_after is not None and self.n_encoded >= self.fail_after:
            raise EncoderError("the endpoint went away")
        self.n_encoded += len(texts)
        return np.array([[len(t), hash(t) % 97 + 1, 1, 2] for t in texts], np.float32)


def source_of(texts):
    records = [{"id": f"r{i}", "text": text, "place": i} for i, text in enumerate(texts)]
    return TextSource(
        name="a list", read=lambda: iter(records), columns=("id", "text", "place")
    )


TEXTS = [f"text {i} " + "x" * (i % 7) for i in range(50)]


def embed(texts, folder, *, encoder=None, **options):
    said = []
    options = {"rows_per_shard": 8, "dtype": "float32", "say": said.append} | options
    manifest = job.embed(source_of(texts), encoder or Counting(), folder=folder, **options)
    return manifest, said


def test_every_text_gets_its_row_and_its_record(tmp_path):
    manifest, said = embed(TEXTS, tmp_path / "out", licence="CC0")
    reader = open_shards(tmp_path / "out")
    assert manifest.n_rows == reader.n_rows == 50
    rows = reader.read(np.arange(50))
    np.testing.assert_array_equal(rows, Counting().encode(TEXTS))
    assert reader.records(np.array([7])) == [{"id": "r7", "text": TEXTS[7], "place": 7}]
    assert manifest.provenance.encoder == "counting"
    assert manifest.provenance.licence == "CC0"
    assert said[0] == "50 texts from a list"
    assert said[-1].startswith(f"Wrote 50 rows of width 4 as float32 into {tmp_path / 'out'}")


def test_empty_texts_are_left_out_counted_and_named(tmp_path):
    texts = ["a", "", " \n\t", *TEXTS[:5], ""]
    manifest, said = embed(texts, tmp_path / "out")
    assert manifest.n_rows == 6
    assert "  left out: 3 empty texts (ids r1, r2, r8)" in said
    ids = [record["id"] for record in open_shards(tmp_path / "out").records(np.arange(6))]
    assert ids == ["r0", "r3", "r4", "r5", "r6", "r7"]


def test_the_limit_counts_texts_that_are_embedded(tmp_path):
    manifest, _ = embed(["", "a", "", "b", "c"], tmp_path / "out", limit=2)
    assert manifest.n_rows == 2


@pytest.mark.parametrize("texts", [[], ["", " "]])
def test_no_texts_at_all_is_an_error(tmp_path, texts):
    with pytest.raises(UsageError, match=f"holds no text to embed: {len(texts)} rows"):
        embed(texts, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_failed_run_goes_on_and_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    monkeypatch.setattr(job, "TEXTS_PER_CALL", 3)
    whole, _ = embed(TEXTS, tmp_path / "whole")
    with pytest.raises(EncoderError, match="went away"):
        embed(TEXTS, tmp_path / "out", encoder=Counting(fail_after=20))
    assert not (tmp_path / "out" / "manifest.json").exists()
    encoder = Counting()
    manifest, said = embed(TEXTS, tmp_path / "out", encoder=encoder)
    assert encoder.n_encoded == 50 - 16, "two whole shards were safe"
    assert any("Going on after 16 rows" in line for line in said)
    assert manifest == whole


def test_a_finished_folder_is_left_alone_and_another_job_refused(tmp_path):
    first, _ = embed(TEXTS, tmp_path / "out")
    encoder = Counting()
    again, said = embed(TEXTS, tmp_path / "out", encoder=encoder)
    assert again == first
    assert encoder.n_encoded == 0
    assert "Nothing to do" in said[-1]
    with pytest.raises(ShardError, match="already complete, but with other texts"):
        embed(TEXTS[:-1], tmp_path / "out")
    with pytest.raises(ShardError, match="already complete, but with other texts"):
        embed(TEXTS, tmp_path / "out", dtype="float16")


def test_a_half_written_folder_of_other_texts_is_refused(tmp_path):
    with pytest.raises(EncoderError):
        embed(TEXTS, tmp_path / "out", encoder=Counting(fail_after=0))
    with pytest.raises(ShardError, match="half-written folder of something else"):
        embed(TEXTS[1:], tmp_path / "out")


def test_a_piece_never_lies_in_two_shards():
    records = iter([{"id": str(i)} for i in range(20)])
    sizes = [len(p) for p in job.pieces(records, first=5, rows_per_shard=8)]
    assert sizes == [3, 8, 8, 1]


def test_the_sample_is_small_and_evenly_spread():
    survey = job.survey_texts(source_of([str(i) for i in range(5_000)]))
    places = np.array([int(text) for text in survey.sample])
    assert job.N_SAMPLED <= len(places) <= 2 * job.N_SAMPLED
    assert len(set(np.diff(places))) == 1
    assert places[-1] > 4_980


COMMAND = [sys.executable, "-c", "from sae_jax.cli.main import main; main()", "embed"]


def test_a_run_that_is_killed_goes_on_bit_for_bit(tmp_path, minilm):
    lines = [
        f"paper {i} about topic {i % 7}, year {i}, " + "and so on " * (i % 4)
        for i in range(300)
    ]
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(lines) + "\n")
    out = tmp_path / "out"
    command = [*COMMAND, str(path), f"--out={out}", "--rows_per_shard=32"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (out / "shard-00001.npy").exists() and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (out / "incomplete.json").exists()
    assert not (out / "manifest.json").exists()

    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Going on after" in again.stdout
    job.embed(open_texts(path), minilm, folder=tmp_path / "whole", rows_per_shard=32)
    killed, whole = (open_shards(tmp_path / name) for name in ("out", "whole"))
    assert killed.n_rows == 300
    assert killed.fingerprint == whole.fingerprint
    assert killed.records(np.arange(300)) == whole.records(np.arange(300))
