"""How fast the stream draws rows from disk, and whether drawing them hides behind the step.

python experiments/benchmarks/input.py --folder=A_FOLDER_ON_THE_DISK_TO_MEASURE
Writes 4 GB of shards there (a temporary folder by default), prints a table and writes
results/input-cpu.json. Hardware of that file: 2 virtual cores, 6 minutes; the best of some
repeats, since others worked on the machine. Cold: the pages of the files are dropped before
each repeat; a host that caches the virtual disk answers faster than the disk would.
"""

import argparse
import dataclasses
import datetime
import json
import math
import os
import pathlib
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from sae_jax.data.manifest import Provenance
from sae_jax.data.prefetch import prefetch
from sae_jax.data.shards import MAX_MAPPED_BYTES, ShardReader, open_shards
from sae_jax.data.stream import RowStream
from sae_jax.data.writer import ShardWriter

RESULTS = pathlib.Path(__file__).parent / "results" / "input-cpu.json"
BLOCK_STEPS = 16  # drawn together, as training does by default
WINDOW_ROWS = 131_072  # 8 blocks of 1,024, 1 of 8,192
BATCH_SIZES = (1_024, 8_192)


class Corpus(NamedTuple):
    """A folder to read; `n_rows` of 384 × float16 for 768 MB are 1,000,000."""

    name: str
    n_rows: int
    d_in: int
    dtype: str


CORPORA = (
    Corpus("small", 40_000, 384, "float16"),  # 31 MB: stays mapped
    Corpus("middle", 200_000, 384, "float16"),
    Corpus("large", 1_500_000, 384, "float16"),
    Corpus("large", 750_000, 384, "float32"),
    Corpus("wide", 190_000, 3_072, "float16"),
)


def make_folder(corpus: Corpus, *, inside: pathlib.Path) -> ShardReader:
    """Writes rows that are the same every 8,192; opens the folder if it is there already."""
    folder = inside / "-".join(map(str, corpus))
    if not (folder / "manifest.json").exists():
        writer = ShardWriter(
            folder,
            d_in=corpus.d_in,
            dtype=corpus.dtype,
            provenance=Provenance(source="random numbers"),
            identity="benchmark",
        )
        rows = np.random.default_rng(0).normal(size=(8_192, corpus.d_in)).astype(corpus.dtype)
        for first in range(writer.n_rows_done, corpus.n_rows, len(rows)):
            writer.append(rows[: corpus.n_rows - first])
        writer.finish()
        os.sync()  # pages that are not on the disk yet cannot be dropped
    return open_shards(folder)


