"""Autoencoders that train together: on one stream of rows, those alike in one program.

Members of one dictionary size share a compiled program; what they differ in (k, the learning
rate, coefficients, the initial weights) are its inputs. Such a pack is stacked along a
leading axis, split over the devices by the mesh axis `run`. A member ends equal to one that
was trained alone, in an ordinary run folder (tests/sweep/test_population.py).
"""

import dataclasses
import functools
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array

from sae_jax.config import Config
from sae_jax.errors import TrainingError, UsageError
from sae_jax.model import paths
from sae_jax.model.protocol import Varied
from sae_jax.train import run_folder, setup, sharding, step
from sae_jax.train.loop import Trained
from sae_jax.train.metrics import duration
from sae_jax.train.run import Run
from sae_jax.train.setup import Block, Measured
from sae_jax.train.step import TrainState

# The table: members in one program. Two CPU cores, four members, ms a member and step in one
# program and in turns: n_latents 256 9.8 and 9.4, 1,536 24 and 21, 3,072 47 and 44.
# Accelerators: not measured.
PACK_SIZE = {"cpu": 1, "gpu": 16, "tpu": 16}

Stacked = Any  # a TrainState, Varied or Measured; of several members with a leading axis


def program_config(config: Config) -> Config:
    """The config without what members of a program may differ in: equal for those alike.

    A coefficient stays 0 or not, for that decides which terms the loss has.
    """
    sae, optimizer = config.sae, config.optimizer
    alike = dataclasses.replace(
        sae,
        k=1,
        auxk_coefficient=float(sae.auxk_coefficient > 0),
        multi_topk_coefficient=float(sae.multi_topk_coefficient > 0),
    )
    same_rate = dataclasses.replace(optimizer, learning_rate=1.0)
    return dataclasses.replace(config, sae=alike, optimizer=same_rate, seed=0)


def pack_size(flag: str) -> int:
    """The flag --pack as a number.

    Raises:
        UsageError: it is neither "auto" nor a number of members.
    """
    if flag == "auto":
        return PACK_SIZE.get(jax.default_backend(), 1)
    if not flag.isdigit() or int(flag) < 1:
        raise UsageError(
            f"--pack={flag}: expected auto, or how many members may share a program, from 1."
        )
    return int(flag)


def stream_config(config: Config) -> tuple[Any, ...]:
    """What members must share to train on one stream, and to be saved at the same steps."""
    return (
        config.shards, config.data_seed, config.batch_size, config.n_steps,
        config.window_rows, config.block_steps, config.checkpoint_every_steps,
    )  # fmt: skip


class Begun(NamedTuple):
    """A run that is about to train."""

    run: Run
    state: TrainState
    first: int  # its next step


def make_packs(begun: Sequence[Begun], *, size: int, dtype: np.dtype) -> list["Pack"]:
    """The runs in packs of at most `size` that share a program and begin at the same step.

    Those of like k come together: a step of a pack costs what its largest k costs.
    """
    alike: dict[tuple[str, int], list[Begun]] = {}
    for one in sorted(begun, key=lambda one: one.run.config.sae.k):
        alike.setdefault((program_config(one.run.config).to_json(), one.first), []).append(one)
    programs: dict[tuple[str, int, int], Program] = {}
    packs = []
    for (settings, _), members in alike.items():
        for start in range(0, len(members), size):
            chosen = members[start : start + size]
            largest = chosen[-1].run.config
            key = settings, largest.sae.k, len(chosen)
            if key not in programs:
                programs[key] = Program(largest, n_members=len(chosen), dtype=dtype)
            packs.append(Pack(chosen, program=programs[key]))
    return packs


class Pack(Trained):
    """Runs that share a program, and their states: stacked where they are several."""

    def __init__(self, begun: Sequence[Begun], *, program: "Program") -> None:
        self.runs, self.first = [one.run for one in begun], begun[0].first
        self.failed = set[int]()  # places of runs
        self._program = program
        self._states = _placed([one.state for one in begun], program.mesh)
        self._varied = _placed([step.varied_of(run.config) for run in self.runs], program.mesh)
        self._pending: tuple[Block, Stacked] | None = None

    def state(self, place: int) -> TrainState:
        if len(self.runs) == 1:
            return self._states
        one = jax.tree.map(lambda array: array[place], self._states)
        return jax.device_put(one, NamedSharding(sharding.one_device(), P()))

    def alive(self) -> list[int]:
        return [place for place in range(len(self.runs)) if place not in self.failed]

    def advance(self, block: Block, *, starved_seconds: float | int) -> None:
        """As `loop.Trained`; blocks before its own first step are of others."""
        if block.start < self.first or not self.alive():
            return
        self._states, measured = self._program(self._states, block.rows, self._varied)
        self.settle(starved_seconds=starved_seconds)
        self._pending = block, measured

    def settle(self, *, starved_seconds: float | int) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            return
        block, measured = pending
        host = jax.device_get(measured)
        for place in self.alive():
            own = host if len(self.runs) == 1 else {name: a[place] for name, a in host.items()}
            try:
                self.runs[place].settle(block, own, starved_seconds=starved_seconds)
            except TrainingError as error:  # the others go on
                self.failed.add(place)
                failure = run_folder.Failure(str(error), refused=False)
                run_folder.write_failure(self.runs[place].workdir, failure)

    def save(self, at: int) -> None:
        if at > self.first:
            for place in self.alive():
                self.runs[place].save(self.state(place), at=at)

    def wait(self) -> None:
        for place in self.alive():
            self.runs[place].checkpoints.wait()

    def is_over(self) -> bool:
        return not self.alive()


