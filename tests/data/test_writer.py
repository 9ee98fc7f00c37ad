import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time

import ml_dtypes
import numpy as np
import pytest

from sae_jax.data import shards
from sae_jax.data.manifest import Provenance
from sae_jax.data.writer import ShardWriter
from sae_jax.errors import ShardError


def start(folder, **settings):
    settings = {
        "d_in": 8,
        "dtype": "float32",
        "identity": "a",
        "rows_per_shard": 100,
    } | settings
    return ShardWriter(folder, provenance=Provenance(source="test"), **settings)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("n_rows", [1, 99, 100, 101, 350])
def test_rows_read_back_as_they_were_written(tmp_path, make, dtype, n_rows):
    rows = make.rows(n_rows)
    make.folder(tmp_path / "x", rows, dtype=dtype)
    reader = shards.open_shards(tmp_path / "x")
    expected = rows.astype({"bfloat16": ml_dtypes.bfloat16}.get(dtype, dtype))
    found = reader.read(np.arange(n_rows))
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.view(np.uint8), expected.view(np.uint8))


def test_how_rows_are_handed_over_does_not_change_a_byte(tmp_path, make):
    rows, records = make.rows(333), make.records(333)
    make.folder(tmp_path / "at once", rows, records=records)
    writer = start(tmp_path / "in pieces", identity="test")
    for first in range(0, 333, 47):
        piece = slice(first, first + 47)
        writer.append(rows[piece], records=records[piece])
    writer.finish()
    one, other = content(tmp_path / "at once"), content(tmp_path / "in pieces")
    one.pop("manifest.json"), other.pop("manifest.json")  # differs in its provenance
    assert one == other


def test_a_finished_folder_holds_nothing_else(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "held_out.npy",
        "manifest.json",
        "rows.parquet",
        *[f"shard-0000{i}-of-00004.npy" for i in range(4)],
    ]


def test_shards_are_plain_npy_files(folder, make):
    found = [np.load(path) for path in sorted(folder.glob("shard-*.npy"))]
    assert [len(rows) for rows in found] == [100, 100, 100, 50]
    np.testing.assert_array_equal(np.concatenate(found), make.rows(350))


def test_an_interrupted_write_goes_on_after_its_whole_shards(tmp_path, make):
    rows, records = make.rows(350), make.records(350)
    writer = start(tmp_path / "x")
    writer.append(rows[:250], records=records[:250])
    writer.close()  # as a kill would leave it: two whole shards and a part
    assert (tmp_path / "x" / "shard-00002.npy.part").exists()
    with pytest.raises(ShardError, match=r"half-written.*Run the command"):
        shards.open_shards(tmp_path / "x")

    again = start(tmp_path / "x")
    assert again.n_rows_done == again.n_source_rows_done == 200
    again.append(rows[200:], records=records[200:])
    again.finish()
    whole = start(tmp_path / "y")
    whole.append(rows, records=records)
    whole.finish()
    assert content(tmp_path / "x") == content(tmp_path / "y")


