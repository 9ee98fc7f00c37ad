"""Answers of a language model on disk: none that was given is asked for again."""

import contextlib
import fcntl
import pathlib
import sqlite3
import threading
from collections.abc import Iterator

from sae_jax.analysis.chat import Answer, CallFailed, Chat, Request
from sae_jax.errors import SaeJaxError, UsageError

COLUMNS = "text, finish, refusal, tokens_in, tokens_out, seconds"
TABLE = """CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, model TEXT NOT NULL, text TEXT NOT NULL, finish TEXT NOT NULL,
    refusal TEXT NOT NULL, tokens_in INTEGER, tokens_out INTEGER, seconds REAL NOT NULL
)"""


class Answers:
    """A SQLite file of them by the key of their request. Several threads may use it."""

    def __init__(self, path: str | pathlib.Path) -> None:
        """Makes the file where there is none; ":memory:" is for looking alone.

        Raises:
            SaeJaxError: the file is damaged, no SQLite file, or cannot be written; also later.
        """
        self._path = path
        self._lock = threading.Lock()
        with self._usable():
            self._file = sqlite3.connect(path, check_same_thread=False)
        try:
            with self._usable(), self._file:
                self._file.execute(TABLE)
        except SaeJaxError:
            self._file.close()
            raise

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise SaeJaxError(
                f"{self._path}: cannot be used as SQLite ({error}); it holds answers of a "
                "language model. If its disk is full or it may not be written, mend that and "
                "give the same command again; if it is damaged, restore it, or move it away "
                "to ask for all of them again."
            ) from error

    def get(self, request: Request) -> Answer | None:
        with self._lock, self._usable():
            found = self._file.execute(
                f"SELECT {COLUMNS} FROM answers WHERE key = ?", (request.key,)
            ).fetchone()
        return Answer(*found) if found else None

    def put(self, request: Request, answer: Answer) -> None:
        """On the disk when it returns."""
        with self._lock, self._usable(), self._file:
            self._file.execute(
                f"INSERT OR REPLACE INTO answers (key, model, {COLUMNS}) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (request.key, request.model, *answer),
            )

    def close(self) -> None:
        with self._lock:
            self._file.close()


class KeptChat:
    """A language model that is asked only for what is not kept; it counts both."""

    def __init__(self, chat: Chat, answers: Answers) -> None:
        self._chat, self._answers = chat, answers
        self._lock = threading.Lock()
        self._one_ended = threading.Condition(self._lock)
        self._stopped = False
        self.n_under_way = 0
        self.n_kept = self.n_asked = 0
        self.tokens_in = self.tokens_out = 0  # of what was asked, where they were counted
        self.seconds = 0.0

    def complete(self, request: Request) -> Answer:
        """Raises CallFailed for what is not kept, once it was stopped."""
        answer = self._answers.get(request)
        if answer is not None:
            with self._lock:
                self.n_kept += 1
            return answer
        with self._lock:
            if self._stopped:
                raise CallFailed("nothing more is asked: the command ends")
            self.n_under_way += 1
        try:
            return self._asked(request)
        finally:
            with self._one_ended:
                self.n_under_way -= 1
                self._one_ended.notify_all()

    def stop(self) -> None:
        """Nothing more is asked."""
        with self._lock:
            self._stopped = True

    def wait(self, *, seconds: float) -> None:
        """Until what is under way is kept: it is paid for. At most so long."""
        with self._one_ended:
            self._one_ended.wait_for(lambda: not self.n_under_way, seconds)

    def describe(self) -> str:
        """What it took."""
        return (
            f"{self.n_asked:,} calls, {self.seconds / max(self.n_asked, 1):.1f} s each: "
            f"{self.tokens_in:,} tokens sent, {self.tokens_out:,} received; {self.n_kept:,} "
            "were answered before"
        )

    def _asked(self, request: Request) -> Answer:
        answer = self._chat.complete(request)
        self._answers.put(request, answer)
        with self._lock:
            self.n_asked += 1
            self.tokens_in += answer.tokens_in or 0
            self.tokens_out += answer.tokens_out or 0
            self.seconds += answer.seconds
        return answer


@contextlib.contextmanager
def held(folder: pathlib.Path) -> Iterator[None]:
    """One process at a time asks for a folder's answers, or some would be paid for twice.

    Raises:
        UsageError: another one does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"{folder}: another process asks a language model for what is written there. "
                "Wait for it to end, or stop it."
            ) from error
        yield
