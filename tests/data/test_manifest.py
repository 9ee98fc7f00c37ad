import json

import numpy as np
import pytest

from sae_jax.data import manifest as manifests
from sae_jax.errors import ShardError


def edit(folder, **changes):
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_manifest_reads_back_as_it_was_written(folder):
    manifest = manifests.read_manifest(folder)
    manifest.write(folder)
    assert manifests.read_manifest(folder) == manifest


@pytest.mark.parametrize("n_rows", [1, 9, 10, 1000, 117_791])
def test_held_out_rows_are_the_tail_of_a_permutation(n_rows):
    permutation = np.random.default_rng(3).permutation(n_rows)
    expected = np.sort(permutation[n_rows - n_rows // 10 :])
    found = manifests.held_out_row_ids(n_rows, fraction=0.1, seed=3)
    np.testing.assert_array_equal(found, expected)


def test_no_more_rows_are_held_out_than_evaluation_can_hold():
    assert len(manifests.held_out_row_ids(1_200_000)) == manifests.MAX_HELD_OUT


def test_a_fraction_of_zero_holds_nothing_out():
    assert len(manifests.held_out_row_ids(1_000, fraction=0.0)) == 0


def test_the_fingerprint_is_of_the_rows_not_of_their_texts(tmp_path, make):
    rows = make.rows(50)
    plain = make.folder(tmp_path / "a", rows)
    with_texts = make.folder(tmp_path / "b", rows, records=make.records(50))
    others = make.folder(tmp_path / "c", rows[::-1])
    assert plain.fingerprint == with_texts.fingerprint != others.fingerprint


def test_the_fingerprint_changes_with_the_held_out_rows(tmp_path, make):
    rows = make.rows(50)
    one = make.folder(tmp_path / "a", rows)
    other = make.folder(tmp_path / "b", rows, held_out_seed=1)
    assert one.fingerprint != other.fingerprint


def test_a_manifest_that_is_not_json_is_named(folder):
    (folder / "manifest.json").write_text("{")
    with pytest.raises(ShardError, match=r"manifest\.json: is not a manifest.*--rewrite"):
        manifests.read_manifest(folder)


def test_a_manifest_of_a_newer_version_asks_for_an_upgrade(folder):
    edit(folder, schema_version=2)
    with pytest.raises(ShardError, match=r"schema version 2; this sae_jax reads 1\. Upgrade"):
        manifests.read_manifest(folder)


def test_a_manifest_with_a_field_missing_says_which(folder):
    path = folder / "manifest.json"
    found = json.loads(path.read_text())
    del found["shards"]
    path.write_text(json.dumps(found))
    with pytest.raises(ShardError, match=r"does not fit its schema \(KeyError\('shards'\)\)"):
        manifests.read_manifest(folder)


def test_a_manifest_edited_by_hand_is_refused(folder):
    edit(folder, fingerprint="0" * 64)
    with pytest.raises(ShardError, match=r"fingerprint 000000000000….*edited"):
        manifests.read_manifest(folder)


def test_a_manifest_whose_rows_do_not_add_up_is_refused(folder):
    edit(folder, n_rows=351)
    with pytest.raises(ShardError, match=r"n_rows=351, but its shards add up to 350"):
        manifests.read_manifest(folder)


def test_an_atomic_write_leaves_the_old_content_where_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "file"
    manifests.write_atomically(path, b"old")

    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(manifests.os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        manifests.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
