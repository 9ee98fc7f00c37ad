import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from tiny import PEAK_BYTES

from sae_jax.data import ingest as ingests
from sae_jax.data import shards
from sae_jax.data.ingest import Ingest
from sae_jax.data.sources import Columns, open_source
from sae_jax.errors import ShardError, UsageError


def plan(path, folder, **settings):
    source = open_source(path)
    given = {"columns": Columns(), "provenance": source.provenance} | settings
    return Ingest(source=source, folder=folder, **given)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_rows_are_stored_as_asked(tmp_path, make, dtype):
    np.save(tmp_path / "a.npy", make.rows(300).astype(np.float64))
    plan(tmp_path / "a.npy", tmp_path / "x", dtype=dtype).run()
    reader = shards.open_shards(tmp_path / "x")
    found = reader.read(np.arange(300))
    assert found.dtype.name == dtype
    np.testing.assert_array_equal(found, make.rows(300).astype(found.dtype))


def test_float64_needs_a_decision(tmp_path, make):
    np.save(tmp_path / "a.npy", make.rows(3).astype(np.float64))
    with pytest.raises(UsageError, match=r"rows are float64.*--dtype= one of float32"):
        plan(tmp_path / "a.npy", tmp_path / "x").run()


def test_a_folder_ingested_as_another_dtype_keeps_texts_and_held_out_rows(tmp_path, folder):
    plan(folder, tmp_path / "x", dtype="float16").run()
    before, after = shards.open_shards(folder), shards.open_shards(tmp_path / "x")
    np.testing.assert_array_equal(after.held_out_ids, before.held_out_ids)
    assert after.records(range(350)) == before.records(range(350))


def test_the_same_ingest_is_recognised_and_another_is_not(tmp_path, make):
    np.save(tmp_path / "a.npy", make.rows(30))
    done = plan(tmp_path / "a.npy", tmp_path / "x")
    assert done.finished() is None
    done.run()
    assert plan(tmp_path / "a.npy", tmp_path / "x").finished() is not None
    assert plan(tmp_path / "a.npy", tmp_path / "x", dtype="float16").finished() is None
    np.save(tmp_path / "a.npy", make.rows(30, seed=1))
    changed = plan(tmp_path / "a.npy", tmp_path / "x")
    assert changed.finished() is None
    with pytest.raises(ShardError, match="is already complete"):
        changed.run()


def test_a_disk_too_small_is_known_before_the_start(tmp_path, make, monkeypatch):
    np.save(tmp_path / "a.npy", make.rows(30))
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(ingests.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ShardError, match=r"has 0\.0 GB free; the rows need .*--dtype=float16"):
        plan(tmp_path / "a.npy", tmp_path / "x").run()


RUN = PEAK_BYTES + textwrap.dedent("""
    import sys
    from sae_jax.cli.main import main

    sys.argv = ["sae-jax", "ingest", *sys.argv[1:]]
    try:
        main()
    finally:
        print("peak", peak_bytes())
""")


def test_an_ingest_killed_by_signal_9_goes_on(tmp_path):
    rows = np.ones((150_000, 64), np.float32)
    rows[:, 0] = np.arange(1, 150_001)
    rows[::1_000, 1] = np.nan
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", rows[i * 50_000 : (i + 1) * 50_000])
    out = tmp_path / "out"
    command = [
        *[sys.executable, "-c", RUN, str(tmp_path), f"--out={out}"],
        *["--dtype=float32", "--bad_rows=drop"],
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not list(out.glob("shard-00000.npy")) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "manifest.json").exists()
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "149,850 rows × 64 float32 in 3 shards, 150 unusable rows left out" in told
    found = shards.open_shards(out).read(np.arange(149_850))
    np.testing.assert_array_equal(found, rows[np.isfinite(rows).all(axis=1)])


def test_ten_times_the_rows_take_no_more_memory(tmp_path):
    peaks = []
    for n_rows in (20_000, 200_000):
        source = tmp_path / f"{n_rows}.npy"
        np.save(source, np.ones((n_rows, 384), np.float16))
        command = [sys.executable, "-c", RUN, str(source), f"--out={tmp_path / str(n_rows)}"]
        told = subprocess.run(command, capture_output=True, text=True).stdout
        peaks.append(int(told.split("peak ")[1]))
    # 138 MB more rows; parts of some MB may wait or not.
    assert peaks[1] - peaks[0] < 30e6, peaks
