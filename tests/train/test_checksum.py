"""Checksums of arrays in parts equal those of the whole."""

import zlib

import jax.numpy as jnp
import numpy as np
import pytest

from sae_jax.train import checksum


@pytest.mark.parametrize("cut", [0, 1, 17, 99, 100])
def test_two_parts_joined_give_the_crc_of_the_whole(cut):
    content = np.random.default_rng(0).bytes(100)
    first, second = content[:cut], content[cut:]
    joined = checksum.join(zlib.crc32(first), zlib.crc32(second), n_bytes=len(second))
    assert joined == zlib.crc32(content)


@pytest.mark.parametrize("shape", [(), (5,), (4, 3)])
def test_a_checksum_is_type_shape_and_crc_of_the_bytes(shape):
    array = np.full(shape, 2.5, np.float32)
    found = checksum.of_arrays({"a": array, "b": jnp.asarray(array)})
    assert found["a"] == found["b"]
    crc = zlib.crc32(np.asarray(array).tobytes())
    assert found["a"] == f"{array.dtype}{list(array.shape)}:{crc:08x}"


def test_parts_of_four_processes_give_the_crc_of_the_whole(monkeypatch):
    """Two and two of them hold the same halves."""
    whole = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    halves = [{(0, 3): zlib.crc32(whole[:3])}, {(3, 6): zlib.crc32(whole[3:])}]
    pretend(monkeypatch, [[half] for half in halves * 2])
    found = checksum.of_arrays({"W": whole})["W"]
    assert found == f"float32[6, 5]:{zlib.crc32(whole):08x}"


def test_processes_that_differ_are_found_out(monkeypatch):
    pretend(monkeypatch, [[{(0, 6): 1}], [{(0, 6): 2}]])
    whole = np.zeros((6, 5), np.float32)
    assert checksum.of_arrays({"W": whole})["W"] == "float32[6, 5]:differs"


def pretend(monkeypatch, parts):
    monkeypatch.setattr(checksum.jax, "process_count", lambda: len(parts))
    monkeypatch.setattr(checksum, "_exchange", lambda _: parts)
