"""Codes on disk equal those of a brute-force loop, whatever is killed, moved or shared."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from tiny import command, planted_rows, run_command, train

import sae_jax
from sae_jax.analysis import by_latent, codes, encode
from sae_jax.data.shards import open_shards
from sae_jax.errors import ShardError

N_ROWS = 2_500  # not a multiple of what one call takes


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with rows and a run that was trained on them for a few steps."""
    folder = tmp_path_factory.mktemp("encode")
    (folder / "rows").mkdir()
    np.save(folder / "rows" / "a.npy", planted_rows(N_ROWS))
    train(folder / "rows", folder / "run", n_steps=8)
    return folder


@pytest.fixture(scope="module")
def stored(place):
    sae, reader = sae_jax.load(place / "run"), open_shards(place / "rows")
    encode.encode_corpus(sae, reader, out=place / "codes")
    return codes.open_codes(place / "codes")


def test_rows_are_those_of_the_autoencoder(place, stored):
    expected = sae_jax.load(place / "run").encode(np.load(place / "rows" / "a.npy"))
    np.testing.assert_allclose(stored.values, expected.values, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(stored.indices, expected.indices)
    assert (np.diff(stored.values, axis=1) <= 0).all()


def test_latents_are_those_of_a_brute_force_loop(stored):
    values, indices = np.asarray(stored.values), np.asarray(stored.indices)
    assert stored.manifest.n_on == (values > 0).sum()
    for latent in range(stored.manifest.n_latents):
        rows, places = np.nonzero((indices == latent) & (values > 0))
        of = values[rows, places]
        order = np.lexsort((rows, -of))
        np.testing.assert_array_equal(stored.rows_of(latent), rows[order])
        np.testing.assert_array_equal(stored.values_of(latent), of[order])
        assert stored.density[latent] == len(rows) / N_ROWS


def test_near_misses_are_the_rows_it_is_off_on_with_the_highest_pre_activation(place, stored):
    sae, x = sae_jax.load(place / "run"), np.load(place / "rows" / "a.npy")
    pre_acts = (x - np.asarray(sae.b_dec)) @ np.asarray(sae.W_enc) + np.asarray(sae.b_enc)
    for latent in range(sae.n_latents):
        off = np.setdiff1d(np.arange(N_ROWS), stored.rows_of(latent))
        best = off[np.argsort(-pre_acts[off, latent])][: codes.N_NEAR]
        np.testing.assert_allclose(
            stored.near_pre_acts[latent], pre_acts[best, latent], rtol=1e-4, atol=1e-5
        )
        assert set(stored.near_rows[latent]) <= set(off)


def test_by_latent_is_the_same_however_little_is_held_in_memory(stored, tmp_path, monkeypatch):
    monkeypatch.setattr(by_latent, "ENTRIES_AT_ONCE", 50)
    by_latent.write_by_latent(
        tmp_path, values=stored.values, indices=stored.indices, n_latents=64
    )
    for name in codes.BY_LATENT:
        found = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_array_equal(found, getattr(stored, name))


def test_where_no_latent_is_on_the_index_is_empty(tmp_path):
    zeros = np.zeros((5, 2), np.float32), np.zeros((5, 2), np.int32)
    assert (
        by_latent.write_by_latent(tmp_path, values=zeros[0], indices=zeros[1], n_latents=3) == 0
    )
    assert len(np.load(tmp_path / "latent_rows.npy")) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "latent_starts.npy"), [0, 0, 0, 0])


def test_tasks_share_the_rows_and_the_last_completes_them(place, stored, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "ROWS_PER_PART", 700)
    sae, reader = sae_jax.load(place / "run"), open_shards(place / "rows")
    for task in (2, 0):
        found = encode.encode_corpus(sae, reader, out=tmp_path, task_index=task, task_count=3)
        assert found is None
    with pytest.raises(ShardError, match="not complete"):
        codes.open_codes(tmp_path)
    found = encode.encode_corpus(sae, reader, out=tmp_path, task_index=1, task_count=3)
    assert found == stored.manifest
    assert_same_codes(codes.open_codes(tmp_path), stored)
    assert not (tmp_path / "parts").exists()


def assert_same_codes(found, expected):
    for name in (*codes.BY_ROW, *codes.BY_LATENT, *codes.NEAR):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


