"""Ends a process whose steps stall, or whose peers are gone, instead of letting it hang.

A collective waits for ever for a process that was killed, frozen or cut off. So a thread
beats once a second on the service that started the processes together, and looks at the
others' beats. On a loss it says who, and ends this process with the exit code for "run me
again": the launcher starts all processes anew, and they go on from the last checkpoint.
"""

import contextlib
import os
import socket
import statistics
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any, NoReturn

import jax
from jax._src import distributed  # its key-value store has no public name; Orbax uses it too

from sae_jax.errors import RunAgain, SaeJaxError
from sae_jax.train import processes

BEAT_SECONDS = 1.0
STALL_BLOCKS = 20  # so many times the usual block, if that is more than stall_seconds
SLOW = 6  # times stall_seconds: for the first block, which is compiled, and for a checkpoint
FOLDER = "sae_jax/process"
AGAIN = (
    "All up to the last checkpoint is kept: start all processes again with the same command "
    "to go on."
)


class Watchdog:
    """Watches over one process; `progress` is to be called after each block of steps.

    `stall_seconds=0` allows steps of any length; `heartbeat_seconds` of silence mean that a
    process is lost.
    """

    def __init__(
        self, *, stall_seconds: float | int = 0, heartbeat_seconds: float | int = 60
    ) -> None:
        self._stall_seconds, self._heartbeat_seconds = stall_seconds, heartbeat_seconds
        self._peers = _Peers() if jax.process_count() > 1 else None
        self._block_seconds: list[float] = []
        self._step, self._moved, self._watching = 0, time.monotonic(), False
        self._slow = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> "Watchdog":
        self._thread.start()
        if self._peers:
            self._peers.await_abort()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def progress(self, step: int) -> None:
        """A block of steps has ended, at this step."""
        now = time.monotonic()
        if self._watching and not self._slow:
            self._block_seconds = [*self._block_seconds[-99:], now - self._moved]
        self._step, self._moved, self._watching = step, now, True
        self._slow = False

    def slow(self) -> None:
        """To the next `progress` there is more to do than steps: evaluate and save."""
        self._slow = True

    def rest(self) -> None:
        """From here to the next `progress`, no steps are expected."""
        self._watching, self._moved = False, time.monotonic()

    def limit_seconds(self) -> float:
        """How long the block at hand may take."""
        if self._slow or not self._block_seconds:
            return float(SLOW * self._stall_seconds)
        usual = statistics.median(self._block_seconds)
        return max(STALL_BLOCKS * usual, float(self._stall_seconds))

    def _watch(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            waited = time.monotonic() - self._moved
            if self._stall_seconds and self._watching and waited > self.limit_seconds():
                processes.leave(
                    f"no block of steps has ended for {waited:.0f} s, after step {self._step} "
                    f"(usual: {statistics.median(self._block_seconds or [0]):.2g} s); expected "
                    f"one within {self.limit_seconds():.0f} s. A device, a disk or another "
                    f"process hangs. {AGAIN} If steps may take so long, raise --stall_seconds.",
                    exit_code=RunAgain.exit_code,
                )
            gone = self._peers and self._peers.gone(silent_for=self._heartbeat_seconds)
            if gone and not self._stop.is_set():
                processes.leave(gone[0], exit_code=gone[1])

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Ends this process of several after an error that the others cannot know of.

        At once, and before anything is closed: closing would wait for the others.
        """
        try:
            yield
        except BaseException as error:
            known = isinstance(error, RunAgain) or processes.found_by(error) is not None
            if self._peers and not known:
                self._leave(error, peers=self._peers)
            raise

    def _leave(self, error: BaseException, *, peers: "_Peers") -> NoReturn:
        """Where another process was lost, that is the cause, and what is said."""
        self._stop.set()
        gone = peers.gone_now()
        if gone:
            processes.leave(gone[0], exit_code=gone[1])
        code = getattr(error, "exit_code", 1)
        text = str(error)
        if not isinstance(error, SaeJaxError):
            text = "".join(traceback.format_exception(error))
        peers.say_goodbye(code)
        processes.leave(text, exit_code=code)


class _Peers:
    """The beats of all processes, each a key of its own in the coordination service."""

    def __init__(self) -> None:
        self._client: Any = distributed.global_state.client
        self._own, self._n_beats = jax.process_index(), 0
        self._where = f"{socket.gethostname()} {os.getpid()}"
        self._began = time.monotonic()
        self._seen: dict[int, tuple[str, float]] = {}  # last value, and since when it stands
        self._lock = threading.Lock()

    def await_abort(self) -> None:
        """JAX aborts at once where process 0 is gone: this says so, with our exit code."""
        address = str(distributed.global_state.coordinator_address)

        def explain() -> None:
            try:
                host, port = address.rsplit(":", 1)
                socket.create_connection((host, int(port)), timeout=5).close()
            except OSError as error:
                text, code = self._coordinator_lost(error)
                processes.leave(text, exit_code=code)

        if self._own != 0:
            processes.on_abort(explain)

    def _set(self, what: str) -> None:
        value = f"{what} {self._where}"
        self._client.key_value_set(f"{FOLDER}/{self._own}", value, allow_overwrite=True)

    def _read(self) -> None:
        """Beats, and looks when each of the others last did."""
        with self._lock:
            self._n_beats += 1
            self._set(str(self._n_beats))
            now = time.monotonic()
            for key, value in self._client.key_value_dir_get(FOLDER):
                process_id = int(key.rsplit("/", 1)[-1])
                if self._seen.get(process_id, ("", 0.0))[0] != value:
                    self._seen[process_id] = (value, now)

    def gone(self, *, silent_for: float | int) -> tuple[str, int] | None:
        """What to say, and the exit code, where another process has ended or is silent."""
        try:
            self._read()
        except Exception as error:
            return self._coordinator_lost(error)
        now = time.monotonic()
        for process_id in range(jax.process_count()):
            value, since = self._seen.get(process_id, ("", self._began))
            if process_id == self._own:
                continue
            # A process that says goodbye may be about to say why: its word goes first.
            if value.startswith("left:") and now - since > BEAT_SECONDS:
                code = int(value.split()[0].removeprefix("left:"))
                return f"ends because process {process_id} does: see what that one says.", code
            if not value.startswith("left:") and now - since > silent_for:
                return self._lost(process_id, value, seconds=now - since)
        return None

    def gone_now(self) -> tuple[str, int] | None:
        """The same after a failure that a lost process may be the cause of: a few beats do."""
        patience = 5 * BEAT_SECONDS
        with contextlib.suppress(Exception):
            self._read()
        until = time.monotonic() + patience + 2 * BEAT_SECONDS
        while time.monotonic() < until:
            gone = self.gone(silent_for=patience)
            if gone:
                return gone
            time.sleep(BEAT_SECONDS / 4)
        return None

    def say_goodbye(self, code: int) -> None:
        """Leaves word for the others, and a moment to read it: process 0 serves it to them."""
        with contextlib.suppress(Exception):
            self._set(f"left:{code}")
            time.sleep(4 * BEAT_SECONDS)

    def _lost(self, process_id: int, value: str, *, seconds: float) -> tuple[str, int]:
        host, pid = value.split()[1:3] if value else ("unknown host", "?")
        return (
            f"process {process_id} of {jax.process_count()} ({host}, pid {pid}) was lost: "
            f"nothing heard of it for {seconds:.0f} s. {AGAIN}",
            RunAgain.exit_code,
        )

    def _coordinator_lost(self, error: Exception) -> tuple[str, int]:
        if self._own == 0:
            raise error
        first_line = (str(error).splitlines() or [""])[0][:160]
        return (
            f"process 0 of {jax.process_count()}, which the others meet at, was lost "
            f"({first_line}). {AGAIN}",
            RunAgain.exit_code,
        )
