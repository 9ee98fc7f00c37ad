"""One cell: all trainers at one size, in rounds that take turns, and then their quality."""

import argparse
import concurrent.futures
import datetime
import pathlib
import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from harness import remote, results
from harness.remote import Remote, WorkerError

NO_END = 1_000_000  # n_steps of a timed run: far from the decay of any learning rate
TRIES_PER_ROUND = 3  # rounds at most, for each clean one that is wanted
SQUARE = 2_048  # of the matrices that, beside the encoder's, give the matmul peak


def named(name: str, *, batch_size: int) -> dict[str, int]:
    """The sizes in a name such as d384-n3072-k32.

    Raises:
        ValueError: it is not such a name.
    """
    found = re.fullmatch(r"d(\d+)-n(\d+)-k(\d+)", name)
    if not found:
        raise ValueError(f"{name!r} is no cell; expected a name such as d384-n3072-k32")
    d_in, n_latents, k = map(int, found.groups())
    return {"d_in": d_in, "n_latents": n_latents, "k": k, "batch_size": batch_size}


class Field:
    """The living trainers of a cell, and what became of the others."""

    def __init__(
        self, cell: dict[str, int], *, place: dict[str, str], options: argparse.Namespace
    ) -> None:
        self.cell, self._place, self._options = cell, place, options
        self.living: dict[str, Remote] = {}
        self.found: dict[str, dict[str, Any]] = {}

    def each(self, names: Iterable[str], act: Callable[[str, Remote], None]) -> None:
        """Acts on each living trainer in turn; one that fails leaves the field."""
        for name in names:
            if name not in self.living:
                continue
            try:
                act(name, self.living[name])
            except WorkerError as error:
                self._lose(name, error)

    def _lose(self, name: str, error: WorkerError) -> None:
        print(f"  {name} failed: {error}", flush=True)
        self.found.setdefault(name, {})["failed"] = str(error)
        if name in self.living:
            self.living.pop(name).close()

    def start(self, names: list[str], *, python: str) -> None:
        """A process and a trainer for each; two at a time, ours first and alone."""
        for name in names:
            common = {
                "device": self._options.device,
                "threads": self._options.threads,
                "logs": pathlib.Path(self._options.cache) / "logs",
            }
            if name.startswith(results.OURS):
                self.living[name] = remote.ours(name, **common)
            else:
                self.living[name] = Remote(name, python=python, **common)
        mine = [name for name in names if name.startswith(results.OURS)]
        self.each(mine, lambda name, _: self.make(name, n_steps=NO_END))
        others = [name for name in names if name not in mine]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            made = {name: pool.submit(self.make, name, n_steps=NO_END) for name in others}
        for name, future in made.items():
            error = future.exception()
            if isinstance(error, WorkerError):
                self._lose(name, error)
            elif error:
                raise error

    def make(self, name: str, *, n_steps: int) -> None:
        """A fresh trainer in the process of this name."""
        none_dead = name == "ours_none_dead"
        reply = self.living[name].ask(
            do="make",
            trainer=name,
            cell=self.cell,
            n_steps=n_steps,
            dead_fraction=0.0 if none_dead else self._options.dead_fraction,
            **self._place,
        )
        self.found.setdefault(name, {})["config"] = reply["config"]

    def close(self) -> None:
        for worker in self.living.values():
            worker.close()


def measure(
    cell: dict[str, int],
    *,
    names: list[str],
    place: dict[str, str],
    options: argparse.Namespace,
    python: str,
    with_quality: bool,
) -> dict[str, Any]:
    """The cell's entry in the results."""
    field = Field(cell, place=place, options=options)
    began = time.monotonic()
    try:
        field.start(names, python=python)
        print(
            f"  {len(field.living)} trainers made, {time.monotonic() - began:.0f} s", flush=True
        )
        gflops = matmul_peak(field)
        time_rounds(field, options=options)
        field.each(names, lambda name, one: field.found[name].update(one.ask(do="memory")))
        if with_quality:
            measure_quality(field, n_steps=options.quality_steps)
    finally:
        field.close()
    entry = {**cell, "date": datetime.date.today().isoformat()}
    if with_quality:
        entry["quality_steps"] = options.quality_steps
    entry |= {"matmul_gflops": gflops, "trainers": field.found}
    return results.compare(entry)


def matmul_peak(field: Field) -> dict[str, float]:
    """The machine's float32 products per second, by JAX and by torch, in this very run."""
    cell, gflops = field.cell, {}
    shapes = [[SQUARE] * 3, [cell["batch_size"], cell["d_in"], cell["n_latents"]]]
    torch = [name for name in field.living if not name.startswith(results.OURS)]
    for framework, names in (("jax", [results.OURS]), ("torch", torch[:1])):

        def ask(_: str, worker: Remote, framework: str = framework) -> None:
            gflops[framework] = round(worker.ask(do="peak", shapes=shapes)["gflops"], 1)

        field.each(names, ask)
    return gflops


def time_rounds(field: Field, *, options: argparse.Namespace) -> None:
    """Rounds in turns, until each trainer has enough clean ones or has had its tries."""
    n_steps: dict[str, int] = {}
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in field.living}

    def warm_up(name: str, worker: Remote) -> None:
        worker.ask(do="round", steps=2)
        ms = worker.ask(do="round", steps=2)["ms"]
        fitting = max(2, round(1e3 * options.round_seconds / ms))
        n_steps[name] = options.steps_per_round or fitting

    def one_round(name: str, worker: Remote) -> None:
        clean = [each for each in rounds[name] if results.is_clean(each, most=limit)]
        if len(clean) < options.rounds:
            rounds[name].append(worker.ask(do="round", steps=n_steps[name]))

    limit = options.max_foreign_load
    field.each(list(field.living), warm_up)
    for _ in range(options.rounds * TRIES_PER_ROUND):
        field.each(list(field.living), one_round)
    for name in field.living:
        field.found[name] |= results.summarise(
            rounds[name], max_foreign_load=limit, wanted=options.rounds
        )


def measure_quality(field: Field, *, n_steps: int) -> None:
    """Each trainer anew, for as many examples as the others: its held-out fvu."""

    def train(name: str, worker: Remote) -> None:
        if name == "ours_none_dead":
            return
        field.make(name, n_steps=n_steps)
        worker.ask(do="round", steps=n_steps)
        field.found[name]["held_out_fvu"] = round(worker.ask(do="fvu")["fvu"], 4)

    field.each(list(field.living), train)
