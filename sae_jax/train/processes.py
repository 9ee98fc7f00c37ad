"""Several processes as one run: who writes, how they agree, how an error ends all of them."""

import contextlib
import ctypes
import os
import pickle
import signal
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool

from sae_jax.errors import RunAgain, SaeJaxError, UsageError

T = TypeVar("T")


def is_first() -> bool:
    """Whether this is the process that writes and speaks for all."""
    return jax.process_index() == 0


def join(
    *,
    coordinator: str = "",
    n_processes: int = 0,
    process_id: int = -1,
    heartbeat_seconds: float | int = 60,
    join_seconds: int = 300,
) -> None:
    """Becomes one of several processes, where flags or the surroundings say that there are.

    TPU VMs, SLURM, Open MPI and Kubernetes are recognised. A process alone starts nothing:
    SIGTERM is handled by the loop itself, so the service for it would be a port for nothing.

    Raises:
        UsageError: the flags are not enough, or the others were not there in time.
    """
    if n_processes == 1:
        return
    detected = not coordinator and not n_processes and process_id < 0
    on_abort(lambda: _nobody_came(coordinator or "process 0", seconds=join_seconds))
    try:
        jax.distributed.initialize(
            coordinator or None,
            n_processes or None,
            process_id if process_id >= 0 else None,
            initialization_timeout=join_seconds,
            # Later than our own watch, which says who was lost; this one aborts.
            heartbeat_timeout_seconds=round(heartbeat_seconds) + 40,
        )
    except (ValueError, RuntimeError) as error:
        # The second: called from a program that uses JAX already, such as a notebook.
        alone = ("coordinator_address should be defined", "before any JAX calls")
        if detected and any(text in str(error) for text in alone):
            return
        raise UsageError(
            f"--coordinator={coordinator!r} --num_processes={n_processes} "
            f"--process_id={process_id}: cannot join other processes "
            f"({(str(error).splitlines() or [''])[0][:200]}). Give all three, the first two "
            "equal on all: HOST:PORT of process 0, the port free on its machine, how many "
            "there are, and which this is, from 0."
        ) from error
    finally:
        on_abort(None)
    # JAX now listens for SIGTERM and would swallow one that comes before the loop listens.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def leave(text: str, *, exit_code: int) -> NoReturn:
    """Says why and ends at once, without the waits that an ordinary exit has in store."""
    print(f"sae-jax train: {text}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(exit_code)


_abort_handlers: list[object] = []  # what C holds a pointer to must not be collected


def on_abort(act: Callable[[], None] | None) -> None:
    """Where JAX's C++ code aborts this process, `act` comes first; None: no more.

    It aborts where process 0 is gone or never came, and has no public hook for that. Where
    `act` returns, the abort goes its way.
    """
    if act is None:
        signal.signal(signal.SIGABRT, signal.SIG_DFL)
        return
    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda _: act())
    _abort_handlers.append(handler)
    ctypes.CDLL(None).signal(int(signal.SIGABRT), handler)


def _nobody_came(where: str, *, seconds: int) -> NoReturn:
    leave(
        f"could not meet the other processes at {where} within {seconds} s. Start all of them "
        "together, with the same --coordinator and --num_processes, and each its own "
        "--process_id; that address has to be free on the machine of process 0, and reachable "
        "from the others.",
        exit_code=RunAgain.exit_code,
    )


@contextlib.contextmanager
def together() -> Iterator[None]:
    """What fails here on one process fails on all: the others would wait for it forever.

    The same error is raised everywhere; `found_by` tells which process met it.
    """
    if jax.process_count() == 1:
        yield
        return
    failed: Exception | None = None
    try:
        yield
    except Exception as error:
        failed = error
    packed = b"" if failed is None else _packed(failed)
    sizes = multihost_utils.process_allgather(np.int32(len(packed)))
    if not sizes.any():
        return
    source = int(np.argmax(sizes > 0))
    if failed is not None and source == jax.process_index():
        _broadcast(packed, size=len(packed), source=source)
        found = failed
    else:
        found = pickle.loads(_broadcast(b"", size=int(sizes[source]), source=source))
    found.found_by = source  # type: ignore[attr-defined]
    raise found


def found_by(error: BaseException) -> int | None:
    """The process that met an error which all processes know of; None for any other."""
    return getattr(error, "found_by", None)


def _packed(error: Exception) -> bytes:
    """An error to be sent; a defect, which has a traceback to be shown, becomes its text."""
    if isinstance(error, SaeJaxError):
        return pickle.dumps(error)
    return pickle.dumps(SaeJaxError(f"{type(error).__name__}: {error}"))


def _broadcast(content: bytes, *, size: int, source: int) -> bytes:
    """The bytes of the process `source`, of this size, on every process."""
    padded = np.frombuffer(content.ljust(size, b"\0"), np.uint8)
    is_source = jax.process_index() == source
    found = multihost_utils.broadcast_one_to_all(padded, is_source=is_source)
    return bytes(np.asarray(found, np.uint8).tobytes())


def from_first(make: Callable[[], T]) -> T:
    """What process 0 makes, on every process. What it raises is raised on all."""
    if jax.process_count() == 1:
        return make()
    packed = b""
    with together():
        if is_first():
            packed = pickle.dumps(make())
    sizes = multihost_utils.process_allgather(np.int32(len(packed)))
    value: T = pickle.loads(_broadcast(packed, size=int(sizes[0]), source=0))
    return value


def require_same(value: str, *, what: str) -> None:
    """Raises UsageError, on all processes, where this differs between them."""
    if jax.process_count() == 1:
        return
    found = multihost_utils.process_allgather(np.uint32(zlib.crc32(value.encode())))
    if (found != found[0]).any():
        other = int(np.argmax(found != found[0]))
        raise UsageError(
            f"{what}: process {other} has another than process 0; expected the same on all "
            f"{len(found)} processes. Start all of them with the same command, over the same "
            "files."
        )


class StopAgreement:
    """Whether any process was asked to stop: the same answer on all, one block later.

    The question travels with the blocks, as one tiny all-reduce, so that nobody waits for
    it. A single process answers itself, at once.
    """

    def __init__(self, requested: threading.Event, *, mesh: Mesh) -> None:
        self._requested, self._size = requested, mesh.size
        self._alone = jax.process_count() == 1
        self._spread = NamedSharding(mesh, P(("data", "latent")))
        self._any = jax.jit(jnp.any, out_shardings=NamedSharding(mesh, P()))
        self._asked: Bool[Array, ""] | None = None

    def ask(self) -> None:
        """To be called by all processes before the same block."""
        if not self._alone:
            mine = np.array([self._requested.is_set()])
            wanted: Any = jax.make_array_from_callback(
                (self._size,), self._spread, lambda _: mine
            )
            self._asked = self._any(wanted)

    def agreed(self) -> bool:
        """The answer to the last question."""
        if self._alone:
            return self._requested.is_set()
        return self._asked is not None and bool(self._asked)
