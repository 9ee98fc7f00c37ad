"""A language model for tests: a real HTTP server that understands the prompts, and has faults.

As labeller it names the word that sets the strongest texts apart from those that are off; as
judge of labels it says yes to texts that hold the label's last word; as judge of steering it
names the topics whose last words are in more, and in fewer, texts than before. Which calls go
wrong, and how, is decided by their bodies and a seed.
"""

import collections
import contextlib
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from typing import Any

from sae_jax.analysis.chat import Request

# Of a hundred bodies so many meet each fault. Those above the line pass when asked again;
# garbage and cut_text are answers, delivered and to be kept.
FAULTS = {"busy": 5, "error": 5, "hang": 2, "cut_body": 4, "garbage": 5, "cut_text": 4}
N_TIMES = {"busy": 2, "error": 3, "hang": 1, "cut_body": 1}
N_FULL = 8  # times a word is in prompts about a latent that means it; others hold two or so
SECTIONS = re.compile(r"\n\n(?=Weaker texts|Texts on which|What do the texts)")
LISTS = re.compile(r"\n\n(?=List A|List B|Two of these|Which topic)")
TEXT = re.compile(r"^\[([\d.]+)\] (.*)$", re.MULTILINE)


class Server(http.server.ThreadingHTTPServer):
    """`requests` counts what came by key, `delivered` what was answered as a whole."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *, seed: int | None = None, key: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seed, self.key = seed, key
        self.broken = ""  # prompts full of this word meet 500 for ever
        self.stubborn = ""  # prompts full of this word get garbage for ever
        self.status: int | None = None  # of every answer, where set
        self.seconds = 0.0  # each answer takes
        self.at_once = self.most_at_once = 0  # calls
        self.lock, self.closing = threading.Lock(), threading.Event()
        self.requests: collections.Counter[str] = collections.Counter()
        self.delivered: collections.Counter[str] = collections.Counter()
        self.faults: collections.Counter[str] = collections.Counter()
        self.prompts: list[str] = []
        self.headers: list[dict[str, str]] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no news."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def fault_of(self, key: str, prompt: str, *, sent: str, n_messages: int) -> str:
        for word, fault in ((self.broken, "error"), (self.stubborn, "garbage")):
            if word and prompt.split().count(word) >= N_FULL:
                return fault
        if self.seed is None or n_messages > 1:
            return ""
        body = hashlib.sha256(sent.encode()).hexdigest()
        drawn = int(hashlib.sha256(f"{self.seed}{body}".encode()).hexdigest(), 16) % 100
        for name, share in FAULTS.items():
            drawn -= share
            if drawn < 0:
                return name if self.requests[key] <= N_TIMES.get(name, 10**9) else ""
        return ""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        messages = body["messages"]
        rest = {name: body[name] for name in body if name not in ("model", "messages")}
        prompt, server = messages[0]["content"], self.server
        key = Request(body["model"], tuple(messages), rest, server.url).key
        sent = json.dumps([body["model"], messages, rest], sort_keys=True)  # without the port
        with server.lock:
            server.requests[key] += 1
            server.prompts.append(prompt)
            server.headers.append({k.lower(): v for k, v in self.headers.items()})
            fault = server.fault_of(key, prompt, sent=sent, n_messages=len(messages))
            server.faults[fault] += 1
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        server.closing.wait(server.seconds)
        with server.lock:
            server.at_once -= 1
        if server.status:
            said = f"told {server.status}, your key is {server.key}"
            self._send(server.status, {"error": {"message": said}})
        elif fault == "busy":
            self._send(429, {"error": {"message": "slow down"}}, retry_after="0.05")
        elif fault == "error":
            self._send(500, {"error": {"message": "told 500"}}, retry_after="0.02")
        elif fault == "hang":
            server.closing.wait(3)
            self.close_connection = True
        elif fault == "cut_body":
            self._send(200, json.dumps(completion(answer(prompt)))[:40])
        elif fault == "garbage":
            self._send(200, completion("I would say: {it depends}."), key=key)
        elif fault == "cut_text":
            self._send(200, completion(answer(prompt)[:9], finish="length"), key=key)
        else:
            self._send(200, completion(answer(prompt)), key=key)

    def _send(self, status: int, content: Any, *, key: str = "", retry_after: str = "") -> None:
        raw = (content if isinstance(content, str) else json.dumps(content)).encode()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(raw)))
            if retry_after:
                self.send_header("retry-after", retry_after)
            self.end_headers()
            self.wfile.write(raw)
            with self.server.lock:
                self.server.delivered[key] += bool(key)

    def log_message(self, *arguments: Any) -> None:
        pass


def completion(text: str, *, finish: str = "stop") -> dict[str, Any]:
    return {
        "choices": [{"message": {"content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 100, "completion_tokens": len(text.split())},
    }


def answer(prompt: str) -> str:
    if prompt.startswith("Somebody searched"):
        return topics(prompt)
    return label(prompt) if prompt.startswith("You study") else judgement(prompt)


def label(prompt: str) -> str:
    sections = SECTIONS.split(prompt)
    seen = [[set(text.split()) for _, text in TEXT.findall(part)] for part in sections[:5]]
    on, off = seen[0], seen[2] + seen[3]
    best = max(
        sorted(set().union(*on)),
        key=lambda word: sum(word in text for text in on) - sum(word in text for text in off),
    )
    made = {"label": f"texts with {best}", "why": f"They hold {best}.", "confidence": 8}
    return f"They share {best}.\n```json\n{json.dumps(made)}\n```"


def judgement(prompt: str) -> str:
    word = re.search(r"It is on for: (.*)", prompt).group(1).split()[-1]
    return json.dumps({i: 9 if word in text.split() else 1 for i, text in TEXT.findall(prompt)})


def topics(prompt: str) -> str:
    _, before, after, options, _ = LISTS.split(prompt)
    rise = {}
    for line in options.splitlines()[1:]:
        number, name = line.split(": ", 1)
        n_after, n_before = (
            sum(name.split()[-1] in text.split() for text in part.splitlines()[1:])
            for part in (after, before)
        )
        rise[int(number)] = n_after - n_before
    # Where all are the same, two different ones: the first and the last.
    found = {"raised": max(rise, key=rise.get), "lowered": min(reversed(rise), key=rise.get)}
    return f"One is more, one less.\n{json.dumps(found)}"


@contextlib.contextmanager
def serving(**options: Any) -> Iterator[Server]:
    server = Server(**options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