def drop_pages(reader: ShardReader) -> None:
    """Makes the page cache forget the files, as far as nobody maps them."""
    reader.forget()
    for file in reader.files:
        os.posix_fadvise(file.opened.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def read_in_order(reader: ShardReader, *, piece: int = 2**20) -> None:
    """Every byte, into the same memory: the limit of any reader; warms the page cache."""
    memory = bytearray(piece)
    for file in reader.files:
        at = 0
        while n := os.preadv(file.opened.descriptor, [memory], at):
            at += n


def best_seconds(
    work: Callable[[int], object], *, n_repeats: int, before: Callable[[], None] = lambda: None
) -> float:
    """Of work(0), work(1), …: the least disturbed one."""
    seconds = []
    for i in range(n_repeats):
        before()
        began = time.perf_counter()
        work(i)
        seconds.append(time.perf_counter() - began)
    return min(seconds)


class Way(NamedTuple):
    """How the steps of a block are drawn."""

    read: str  # "step": one by one; "block": together
    n_threads: int


WAYS = (Way("step", 1), Way("block", 1), Way("block", 2), Way("block", 4))


def rows_per_second(
    reader: ShardReader, *, batch_size: int, window_rows: int, cold: bool
) -> dict[Way, float]:
    """The best of some repeats, in which the ways take turns: a busy machine, or a host that
    has cached more, then meets all of them. Windows are measured whole, after the first.
    """
    n_blocks = max(1, window_rows // (BLOCK_STEPS * batch_size))
    n_steps = n_blocks * BLOCK_STEPS

    def draw(stream: RowStream, *, way: Way, i: int) -> float:
        began = time.perf_counter()
        for first in range(i * n_steps, (i + 1) * n_steps, BLOCK_STEPS):
            steps = range(first, first + BLOCK_STEPS)
            if way.read == "block":
                stream.batches(steps)
            else:
                for step in steps:
                    stream.batch(step)
        return time.perf_counter() - began

    best = dict.fromkeys(WAYS, math.inf)
    for repeat in range(2 if cold else 5):
        for way in WAYS:
            stream = RowStream(
                reader=dataclasses.replace(reader, n_threads=way.n_threads),
                seed=repeat,
                batch_size=batch_size,
                window_rows=window_rows,
            )
            draw(stream, way=way, i=0)
            if cold:
                drop_pages(reader)
            best[way] = min(best[way], draw(stream, way=way, i=1))
    return {way: n_steps * batch_size / seconds for way, seconds in best.items()}


def stream_cases(reader: ShardReader) -> Iterator[dict[str, Any]]:
    """Every way, from the page cache and from the disk."""
    row_bytes = reader.n_bytes // reader.n_rows
    stays_mapped = reader.n_bytes <= MAX_MAPPED_BYTES  # is never cold after the first epoch
    for cache in ("warm",) if stays_mapped else ("warm", "cold"):
        read_in_order(reader)
        for window_rows in (0, WINDOW_ROWS) if reader.n_train > WINDOW_ROWS else (0,):
            for batch_size in BATCH_SIZES:
                rates = rows_per_second(
                    reader,
                    batch_size=batch_size,
                    window_rows=window_rows,
                    cold=cache == "cold",
                )
                for way, rate in rates.items():
                    yield {
                        "cache": cache,
                        "window_rows": window_rows,
                        "batch_size": batch_size,
                        **way._asdict(),
                        "rows_per_second": round(rate),
                        "gb_per_second": round(rate * row_bytes / 1e9, 3),
                    }


def read_waiting(reader: ShardReader, *, seed: int, n_rows: int = 2_048) -> None:
    """Rows all over the folder by the plainest loop: each call waits for its row."""
    row_bytes = reader.n_bytes // reader.n_rows
    into = bytearray(row_bytes)
    chosen = np.sort(np.random.default_rng(seed).integers(0, reader.n_rows, n_rows))
    file_ids = np.searchsorted(reader.first_rows, chosen, side="right") - 1
    in_file = chosen - reader.first_rows[file_ids]
    for i, row_id in zip(file_ids.tolist(), in_file.tolist(), strict=True):
        file = reader.files[i].opened
        os.preadv(file.descriptor, [into], file.offset + row_id * row_bytes)


def limits(reader: ShardReader) -> dict[str, float]:
    """What this library takes no part in."""
    rows = reader.read(np.arange(min(reader.n_rows, 500_000)))
    generator = np.random.default_rng(0)
    chosen = [generator.integers(0, len(rows), 8_192) for _ in range(7)]
    take = best_seconds(lambda i: np.take(rows, chosen[i], axis=0, mode="clip"), n_repeats=7)
    found: dict[str, float] = {"take_rows_per_second": round(8_192 / take)}
    for cache, before in (("warm", lambda: None), ("cold", lambda: drop_pages(reader))):
        whole = best_seconds(lambda _: read_in_order(reader), n_repeats=3, before=before)
        alone = best_seconds(lambda i: read_waiting(reader, seed=i), n_repeats=3, before=before)
        found[f"sequential_gb_per_second_{cache}"] = round(reader.n_bytes / whole / 1e9, 2)
        found[f"plain_loop_rows_per_second_{cache}"] = round(2_048 / alone)
    return found


def overlap_cases(reader: ShardReader) -> Iterator[dict[str, Any]]:
    """A reader of blocks ahead of a step that sleeps: how long does the step wait for rows?"""
    for window_rows in (0, WINDOW_ROWS):
        stream = RowStream(reader=reader, seed=0, batch_size=1_024, window_rows=window_rows)

        def draw(first: int, stream: RowStream = stream) -> object:
            return stream.batches(range(first, first + BLOCK_STEPS))

        read_in_order(reader)
        draw(0)  # of a windowed stream, the first window
        steps = range(BLOCK_STEPS, 49 * BLOCK_STEPS, BLOCK_STEPS)
        began = time.perf_counter()
        for first in steps:
            draw(first)
        block_seconds = (time.perf_counter() - began) / len(steps)
        for times_as_long in (0.0, 0.5, 1.5, 3.0):
            draw(steps[0])  # as it was before the other steps
            with prefetch(draw, steps=steps) as blocks:
                next(blocks)  # the first, which nothing can hide
                before, began = blocks.starved_seconds, time.perf_counter()
                for _ in blocks:
                    time.sleep(times_as_long * block_seconds)
            total = time.perf_counter() - began
            starved = blocks.starved_seconds - before
            yield {
                "window_rows": window_rows,
                "read_seconds_of_a_block": round(block_seconds, 4),
                "step_over_read_seconds": times_as_long,
                "starved_fraction": round(starved / total, 3),
                "expected": round(max(0.0, 1 - times_as_long), 3),
            }


def machine() -> dict[str, Any]:
    names = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": next(line.split(": ")[1] for line in names if line.startswith("model name")),
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
    }


def measure(corpus: Corpus, *, inside: pathlib.Path) -> dict[str, Any]:
    """One folder, in rows of the table."""
    reader = make_folder(corpus, inside=inside)
    found = {**corpus._asdict(), "n_bytes": reader.n_bytes, "limits": limits(reader)}
    print(f"\n{corpus.name}: {corpus.n_rows:,} × {corpus.d_in} {corpus.dtype}, ", end="")
    print(f"{reader.n_bytes / 1e6:,.0f} MB. Limits: {found['limits']}")
    found["cases"] = []
    for case in stream_cases(reader):
        found["cases"].append(case)
        window = f"window {case['window_rows']:,}" if case["window_rows"] else "all shuffled"
        how = f"by {case['read']}, {case['n_threads']} threads"
        print(
            f"  {case['cache']}  {window:<15} batch {case['batch_size']:>5,}  {how:<19}"
            f"{case['rows_per_second']:>12,} rows/s  {case['gb_per_second']:6.2f} GB/s",
            flush=True,
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=pathlib.Path, help="on the disk to measure")
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        inside = flags.folder or pathlib.Path(temporary)
        found: dict[str, Any] = {
            "command": "python experiments/benchmarks/input.py",
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "machine": machine(),
            "versions": {"python": platform.python_version(), "numpy": np.__version__},
            "load_average_at_start": round(os.getloadavg()[0], 1),
            "folders": [measure(corpus, inside=inside) for corpus in CORPORA],
            "overlap": [],
        }
        print("\nprefetching a block ahead of a step that takes so many times its reading")
        for case in overlap_cases(make_folder(CORPORA[1], inside=inside)):
            found["overlap"].append(case)
            print(f"  {case}")
    flags.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
