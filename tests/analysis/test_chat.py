"""The client against a real server: what is tried again, what stops all, what is said."""

import sys

import pytest
from chat_server import serving

from sae_jax.analysis import chat
from sae_jax.analysis.chat import CallFailed, OpenAIChat, Request
from sae_jax.errors import EndpointError

KEY = "sk-secret-of-the-test"
REQUEST = Request("m", ({"role": "user", "content": "You study"},), {"temperature": 0}, "u")


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr("chat_server.answer", lambda prompt: "yes")
    with serving(key=KEY) as server:
        yield server


@pytest.fixture
def client(server):
    made = OpenAIChat(base_url=server.url, timeout_seconds=0.3)
    yield made
    made.close()


def test_any_object_with_the_method_is_a_chat(client):
    class Standing:
        def complete(self, request):
            return None

    assert isinstance(client, chat.Chat)
    assert isinstance(Standing(), chat.Chat)


def test_an_answer_comes_with_its_tokens_and_seconds(server, client):
    answer = client.complete(REQUEST)
    assert (answer.text, answer.finish, answer.refusal) == ("yes", "stop", "")
    assert (answer.tokens_in, answer.tokens_out) == (100, 1)
    assert 0 < answer.seconds < 5
    # Model, messages and parameters arrived.
    assert list(server.requests) == [REQUEST._replace(base_url=server.url).key]
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_the_key_of_a_request_is_of_all_that_is_sent():
    others = [
        REQUEST._replace(model="n"),
        REQUEST._replace(messages=({"role": "user", "content": "else"},)),
        REQUEST._replace(parameters={}),
        REQUEST._replace(base_url="http://another/v1"),
    ]
    assert len({one.key for one in (REQUEST, *others)}) == 5
    again = Request("m", ({"content": "You study", "role": "user"},), {"temperature": 0}, "u")
    assert again.key == REQUEST.key


@pytest.mark.parametrize("fault", ["busy", "error", "hang", "cut_body"])
def test_a_passing_fault_is_tried_again(server, client, monkeypatch, fault):
    monkeypatch.setattr("chat_server.FAULTS", {fault: 100})
    server.seed = 0
    assert client.complete(REQUEST).text == "yes"
    assert server.faults[fault] == {"busy": 2, "error": 3, "hang": 1, "cut_body": 1}[fault]


@pytest.mark.parametrize(
    ("fault", "said", "n"),
    [
        ("error", "status 500: .*told 500", 1 + chat.N_RETRIES),
        ("cut_body", 'no chat completion, 3 times: {"choices"', chat.N_BROKEN),
    ],
)
def test_a_fault_that_stays_fails_the_call(server, client, monkeypatch, fault, said, n):
    monkeypatch.setattr("chat_server.FAULTS", {fault: 100})
    monkeypatch.setattr("chat_server.N_TIMES", {})
    server.seed = 0
    with pytest.raises(CallFailed, match=said):
        client.complete(REQUEST)
    assert server.faults[fault] == n


def body_of(content, finish, **more):
    return {"choices": [{"message": {"content": content}, "finish_reason": finish}]} | more


@pytest.mark.parametrize(
    "body",
    [
        body_of(None, None),
        body_of(None, "error"),
        body_of("half an ans", "error"),
        body_of("", "tool_calls"),
        body_of("yes", "stop", error={"message": "overloaded"}),
        {"choices": [body_of("yes", "stop")["choices"][0] | {"error": {"code": 502}}]},
    ],
)
def test_a_failure_sent_as_a_success_is_tried_again_and_no_answer(
    server, client, monkeypatch, body
):
    monkeypatch.setattr("chat_server.completion", lambda text: body)
    with pytest.raises(CallFailed, match=f"no chat completion, {chat.N_BROKEN} times"):
        client.complete(REQUEST)
    assert sum(server.requests.values()) == chat.N_BROKEN


