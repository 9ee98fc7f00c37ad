"""Permutations too large to store: the place of each element by arithmetic.

A Feistel network over the bits of a number is a permutation of 2^bits whatever its round
function is; walking on from results that are too large makes it one of any size (cycle
walking, Black and Rogaway 2002, "Ciphers with arbitrary finite domains", section 4).
The order is part of what a resume relies on: tests pin it, and it must never change.
"""

import hashlib

import numpy as np
from jaxtyping import Int64, UInt64

N_ROUNDS = 6  # 4 keep 1.2 to 1.5 times too many neighbours together, 6 and 8 do not
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads low bits upwards
_HALF_WORD = np.uint64(32)


def key(*words: int) -> int:
    """64 bits that depend on every word, and on their order."""
    text = " ".join(str(int(word)) for word in words)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def permute(places: Int64[np.ndarray, " n"], *, size: int, key: int) -> Int64[np.ndarray, " n"]:
    """The elements at these places of the key's permutation of range(size)."""
    if size <= 1:
        return places
    n_bits = max(2, (size - 1).bit_length())
    round_keys = _round_keys(key)
    numbers = _feistel(places.astype(np.uint64), n_bits=n_bits, round_keys=round_keys)
    outside = np.flatnonzero(numbers >= size)
    while len(outside):  # less than half of all, each time
        again = _feistel(numbers[outside], n_bits=n_bits, round_keys=round_keys)
        numbers[outside] = again
        outside = outside[again >= size]
    return numbers.astype(np.int64)


def _round_keys(key: int) -> list[np.uint64]:
    digest = hashlib.blake2b(key.to_bytes(8, "little"), digest_size=8 * N_ROUNDS)
    return list(np.frombuffer(digest.digest(), "<u8").astype(np.uint64))


def _feistel(
    numbers: UInt64[np.ndarray, " n"], *, n_bits: int, round_keys: list[np.uint64]
) -> UInt64[np.ndarray, " n"]:
    """A permutation of range(2^n_bits), which has at least 2 bits."""
    n_low = np.uint64(n_bits // 2)
    n_high = np.uint64(n_bits) - n_low
    high = numbers >> n_low
    low = numbers ^ (high << n_low)
    drop_high, drop_low = np.uint64(64) - n_high, np.uint64(64) - n_low
    for i, round_key in enumerate(round_keys):
        if i % 2:
            high ^= _hash(low, key=round_key, drop=drop_high)
        else:
            low ^= _hash(high, key=round_key, drop=drop_low)
    high <<= n_low
    high |= low
    return high


def _hash(
    half: UInt64[np.ndarray, " n"], *, key: np.uint64, drop: np.uint64
) -> UInt64[np.ndarray, " n"]:
    """Mixes 64 bits and keeps the upper ones, which a product mixes best."""
    mixed = half ^ key
    mixed *= _ODD
    mixed ^= mixed >> _HALF_WORD
    mixed *= _ODD
    mixed >>= drop
    return mixed
