"""Runs the explorer's server until it is interrupted."""

import contextlib
import ctypes
import errno
import socket
import threading
from collections.abc import Callable

import uvicorn

from sae_jax.errors import UsageError
from sae_jax.explorer.app import create_app
from sae_jax.explorer.opened import Opened

PORTS_TRIED = 20
M_MMAP_THRESHOLD = -3  # as malloc.h names it
LEAST_MAPPED = 128 * 1024  # bytes


def serve(opened: Opened, *, host: str, port: int, say: Callable[[str], None]) -> None:
    """Returns when the process is told to end."""
    listening = listen(host, port)
    found = listening.getsockname()[1]
    if port and found != port:
        say(f"Port {port} is taken; this is {found}.")
    app = create_app(opened, host=host)
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    _give_memory_back()
    ended = threading.Event()
    warming = threading.Thread(target=opened.warm, args=(ended,), daemon=True)
    warming.start()
    say(f"Explore {opened.options.run} at http://{_shown(host)}:{found}  (Ctrl-C ends it)")
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        # Python aborts where a thread is still in JAX when the process ends.
        ended.set()
        warming.join()


def _give_memory_back() -> None:
    """Lets arrays of the corpus's rows go back to the system when they are freed.

    glibc keeps them in each thread's heap once it has seen some: 10,000 requests grew the
    process by 500 MB, with no end, of which all but what is kept on purpose was free.
    """
    with contextlib.suppress(OSError, AttributeError):  # other libraries of C need no telling
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LEAST_MAPPED)


def listen(host: str, port: int) -> socket.socket:
    """At this port or one of the next; raises UsageError where none is free."""
    if not host:  # the system takes it for all of its addresses
        raise UsageError("--host is empty; expected an address, such as 127.0.0.1 or 0.0.0.0.")
    last = min(port + PORTS_TRIED, 65_536)
    for own in range(port, last) if port else [0]:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, own))
            listening.listen()  # so that whoever sees the address may ask at once
        except OSError as error:
            listening.close()
            if error.errno != errno.EADDRINUSE:
                raise UsageError(f"--host={host}, --port={own}: {error.strerror}.") from error
        else:
            return listening
    raise UsageError(
        f"ports {port} to {last - 1} of {host} are all taken; choose another with --port."
    )


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else "127.0.0.1" if host == "0.0.0.0" else host