@pytest.mark.parametrize("n_renamed", [0, 1, 4])
def test_a_kill_inside_finish_loses_nothing(tmp_path, make, monkeypatch, n_renamed):
    """The last shard is short by then, and some files have their final names already."""
    writer = start(tmp_path / "x")
    writer.append(make.rows(350))
    with monkeypatch.context() as patch:
        rename = type(tmp_path).rename
        renamed = []

        def die(path, target):
            if "-of-" in target.name:
                if len(renamed) == n_renamed:
                    raise KeyboardInterrupt
                renamed.append(target)
            return rename(path, target)

        patch.setattr(type(tmp_path), "rename", die)
        if n_renamed < 4:
            with pytest.raises(KeyboardInterrupt):
                writer.finish()
        else:
            patch.setattr("sae_jax.data.manifest.Manifest.write", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                writer.finish()
    writer.close()
    again = start(tmp_path / "x")
    assert again.n_rows_done == 350
    again.finish()
    np.testing.assert_array_equal(
        shards.open_shards(tmp_path / "x").read(np.arange(350)), make.rows(350)
    )


def test_a_writer_killed_by_signal_9_goes_on(tmp_path):
    """Real processes: rows of one number each, whatever the moment of the kill."""
    program = textwrap.dedent("""
        import sys
        import numpy as np
        from sae_jax.data.manifest import Provenance
        from sae_jax.data.writer import ShardWriter

        writer = ShardWriter(sys.argv[1], d_in=4, dtype="float32", identity="kill",
                             provenance=Provenance(), rows_per_shard=64)
        print(writer.n_rows_done, flush=True)
        for first in range(writer.n_rows_done, 20_000, 40):
            ids = np.arange(first, min(first + 40, 20_000))
            records = [{"id": str(i), "text": f"t{i}"} for i in ids]
            writer.append(np.repeat(ids[:, None] + 1, 4, 1).astype(np.float32), records=records)
        writer.finish()
    """)
    folder = tmp_path / "x"
    command = [sys.executable, "-c", program, str(folder)]
    done = [0]
    for seconds in (0.01, 0.1, 0.4, 0.1, 0.0):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        done.append(int(process.stdout.readline()))
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert done == sorted(done)
    assert 0 < done[-1] < 20_000
    assert not (folder / "manifest.json").exists()
    subprocess.run(command, check=True, capture_output=True)
    reader = shards.open_shards(folder)
    np.testing.assert_array_equal(reader.read(np.arange(20_000))[:, 0], np.arange(1, 20_001))
    assert reader.records([19_999])[0]["text"] == "t19999"


def test_another_identity_is_refused(tmp_path, make):
    start(tmp_path / "x").close()
    with pytest.raises(
        ShardError, match=r"identity was 'a', is now 'b'.*Finish it with its own"
    ):
        start(tmp_path / "x", identity="b")


def test_a_second_writer_at_the_same_time_is_refused(tmp_path):
    first = start(tmp_path / "x")
    with pytest.raises(ShardError, match="another process is writing into it"):
        start(tmp_path / "x")
    first.close()
    start(tmp_path / "x").close()


def test_a_complete_folder_is_not_written_over(folder):
    with pytest.raises(ShardError, match=r"already complete.*choose another folder"):
        start(folder)


def test_a_folder_with_other_files_is_not_written_into(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ShardError, match=r"is not empty \(it has thesis\.tex\)"):
        start(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_named(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(ShardError, match=r"locked.*cannot be written \(Permission denied\)"):
        start(tmp_path / "locked" / "x")


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(ShardError, match=r"x: cannot be written \(File exists\)"):
        start(tmp_path / "x")


def test_the_wrong_width_is_refused(tmp_path, make):
    with pytest.raises(ShardError, match="are 9 wide; the folder was started with d_in=8"):
        start(tmp_path / "x").append(make.rows(3, d_in=9))


def test_float64_is_refused_with_the_cast_to_make(tmp_path, make):
    with pytest.raises(ShardError, match=r"are float64;.*rows\.astype\(np\.float32\)"):
        start(tmp_path / "x").append(make.rows(3, dtype=np.float64))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_row_that_is_not_finite_is_named_by_its_place_in_the_source(tmp_path, make, value):
    writer = start(tmp_path / "x")
    rows = make.rows(60)
    writer.append(rows)
    rows[17, 3] = value
    with pytest.raises(ShardError, match="row 77 of the source has a NaN or Inf as float32"):
        writer.append(rows)


def test_a_number_too_large_for_float16_is_not_stored_as_inf(tmp_path, make):
    rows = make.rows(4)
    rows[2, 0] = 70_000
    with pytest.raises(ShardError, match=r"row 2 of .* NaN or Inf as float16 .*wider dtype"):
        start(tmp_path / "x", dtype="float16").append(rows)


def test_a_row_of_zeros_is_named(tmp_path, make):
    rows = make.rows(4)
    rows[3] = 0
    with pytest.raises(ShardError, match=r"row 3 of the source is all zeros.*--bad_rows=drop"):
        start(tmp_path / "x").append(rows)


def test_bad_rows_are_dropped_with_their_records_where_asked(tmp_path, make):
    rows, records = make.rows(300), make.records(300)
    bad = [0, 99, 100, 101, 250]
    rows[bad, 1] = np.nan
    good = np.setdiff1d(np.arange(300), bad)
    writer = start(tmp_path / "x", drop_bad_rows=True)
    writer.append(rows[:220], records=records[:220])
    writer.close()

    again = start(tmp_path / "x", drop_bad_rows=True)
    assert again.n_rows_done == 200
    assert again.n_source_rows_done == good[199] + 1
    rest = slice(again.n_source_rows_done, None)
    again.append(rows[rest], records=records[rest])
    assert again.finish().n_dropped == 5
    reader = shards.open_shards(tmp_path / "x")
    np.testing.assert_array_equal(reader.read(np.arange(295)), rows[good])
    assert [r["id"] for r in reader.records(range(295))] == [f"doc{i}" for i in good]


def test_records_come_with_every_row_or_with_none(tmp_path, make):
    writer = start(tmp_path / "x")
    with pytest.raises(ShardError, match="2 records came with 3 rows"):
        writer.append(make.rows(3), records=make.records(2))
    writer.append(make.rows(3), records=make.records(3))
    with pytest.raises(ShardError, match="with some rows and not with others"):
        writer.append(make.rows(3))


def test_a_source_without_rows_is_an_error(tmp_path, make):
    writer = start(tmp_path / "x")
    writer.append(make.rows(0))
    with pytest.raises(ShardError, match="no rows were written"):
        writer.finish()


def test_a_full_disk_keeps_whole_shards_and_says_so(tmp_path):
    """RLIMIT_FSIZE stands in for the disk: writes beyond it fail in the same way."""
    rows = np.ones((1_000, 8), np.float32)
    writer = start(tmp_path / "x", rows_per_shard=500)
    writer.append(rows[:500])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_192, before[1]))
    try:
        with pytest.raises(
            ShardError, match=r"shard-00001\.npy\.part: cannot be written \(File"
        ):
            writer.append(rows[500:])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    writer.close()
    assert start(tmp_path / "x", rows_per_shard=500).n_rows_done == 500


def test_a_lost_shard_of_a_half_written_folder_is_named(tmp_path, make):
    writer = start(tmp_path / "x")
    writer.append(make.rows(200))
    writer.close()
    (tmp_path / "x" / "shard-00001.npy").unlink()
    with pytest.raises(ShardError, match=r"shard-00001\.npy: is missing or not \d+ bytes"):
        start(tmp_path / "x")


def test_a_damaged_note_of_a_half_written_folder_is_named(tmp_path):
    start(tmp_path / "x").close()
    (tmp_path / "x" / "incomplete.json").write_text(json.dumps([]))
    with pytest.raises(ShardError, match=r"incomplete\.json: is damaged"):
        start(tmp_path / "x")
