"""A table of what people get wrong: each ends in one paragraph that says what to do.

No traceback, the exit code of a mistake (2) or a failure (1), and what was there before is
still there, byte for byte.
"""

import json
import pathlib
import re
import sys

import numpy as np
import pytest
from tiny import config, config_file, planted_rows

from sae_jax.cli import main
from sae_jax.data.manifest import Provenance
from sae_jax.data.shards import open_shards
from sae_jax.data.writer import ShardWriter
from sae_jax.train import loop


class Place:
    """A folder with rows, a shard folder, a text file and a config, to be spoilt."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.rows, self.shards = folder, folder / "rows", folder / "shards"
        self.rows.mkdir()
        np.save(self.rows / "a.npy", planted_rows(600))
        np.save(self.rows / "b.npy", planted_rows(400))
        free = Provenance(encoder="none", normalisation="l2", source="test", licence="CC0")
        writer = ShardWriter(
            self.shards,
            d_in=16,
            dtype="float32",
            provenance=free,
            identity="x",
            rows_per_shard=300,
        )
        writer.append(planted_rows(1_000))
        writer.finish()
        self.texts = folder / "texts.jsonl"
        self.texts.write_text('{"title": "one text of some length", "year": 1}\n' * 3)
        self.config = config_file(folder, shards=self.rows)
        self.run = folder / "run"

    def train(self, *more):
        return ["train", f"--config={self.config}", f"--workdir={self.run}", *more]

    def finished_run(self):
        self.run.mkdir()
        settings = config(self.rows, n_steps=8)
        loop.train(settings, reader=open_shards(self.rows), workdir=self.run)

    def out(self):
        return f"--out={self.folder / 'out'}"


def wrong_width(p):
    return p.train("--config.sae.d_in=17")


def float64(p):
    np.save(p.rows / "a.npy", planted_rows(600).astype(np.float64))
    return p.train()


def integers(p):
    np.save(p.rows / "a.npy", np.ones((600, 16), np.int32))
    return p.train()


def widths_that_differ(p):
    np.save(p.rows / "b.npy", planted_rows(400, d_in=15))
    return p.train()


def one_dimension(p):
    np.save(p.rows / "a.npy", planted_rows(600).reshape(-1))
    return p.train()


def nan_row_in_training(p):
    rows = planted_rows(600)
    rows[17] = np.nan
    np.save(p.rows / "a.npy", rows)
    return p.train()


def spoilt(p, value):
    rows = planted_rows(600)
    rows[17] = value
    np.save(p.rows / "a.npy", rows)
    return ["ingest", str(p.rows), p.out()]


def nan_row_ingested(p):
    return spoilt(p, np.nan)


def infinite_row_ingested(p):
    return spoilt(p, np.inf)


def zero_row_ingested(p):
    return spoilt(p, 0)


def truncated(p):
    path = p.rows / "a.npy"
    path.write_bytes(path.read_bytes()[:5_000])
    return p.train()


def truncated_shard(p):
    path = p.shards / "shard-00001-of-00004.npy"
    path.write_bytes(path.read_bytes()[:5_000])
    return p.train(f"--config.shards={p.shards}")


def flipped_byte(p):
    path = p.shards / "shard-00002-of-00004.npy"
    content = bytearray(path.read_bytes())
    content[5_000] ^= 1
    path.write_bytes(content)
    return ["check", str(p.shards)]


def missing_shard(p):
    (p.shards / "shard-00002-of-00004.npy").unlink()
    return p.train(f"--config.shards={p.shards}")


def empty_folder(p):
    (p.folder / "empty").mkdir()
    return p.train(f"--config.shards={p.folder / 'empty'}")


def missing_folder(p):
    return p.train(f"--config.shards={p.folder / 'nowhere'}")


def manifest_that_is_no_json(p):
    (p.shards / "manifest.json").write_text("{")
    return p.train(f"--config.shards={p.shards}")


def manifest_of_a_later_version(p):
    path = p.shards / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    return p.train(f"--config.shards={p.shards}")


def held_out_names_lost(p):
    (p.shards / "held_out.npy").unlink()
    return p.train(f"--config.shards={p.shards}")


def too_few_rows(p):
    (p.rows / "b.npy").unlink()
    np.save(p.rows / "a.npy", planted_rows(3))
    return p.train()


def text_column_missing(p):
    return ["embed", str(p.texts), "--text_column=abstract", p.out()]


def no_text_file(p):
    return ["embed", str(p.folder / "nothing.jsonl"), p.out()]


def empty_text_file(p):
    p.texts.write_text("")
    return ["embed", str(p.texts), p.out()]


def half_a_json_line(p):
    p.texts.write_text('{"title": "one"}\n{"tit')
    return ["embed", str(p.texts), p.out()]


def unknown_encoder(p):
    return ["embed", str(p.texts), "--encoder=word2vec", p.out()]


def unknown_corpus(p):
    return ["embed", "--corpus=astro", p.out()]


def wrong_weights(p):
    (p.folder / "model.safetensors").write_bytes(b"not the weights")
    for name in ("tokenizer.json", "config.json"):
        (p.folder / name).write_text("{}")
    return ["embed", str(p.texts), f"--weights={p.folder}", p.out()]


def unknown_setting(p):
    return p.train("--config.sae.kk=1")


def setting_of_another_type(p):
    return p.train("--config.sae.k=many")


def k_above_n(p):
    return p.train("--config.sae.k=65")


def log_between_blocks(p):
    return p.train("--config.log_every_steps=6")


def window_that_is_no_multiple(p):
    return p.train("--config.window_rows=1000")


def unknown_command(p):
    return ["trian"]


def unknown_flag(p):
    return p.train("--work_dir=x")


def no_workdir(p):
    return ["train", f"--config={p.config}"]


def no_config(p):
    return ["train", f"--workdir={p.run}"]


def config_file_missing(p):
    return ["train", f"--config={p.folder / 'none.py'}", f"--workdir={p.run}"]


def config_that_is_no_python(p):
    p.config.write_text("def get_config(:\n")
    return p.train()


def workdir_inside_a_file(p):
    return ["train", f"--config={p.config}", f"--workdir={p.texts / 'run'}"]


def other_settings_on_resume(p):
    p.finished_run()
    return p.train("--config.sae.k=4", "--config.n_steps=8")


def damaged_config(p):
    p.finished_run()
    (p.run / "config.json").write_text("{")
    return p.train("--config.n_steps=8")


def latents_of_no_run(p):
    return ["latents", str(p.rows)]


def latent_that_is_not(p):
    p.finished_run()
    return ["latents", str(p.run), "--latent=64"]


def latents_on_rows_of_another_width(p):
    p.finished_run()
    (p.folder / "other").mkdir()
    np.save(p.folder / "other" / "a.npy", planted_rows(100, d_in=15))
    return ["latents", str(p.run), f"--shards={p.folder / 'other'}"]


def folder_written_by_another_source(p):
    return ["ingest", str(p.rows), f"--out={p.shards}"]


def source_of_no_known_format(p):
    return ["ingest", str(p.texts), p.out()]


TABLE = [
    (wrong_width, 2, r"16 wide; expected sae\.d_in=17"),
    (float64, 1, r"a\.npy.*float64"),
    (integers, 1, r"a\.npy.*int32"),
    (widths_that_differ, 1, r"b\.npy.*15"),
    (one_dimension, 1, r"a\.npy.*9,?600"),
    (nan_row_in_training, 1, r"row 17 .*sae-jax check"),
    (nan_row_ingested, 1, r"row 17.*NaN"),
    (infinite_row_ingested, 1, r"row 17.*Inf"),
    (zero_row_ingested, 1, r"row 17.*zero"),
    (truncated, 1, r"a\.npy"),
    (truncated_shard, 1, r"shard-00001-of-00004\.npy"),
    (flipped_byte, 1, r"shard-00002-of-00004\.npy"),
    (missing_shard, 1, r"shard-00002-of-00004\.npy"),
    (empty_folder, 1, r"empty"),
    (missing_folder, 1, r"nowhere"),
    (manifest_that_is_no_json, 1, r"manifest\.json"),
    (manifest_of_a_later_version, 1, r"99"),
    (held_out_names_lost, 1, r"held_out\.npy"),
    (too_few_rows, 2, r"0 held-out rows; expected at least one"),
    (text_column_missing, 2, r"'abstract'.*title"),
    (no_text_file, 2, r"nothing\.jsonl"),
    (empty_text_file, 2, r"texts\.jsonl"),
    (half_a_json_line, 2, r"texts\.jsonl.*2"),
    (unknown_encoder, 2, r"word2vec"),
    (unknown_corpus, 2, r"astro.*biomedical"),
    (wrong_weights, 1, r"53aa51172d14"),
    (unknown_setting, 2, r"kk"),
    (setting_of_another_type, 2, r"many"),
    (k_above_n, 2, r"sae\.k=65 is more than sae\.n_latents=64"),
    (log_between_blocks, 2, r"Set log_every_steps to 8"),
    (window_that_is_no_multiple, 2, r"window_rows"),
    (unknown_command, 2, r"'trian'; expected one of embed"),
    (unknown_flag, 2, r"work_dir"),
    (no_workdir, 2, r"no --workdir"),
    (no_config, 2, r"no config; expected --config=FILE"),
    (config_file_missing, 2, r"none\.py"),
    (config_that_is_no_python, 2, r"tiny_config\.py"),
    (workdir_inside_a_file, 1, r"texts\.jsonl"),
    (other_settings_on_resume, 2, r"sae\.k was 3, is 4"),
    (damaged_config, 1, r"config\.json"),
    (latents_of_no_run, 1, r"no config\.json"),
    (latent_that_is_not, 2, r"expected numbers from 0 to 63"),
    (latents_on_rows_of_another_width, 2, r"15 wide.*of 16"),
    (folder_written_by_another_source, 1, r"shards"),
    (source_of_no_known_format, 1, r"texts\.jsonl"),
]


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock" and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize(
    ("spoil", "code", "message"), TABLE, ids=lambda v: getattr(v, "__name__", "")
)
def test_a_mistake_ends_in_one_paragraph(tmp_path, monkeypatch, capfd, spoil, code, message):
    arguments = spoil(Place(tmp_path))
    before = contents(tmp_path)
    monkeypatch.setattr(sys, "argv", ["sae-jax", *arguments])
    with pytest.raises(SystemExit) as ended:
        main.main()
    output = capfd.readouterr()
    said = [line for line in output.err.splitlines() if line.startswith("sae-jax")]
    if arguments[0] == "check":
        said = [" ".join(output.out.splitlines())]  # its report is the answer
    assert ended.value.code == code, output
    assert "Traceback" not in output.err + output.out
    after = contents(tmp_path)
    assert {name: after.get(name) for name in before} == before, "something was changed or lost"
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert len(said) == 1, output.err
    assert re.search(message, said[0]), said[0]
    assert len(said[0]) < 900, "a paragraph, not a page"


def test_the_table_is_long_enough():
    assert len(TABLE) >= 30
