"""Makes the next batches on a background thread while the device works on this one."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
_END = object()


class Prefetch(Iterator[T], Generic[T]):
    """An iterator over make(step), up to `depth` results ahead of its reader.

    An error of `make` is raised to the reader in its turn. `close` stops the thread; so do
    the end of the steps, an error, and leaving a `with` block.
    """

    def __init__(
        self, make: Callable[[int], T], *, steps: Iterable[int], depth: int = 2
    ) -> None:
        self.starved_seconds = 0.0  # that the reader has waited for a batch
        self._queue: queue.Queue = queue.Queue(maxsize=max(1, depth))
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=_fill,
            kwargs={"make": make, "steps": steps, "into": self._queue, "stop": self._stop},
            name="prefetch",
            daemon=True,  # an interrupted program must not wait for a read
        )
        self._thread.start()

    def __next__(self) -> T:
        if self._stop.is_set():
            raise StopIteration
        began = time.perf_counter()
        item = self._queue.get()
        self.starved_seconds += time.perf_counter() - began
        if isinstance(item, _Failure):
            self.close()
            raise item.error
        if item is _END:
            self.close()
            raise StopIteration
        return item

    def close(self) -> None:
        """Ends the thread after the batch it is at; may be called twice."""
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._queue.get_nowait()  # it may be waiting for room
            except queue.Empty:
                self._thread.join(timeout=0.01)

    def __enter__(self) -> "Prefetch[T]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self._stop.set()


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def prefetch(make: Callable[[int], T], *, steps: Iterable[int], depth: int = 2) -> Prefetch[T]:
    """Starts making the steps' batches; see Prefetch."""
    return Prefetch(make, steps=steps, depth=depth)


def _fill(
    *, make: Callable[[int], T], steps: Iterable[int], into: queue.Queue, stop: threading.Event
) -> None:
    """Runs on the thread. Holds no reference to the Prefetch, whose end must stop it."""

    def put(item: object) -> bool:
        while not stop.is_set():
            try:
                into.put(item, timeout=0.1)
                return True
            except queue.Full:
                pass
        return False

    try:
        for step in steps:
            if stop.is_set() or not put(make(step)):
                return
        put(_END)
    except BaseException as error:  # for the reader to see
        put(_Failure(error))
