"""A worker's end of the pipe: a JSON object a line in, one out; and what a round measures.

Only the standard library, since workers of two environments run it.
"""

import json
import os
import pathlib
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, Protocol, TextIO

DEAD_BIAS = -10.0  # encoder bias of the latents of a peer that a scenario makes dead


class Trainer(Protocol):
    """What a worker trains."""

    config: dict[str, Any]  # how, for the record
    data_bytes: int  # of rows that it holds in host memory
    start_mb: float  # resident set with its packages imported and its rows loaded

    def run(self, n_steps: int) -> int:
        """Trains at least so many steps, until the device is done; returns how many."""

    def fvu(self) -> float:
        """On the held-out rows."""

    def close(self) -> None:
        """Ends its threads."""


class Worker(Protocol):
    """The framework that a worker's process runs."""

    def make(self, request: dict[str, Any]) -> Trainer: ...

    def matmul_gflops(self, shapes: list[list[int]]) -> float:
        """The best of many float32 products [m, k] @ [k, n], over all shapes (m, k, n)."""

    def device_peak_mb(self) -> float | None: ...


def dead_latents(n_latents: int, *, fraction: float) -> range:
    """The latents that a scenario makes dead: evenly spaced, the same in every trainer."""
    return range(0, n_latents, round(1 / fraction)) if fraction else range(0)


def busy_seconds() -> float | None:
    """CPU seconds that all processes have used since boot; stolen ones count. Linux only."""
    try:
        with open("/proc/stat") as file:
            fields = [int(word) for word in file.readline().split()[1:9]]
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def foreign_load(
    *, busy: float | None, own: float, seconds: float, n_cpus: int
) -> float | None:
    """Share of the machine's CPUs that others used; None where that is not known."""
    if busy is None:
        return None
    return max(0.0, busy - own) / (seconds * n_cpus)


def timed_round(trainer: Trainer, n_steps: int) -> dict[str, Any]:
    """Trains, and says how long it took and how much of the machine others used."""
    busy, own = busy_seconds(), time.process_time()
    began = time.perf_counter()
    n_done = trainer.run(n_steps)
    seconds = time.perf_counter() - began
    own, after = time.process_time() - own, busy_seconds()
    used = None if busy is None or after is None else after - busy
    load = foreign_load(busy=used, own=own, seconds=seconds, n_cpus=os.cpu_count() or 1)
    return {"steps": n_done, "seconds": seconds, "ms": 1e3 * seconds / n_done, "foreign": load}


def memory_mb() -> tuple[float, float]:
    """This process's resident set: its peak, and now. In MB of 10⁶ bytes."""
    status = pathlib.Path("/proc/self/status")
    if not status.exists():
        import resource

        unit = 1 if sys.platform == "darwin" else 1_024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
        return peak, peak
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    peak, now = (int(lines[name].split()[0]) * 1_024 / 1e6 for name in ("VmHWM", "VmRSS"))
    return peak, now


def take_stdout() -> TextIO:
    """The real stdout; what libraries print goes to stderr from now on."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def serve(worker: Worker) -> None:
    """Answers requests until stdin ends. A failure is an answer, too."""
    answers = take_stdout()
    trainer: Trainer | None = None

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        nonlocal trainer
        match request["do"]:
            case "make":
                if trainer:
                    trainer.close()
                trainer = None  # its memory goes before the next is made
                trainer = worker.make(request)
                return {"config": trainer.config}
            case "peak":
                return {"gflops": worker.matmul_gflops(request["shapes"])}
        assert trainer, "a trainer is made first"
        match request["do"]:
            case "round":
                return timed_round(trainer, request["steps"])
            case "fvu":
                return {"fvu": trainer.fvu()}
            case "memory":
                peak, _ = memory_mb()
                memory = {
                    "peak_mb": round(peak),
                    "above_data_mb": round(peak - trainer.data_bytes / 1e6),
                    "above_start_mb": round(peak - trainer.start_mb),
                }
                device = worker.device_peak_mb()
                return memory | ({} if device is None else {"device_peak_mb": round(device)})
        raise ValueError(f"unknown request {request}")

    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as error:  # the driver records it, and goes on with other trainers
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {str(error)[:500]}"}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


def best_seconds(product: Callable[[], object], *, n_tries: int = 12) -> float:
    """The shortest of many calls, after one to warm up."""
    product()
    times = []
    for _ in range(n_tries):
        began = time.perf_counter()
        product()
        times.append(time.perf_counter() - began)
    return min(times)
