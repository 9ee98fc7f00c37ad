"""Holds a folder against other processes on this machine."""

import contextlib
import fcntl
import pathlib
from collections.abc import Iterator

from sae_jax.errors import SaeJaxError


@contextlib.contextmanager
def held(folder: pathlib.Path, *, otherwise: SaeJaxError | None = None) -> Iterator[None]:
    """Makes the folder. Where another process holds it, raises `otherwise`; if None, waits.

    The lock is of an open file: no kill leaves it behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (fcntl.LOCK_NB if otherwise else 0))
        except BlockingIOError as error:
            assert otherwise, "without it one waits"
            raise otherwise from error
        yield