def test_other_weights_replace_the_codes(place, stored, tmp_path):
    sae, reader = sae_jax.load(place / "run"), open_shards(place / "rows")
    encode.encode_corpus(sae, reader, out=tmp_path)
    other = sae_jax.load(train(place / "rows", tmp_path / "run", n_steps=4, seed=1))
    manifest = encode.encode_corpus(other, reader, out=tmp_path)
    assert manifest.run_fingerprint == codes.fingerprint(other) != codes.fingerprint(sae)
    np.testing.assert_array_equal(
        codes.open_codes(tmp_path).indices, other.encode(reader.read(np.arange(N_ROWS))).indices
    )


def test_a_task_of_older_weights_stops_where_newer_ones_have_begun(
    place, tmp_path, monkeypatch
):
    monkeypatch.setattr(encode, "ROWS_PER_PART", 700)
    sae, reader = sae_jax.load(place / "run"), open_shards(place / "rows")
    check = encode._check_finite

    def begin_anew(*rows, **more):
        check(*rows, **more)
        encode._begin(sae, reader, out=tmp_path, weights="of another step")

    monkeypatch.setattr(encode, "_check_finite", begin_anew)
    with pytest.raises(ShardError, match="another task has begun to encode with other weights"):
        encode.encode_corpus(sae, reader, out=tmp_path)
    assert not list((tmp_path / "parts").glob("*.npz"))
    assert (np.load(tmp_path / "values.npy") == 0).all()  # nothing of the older went there


def test_killed_in_the_middle_it_goes_on(place, stored, tmp_path):
    script = (
        "import sys, sae_jax, pathlib\n"
        "from sae_jax.analysis import encode\n"
        "from sae_jax.data.shards import open_shards\n"
        "encode.ROWS_PER_PART = 50\n"
        "sae, reader = sae_jax.load(sys.argv[1] + '/run'), open_shards(sys.argv[1] + '/rows')\n"
        "encode.encode_corpus(sae, reader, out=pathlib.Path(sys.argv[2]))\n"
    )
    words = [sys.executable, "-c", script, str(place), str(tmp_path)]
    process = subprocess.Popen(words)
    until = time.monotonic() + 60
    while len(list((tmp_path / "parts").glob("*.npz"))) < 3 and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    done = {p: p.stat().st_mtime_ns for p in (tmp_path / "parts").glob("*.npz")}
    assert not (tmp_path / "manifest.json").exists()
    assert 3 <= len(done) < 50
    subprocess.run(words, check=True)
    assert_same_codes(codes.open_codes(tmp_path), stored)


def test_several_devices_give_the_same(place, stored, tmp_path):
    forced = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    (tmp_path / "run").symlink_to(place / "run")
    # The variables of an array of jobs are no tasks of this: each may encode a run.
    array = {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2"}
    done = run_command("encode", str(tmp_path / "run"), env=os.environ | forced | array)
    assert done.returncode == 0, done.stderr
    (found,) = (place / "run" / "codes").iterdir()
    several = codes.open_codes(found)
    np.testing.assert_array_equal(several.indices, stored.indices)
    np.testing.assert_allclose(several.near_pre_acts, stored.near_pre_acts, rtol=1e-5)
    again = subprocess.run(
        command("encode", str(place / "run")), capture_output=True, text=True
    )
    assert "Done: " in again.stdout


def test_damage_is_said(stored, tmp_path):
    for path in stored.folder.glob("*.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    np.save(tmp_path / "indices.npy", np.zeros((3, 3), np.int32))
    with pytest.raises(ShardError, match=r"indices.npy: holds int32 \[3, 3\].*2500, 3"):
        codes.open_codes(tmp_path)
    (tmp_path / "indices.npy").unlink()
    with pytest.raises(ShardError, match=r"indices.npy: cannot be opened"):
        codes.open_codes(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ShardError, match="has format None; expected 1"):
        codes.open_codes(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(ShardError, match="cannot be read"):
        codes.open_codes(tmp_path)
    fields = json.loads(stored.manifest.to_json()) | {"shards": None}
    (tmp_path / "manifest.json").write_text(json.dumps(fields))
    with pytest.raises(ShardError, match=r"\(shards is None\)"):
        codes.open_codes(tmp_path)


def test_rows_that_are_not_finite_are_named(place, tmp_path):
    rows = planted_rows(40)
    rows[17, 3] = np.nan
    (tmp_path / "bad").mkdir()
    np.save(tmp_path / "bad" / "b.npy", rows)
    with pytest.raises(ShardError, match="row 17 of the file holds NaN"):
        encode.encode_corpus(
            sae_jax.load(place / "run"), open_shards(tmp_path / "bad"), out=tmp_path / "out"
        )
