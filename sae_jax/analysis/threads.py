"""Work that waits for others, several pieces at a time."""

import queue
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def in_threads(
    work: Callable[[Item], Made],
    items: Iterable[Item],
    *,
    n_threads: int,
    done: Callable[[Made], None],
) -> None:
    """Works on the items in order; `done` gets what is made, in this thread, as it ends.

    The first error, also of `done`, is raised here and nothing more is begun. What is still
    at work then is not waited for, and ends with the process.
    """
    lock, stopped = threading.Lock(), threading.Event()
    left = iter(items)
    ended: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()

    def one_thread() -> None:
        try:
            while not stopped.is_set():
                with lock:
                    item = next(left, stopped)
                if item is stopped:
                    break
                ended.put(("made", work(item)))  # type: ignore[arg-type]
        except BaseException as error:
            ended.put(("error", error))
        else:
            ended.put(("end", None))

    for _ in range(n_threads):
        threading.Thread(target=one_thread, daemon=True).start()
    try:
        n_at_work = n_threads
        while n_at_work:
            kind, what = ended.get()
            if kind == "error":
                assert isinstance(what, BaseException), "put so"
                raise what
            if kind == "made":
                done(what)  # type: ignore[arg-type]
            else:
                n_at_work -= 1
    finally:
        stopped.set()