def _placed(trees: Sequence[Any], mesh: Mesh) -> Any:
    """On the mesh: one as it is, several stacked, on each device its own members alone."""
    if len(trees) == 1:
        return jax.device_put(trees[0], NamedSharding(mesh, P()))
    along, devices = NamedSharding(mesh, P("run")), list(mesh.devices.flat)
    each = len(trees) // len(devices)

    def stack(*leaves: Any) -> Array:
        parts = [
            jax.device_put(np.stack(jax.device_get(leaves[i * each : (i + 1) * each])), device)
            for i, device in enumerate(devices)
        ]
        shape = len(leaves), *np.shape(leaves[0])
        return jax.make_array_from_single_device_arrays(shape, along, parts)

    return jax.tree.map(stack, *trees)


class Program:
    """The compiled block of steps of packs of one size, for all packs alike."""

    def __init__(self, config: Config, *, n_members: int, dtype: np.dtype) -> None:
        """config.sae.k is the largest of the members'."""
        self.mesh = _run_mesh(n_members)
        block = functools.partial(_train_block, config=config, stacked=n_members > 1)
        if self.mesh.size > 1:
            block = jax.shard_map(
                block,
                mesh=self.mesh,
                in_specs=(P("run"), P(), P("run")),
                out_specs=P("run"),
                check_vma=False,
            )
        inputs = setup.abstract_state(config), jax.eval_shape(lambda: step.varied_of(config))
        if n_members > 1:
            inputs = jax.tree.map(lambda a: _of_several(a, n_members, self.mesh), inputs)
        self._run = setup.compile_for_blocks(
            jax.jit(block, donate_argnums=0),
            *inputs,
            config=config,
            mesh=self.mesh,
            dtype=dtype,
        )

    def __call__(
        self, states: Stacked, rows: Array, varied: Stacked
    ) -> tuple[Stacked, Stacked]:
        if self.mesh.size > 1:
            rows = jax.device_put(rows, NamedSharding(self.mesh, P()))
        return self._run(states, rows, varied)


def _run_mesh(n_members: int) -> Mesh:
    """As many of this process's devices as divide the members evenly."""
    devices = jax.local_devices()
    n = max(n for n in range(1, len(devices) + 1) if n_members % n == 0)
    return jax.make_mesh((n,), ("run",), axis_types=(AxisType.Auto,), devices=devices[:n])


def _of_several(one: jax.ShapeDtypeStruct, n_members: int, mesh: Mesh) -> jax.ShapeDtypeStruct:
    along = NamedSharding(mesh, P("run"))
    return jax.ShapeDtypeStruct((n_members, *one.shape), one.dtype, sharding=along)


def _train_block(
    states: Stacked, rows: Array, varied: Stacked, *, config: Config, stacked: bool
) -> tuple[Stacked, Stacked]:
    """A block of steps of each member: batched where that has dense products, else in turn."""

    def one(state: TrainState, varied: Varied) -> tuple[TrainState, Measured]:
        return step.train_block(state, rows, config=config, varied=varied)

    if not stacked:
        return one(states, varied)
    if paths.choose(config.sae).products == "dense":
        return jax.vmap(one)(states, varied)
    return jax.lax.map(lambda member: one(*member), (states, varied))


class Progress(Trained):
    """One line for all members, where each would show its own."""

    def __init__(self, packs: Sequence[Pack], config: Config) -> None:
        self._packs, self._config = packs, config
        self._begun: tuple[float, int] | None = None

    def is_over(self) -> bool:
        return True  # it only shows

    def advance(self, block: Block, *, starved_seconds: float | int) -> None:
        now = time.monotonic()
        if self._begun is None:
            self._begun = now, block.start
        began, first = self._begun
        if block.start == first or block.start % self._config.log_every_steps:
            return
        alive = [pack.runs[place] for pack in self._packs for place in pack.alive()]
        fvu = [run.last["fvu"] for run in alive if run.last]
        if not fvu:  # all have failed, or none has come to a line of its log
            return
        n_failed = sum(len(pack.failed) for pack in self._packs)
        left = (now - began) / (block.start - first) * (self._config.n_steps - block.start)
        failed = f"  {n_failed} failed" if n_failed else ""
        print(
            f"step {block.start:,}/{self._config.n_steps:,}  {len(fvu)} members{failed}  "
            f"fvu {min(fvu):.4g} to {max(fvu):.4g}  ETA {duration(left)}",
            file=sys.stderr,
            flush=True,
        )