@pytest.mark.parametrize("finish", ["stop", "length", "content_filter"])
def test_an_answer_may_be_empty_where_it_says_how_it_ended(server, client, monkeypatch, finish):
    monkeypatch.setattr("chat_server.completion", lambda text: body_of(None, finish))
    assert client.complete(REQUEST)[:3] == ("", finish, "")


def test_half_a_character_in_an_answer_is_replaced(server, client, monkeypatch):
    made = body_of("a \ud83d b", "stop")
    made["choices"][0]["message"]["refusal"] = "\ud83d"
    monkeypatch.setattr("chat_server.completion", lambda text: made)
    assert client.complete(REQUEST)[:3] == ("a ? b", "stop", "?")


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, "Set the environment variable OPENAI_API_KEY to a valid key"),
        (402, "no credit"),
        (403, "may not use m"),
        (404, "Check --base_url and that the endpoint has the model m"),
    ],
)
def test_what_no_other_call_would_mend_is_said_at_once_without_the_key(
    server, client, status, remedy
):
    server.status = status
    with pytest.raises(EndpointError, match=f"status {status}: .*told {status}") as caught:
        client.complete(REQUEST)
    assert remedy in str(caught.value)
    assert KEY not in str(caught.value)
    assert "your key is [key]" in str(caught.value)
    assert sum(server.requests.values()) == 1


def test_without_a_key_it_is_said_that_there_is_none(server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    server.status = 401
    client = OpenAIChat(base_url=server.url)
    with pytest.raises(EndpointError, match="OPENAI_API_KEY; it is empty"):
        client.complete(REQUEST)
    client.close()
    with pytest.raises(EndpointError, match="needs a key"):
        OpenAIChat()
    with pytest.raises(EndpointError, match="without a user name"):
        OpenAIChat(base_url="http://user:word@127.0.0.1/v1")


def test_an_account_without_credit_stops_all_though_its_status_is_that_of_haste(
    server, client, monkeypatch
):
    error = {"error": {"message": "no more", "code": "insufficient_quota"}}
    monkeypatch.setattr("chat_server.FAULTS", {"busy": 100})
    monkeypatch.setattr(
        "chat_server.Handler._send",
        lambda self, status, content, **more: send(self, 429, error),
    )
    monkeypatch.setattr(chat, "N_RETRIES", 0)
    client = OpenAIChat(base_url=server.url)
    with pytest.raises(EndpointError, match=r"status 429.*no more.*no credit left"):
        client.complete(REQUEST)
    client.close()


def send(handler, status, content):
    import json

    raw = json.dumps(content).encode()
    handler.send_response(status)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(raw)))
    handler.end_headers()
    handler.wfile.write(raw)


def test_no_connection_and_no_answer_in_time_fail_the_call(server, monkeypatch):
    monkeypatch.setattr(chat, "N_RETRIES", 0)
    client = OpenAIChat(base_url="http://127.0.0.1:9/v1")
    with pytest.raises(CallFailed, match=r"no connection .*refused.*, 1 times"):
        client.complete(REQUEST)
    client.close()
    client = OpenAIChat(base_url=server.url, timeout_seconds=0.2)
    server.seconds = 2.0
    with pytest.raises(CallFailed, match=r"no answer within 0\.2 s, 1 times"):
        client.complete(REQUEST)
    client.close()


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(EndpointError, match=r"pip install 'sae_jax\[llm\]'"):
        OpenAIChat(base_url="http://127.0.0.1:9/v1")


def test_a_line_break_after_the_key_is_dropped_and_an_impossible_key_is_not_shown(
    server, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    client = OpenAIChat(base_url=server.url)
    assert client.complete(REQUEST).text == "yes"
    client.close()
    for impossible in ("sk-\nsecret", "sk-gehéim"):
        monkeypatch.setenv("OPENAI_API_KEY", impossible)
        with pytest.raises(EndpointError, match="holds characters that no key has") as found:
            OpenAIChat(base_url=server.url)
        assert impossible not in str(found.value)
