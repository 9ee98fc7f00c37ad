"""Against a real HTTP server on this machine that answers well and badly."""

import base64
import contextlib
import http.server
import json
import threading
import time

import numpy as np
import pytest

from sae_jax.embed import openai
from sae_jax.errors import EncoderError

D_IN = 6
KEY = "sk-secret-of-the-test"


def row_of(text):
    """The server's embedding: different for every text, the same every time."""
    seed = int.from_bytes(text.encode()[:16].ljust(16, b"."), "little")
    return np.random.default_rng(seed).normal(size=D_IN).astype(np.float32)


def good_answer(request):
    data = []
    for index, text in enumerate(request["input"]):
        row = row_of(text)
        if request["encoding_format"] == "base64":
            data.append({"index": index, "embedding": base64.b64encode(row.tobytes()).decode()})
        else:
            data.append({"index": index, "embedding": row.tolist()})
    return 200, {"object": "list", "model": request["model"], "data": data}, {}


class Server(http.server.ThreadingHTTPServer):
    """Answers each call by the next of `answers`; the last one stays."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = [good_answer]
        self.requests = []
        self.authorization = []
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        server = self.server
        with server.lock:
            server.requests.append((self.path, body))
            server.authorization.append(self.headers.get("authorization"))
            answers = server.answers
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        status, content, headers = answer(body)
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"content-length": str(len(raw)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # the client may have given up
            self.wfile.write(raw)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def connect(server):
    made = []

    def connect(**options):
        options = {"model": "m", "base_url": server.url, "first_wait_seconds": 0.01} | options
        made.append(openai.OpenAIEncoder(**options))
        server.requests.clear()
        return made[-1]

    yield connect
    for encoder in made:
        encoder.close()


def status(code, *, body=None, **headers):
    return lambda request: (code, body or {"error": {"message": f"told {code}"}}, headers)


def changed(change):
    """A good answer after `change(data)`."""

    def answer(request):
        code, content, headers = good_answer(request)
        change(content["data"])
        return code, content, headers

    return answer


TEXTS = [f"text number {i}" for i in range(23)]


@pytest.mark.parametrize("encoding_format", ["float", "base64"])
def test_rows_come_back_in_the_order_of_the_texts(server, connect, encoding_format):
    encoder = connect(batch_size=5, encoding_format=encoding_format)
    assert encoder.d_in == D_IN
    rows = encoder.encode(TEXTS)
    np.testing.assert_array_equal(rows, np.stack([row_of(text) for text in TEXTS]))
    assert sorted(len(body["input"]) for _, body in server.requests) == [3, 5, 5, 5, 5]
    assert {path for path, _ in server.requests} == {"/v1/embeddings"}


def test_the_index_field_decides_not_the_place_in_the_answer(server, connect):
    encoder = connect(batch_size=8)
    server.answers = [changed(lambda data: data.reverse())]
    np.testing.assert_array_equal(
        encoder.encode(TEXTS), np.stack([row_of(text) for text in TEXTS])
    )


@pytest.mark.parametrize("code", [408, 429, 500, 503])
def test_a_passing_failure_is_tried_again(server, connect, code):
    encoder = connect()
    server.answers = [status(code), status(code), good_answer]
    np.testing.assert_array_equal(encoder.encode(["a"]), [row_of("a")])
    assert len(server.requests) == 3


def test_retry_after_is_obeyed_and_bounded(server, connect):
    encoder = connect()
    server.answers = [status(429, **{"Retry-After": "0.3"}), good_answer]
    started = time.monotonic()
    encoder.encode(["a"])
    assert time.monotonic() - started >= 0.3
    server.answers = [status(429, **{"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"})]
    with pytest.raises(
        EncoderError, match=r"answers 429 and asks to wait \d+ s, more than 300"
    ):
        encoder.encode(["a"])


def test_a_failure_that_stays_ends_after_six_tries(server, connect):
    encoder = connect()
    server.answers = [status(500)]
    with pytest.raises(EncoderError, match=r"status 500 .*told 500.*, 6 times in a row"):
        encoder.encode(["a"])
    assert len(server.requests) == 6


def test_one_failed_call_stops_those_that_wait(server, connect):
    encoder = connect(batch_size=1, first_wait_seconds=30.0)
    server.answers = [status(500), status(401)]
    started = time.monotonic()
    with pytest.raises(EncoderError, match="status 401"):
        encoder.encode(["a", "b"])
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (400, r"status 400: .*longest of these 1 texts has 5 characters.*--max_characters"),
        (401, r"status 401: .*Set the environment variable OPENAI_API_KEY to a valid key"),
        (403, r"status 403: .*may not use m"),
        (404, r"status 404: .*Check --base_url and that the endpoint has the model m"),
        (302, r"status 302: "),
    ],
)
def test_a_refusal_is_an_error_at_once(server, connect, code, message):
    encoder = connect()
    server.answers = [status(code)]
    with pytest.raises(EncoderError, match=message):
        encoder.encode(["12345"])
    assert len(server.requests) == 1


def drop(data):
    del data[1]


def zeros(data):
    data[1]["embedding"] = [0.0] * D_IN


def nan(data):
    data[1]["embedding"] = [float("nan")] * D_IN


def narrow(data):
    data[1]["embedding"] = data[1]["embedding"][:-1]


def all_narrow(data):
    for item in data:
        item["embedding"] = item["embedding"][:-1]


def same_index(data):
    data[1]["index"] = 0


def no_index(data):
    del data[1]["index"]


def words(data):
    data[1]["embedding"] = ["a", "b"]


def nested(data):
    data[1]["embedding"] = [data[1]["embedding"]]


def bad_base64(data):
    data[1]["embedding"] = "!!!!"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop, r"has 2 rows with indexes \[0, 2\].*expected the indexes 0 to 2"),
        (same_index, r"indexes \[0, 0, 2\]"),
        (no_index, r"not as documented \(KeyError\('index'\)\)"),
        (narrow, r"rows of width \[5, 6\]; expected 6"),
        (all_narrow, r"rows of width \[5\]; expected 6"),
        (zeros, r"has 1 rows of zeros, NaN or Inf, the first for text 1"),
        (nan, r"has 1 rows of zeros, NaN or Inf, the first for text 1"),
        (words, r"not as documented"),
        (nested, r"not as documented .*shape \(1, 6\)"),
        (bad_base64, r"not as documented"),
    ],
)
def test_a_wrong_answer_is_an_error_never_a_row(server, connect, change, message):
    encoder = connect()
    server.answers = [changed(change)]
    with pytest.raises(EncoderError, match=message):
        encoder.encode(["a", "b", "c"])
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"{}", b"[]", b'{"data": 7}', b"\xff"])
def test_garbage_is_an_error(server, connect, body):
    encoder = connect()
    server.answers = [lambda request: (200, body, {})]
    with pytest.raises(EncoderError, match="the answer of m is not as documented"):
        encoder.encode(["a"])


def test_a_hanging_server_times_out_and_is_tried_again(server, connect):
    encoder = connect(timeout_seconds=0.2)
    release = threading.Event()

    def hang(request):
        release.wait(10)
        return good_answer(request)

    server.answers = [hang, good_answer]
    np.testing.assert_array_equal(encoder.encode(["a"]), [row_of("a")])
    server.answers = [hang]
    with pytest.raises(EncoderError, match=r"no answer within 0\.2 s, 6 times in a row"):
        encoder.encode(["a"])
    release.set()


def test_no_server_is_an_error(connect):
    with pytest.raises(EncoderError, match=r"no connection .*6 times in a row"):
        connect(base_url="http://127.0.0.1:9/v1")


def test_a_wrong_key_shows_before_any_work_and_is_not_repeated(server, connect):
    server.answers = [status(401, body={"error": f"Incorrect API key provided: {KEY}"})]
    with pytest.raises(EncoderError, match=r"provided: \[key\]") as error:
        connect()
    assert KEY not in str(error.value)


def test_the_key_is_sent_in_the_header_and_kept_out_of_the_name(server, connect):
    encoder = connect()
    assert server.authorization == [f"Bearer {KEY}"]
    assert KEY not in encoder.name + encoder.normalisation + encoder.plan(["a"], n_texts=1)


def test_a_local_endpoint_needs_no_key_and_openai_does(server, connect, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    connect()
    assert server.authorization == [None]
    with pytest.raises(EncoderError, match="set the environment variable OPENAI_API_KEY"):
        openai.OpenAIEncoder(model="m")


@pytest.mark.parametrize("url", ["localhost:11434/v1", "https://user:secret@host/v1"])
def test_an_address_with_a_password_or_without_a_scheme_is_refused(url):
    with pytest.raises(EncoderError, match="address of the endpoint is not") as error:
        openai.OpenAIEncoder(model="m", base_url=url)
    assert "secret" not in str(error.value)


def test_texts_are_cut_only_where_asked(server, connect):
    long = "x" * 50_000
    connect().encode([long])
    assert server.requests[0][1]["input"] == [long]
    encoder = connect(max_characters=100)
    encoder.encode([long])
    assert server.requests[0][1]["input"] == ["x" * 100]
    assert "cut to 100 characters" in encoder.name


def test_calls_and_price_are_told_before(connect, monkeypatch):
    encoder = connect(model="text-embedding-3-small", batch_size=100)
    assert "3 calls of 100 texts" in encoder.plan(["x" * 400], n_texts=250)
    monkeypatch.setattr(encoder, "base_url", openai.OPENAI_URL)
    said = encoder.plan(["x" * 400], n_texts=1_000_000)
    assert "100.00 million tokens" in said
    assert "about $2.00 at the list price of $0.02 a million" in said
