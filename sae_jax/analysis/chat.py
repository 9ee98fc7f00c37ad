"""Asks a language model at any endpoint that speaks OpenAI's /v1/chat/completions.

Any object with the one method of `Chat` stands in for it. The key is read from
OPENAI_API_KEY, sent in a header, and appears nowhere else.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

from sae_jax.analysis.prompts import whole_characters
from sae_jax.embed.openai import KEY_VARIABLE, OPENAI_URL, address_problem, read_key
from sae_jax.errors import EndpointError, SaeJaxError

N_RETRIES = 5  # after 408, 409, 429, 5xx, a lost connection or no answer in time
N_BROKEN = 3  # bodies that are no completion, until a call has failed
TIMEOUT_SECONDS = 120.0
WRONG = (401, 402, 403, 404)  # with these no other call would fare better
ENDS = ("stop", "length", "content_filter")  # that may leave an answer without any text
MOST_SAID = 300  # characters of what an endpoint says of an error


class Request(NamedTuple):
    """One call. Two with the same key may have the same answer."""

    model: str
    messages: tuple[Mapping[str, str], ...]
    parameters: Mapping[str, Any]  # sent as they are, such as temperature
    base_url: str  # a model of the same name elsewhere may be another one

    @property
    def key(self) -> str:
        text = json.dumps(self, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def n_characters(self) -> int:
        return sum(len(message["content"]) for message in self.messages)


class Answer(NamedTuple):
    """What came back, and what it took. An endpoint may not count its tokens."""

    text: str
    finish: str  # why it ended: "stop", "length", "content_filter"
    refusal: str
    tokens_in: int | None
    tokens_out: int | None
    seconds: float


class CallFailed(SaeJaxError):
    """No answer came, though one may come later."""


@runtime_checkable
class Chat(Protocol):
    """A language model."""

    def complete(self, request: Request) -> Answer:
        """Its answer; may be called by several threads at once.

        Raises:
            CallFailed: for now, or for this request.
            EndpointError: any other request would fail, too.
        """


class OpenAIChat:
    """The endpoint, by the package `openai`, which waits and tries again."""

    def __init__(
        self,
        *,
        base_url: str = OPENAI_URL,
        timeout_seconds: float = TIMEOUT_SECONDS,
        flag: str = "--base_url",  # that names the address, for what is said of errors
    ) -> None:
        package = _import_openai()
        self.base_url = base_url.rstrip("/")
        self._flag = flag
        self._key = read_key()
        if problem := address_problem(self.base_url, key=self._key, flag=flag):
            raise EndpointError(problem)
        self._timeout = timeout_seconds
        self._client = package.OpenAI(
            base_url=self.base_url,
            api_key=self._key or "none",  # it insists on one; servers on this machine do not
            timeout=timeout_seconds,
            max_retries=N_RETRIES,
        )

    def complete(self, request: Request) -> Answer:
        problem = ""
        for _ in range(N_BROKEN):
            began = time.monotonic()
            body = self._send(request)
            try:
                return _read(body, seconds=time.monotonic() - began)
            except (ValueError, KeyError, TypeError, IndexError, AttributeError):
                problem = self._said(body)
        raise CallFailed(
            f"{self.base_url}: the answer is no chat completion, {N_BROKEN} times: {problem}"
        )

    def close(self) -> None:
        """Ends the connections; they also end with the process."""
        self._client.close()

    def _send(self, request: Request) -> str:
        """The body of the answer as it came: not every endpoint is what the package expects."""
        import openai

        try:
            raw = self._client.chat.completions.with_raw_response.create(
                model=request.model,
                messages=list(request.messages),
                extra_body=dict(request.parameters),
            )
            return str(raw.text)
        except openai.APIStatusError as error:
            raise self._refused(error, request) from error
        except openai.APITimeoutError as error:
            raise CallFailed(
                f"{self.base_url}: no answer within {self._timeout:g} s, {N_RETRIES + 1} times"
            ) from error
        except openai.APIConnectionError as error:
            said = self._said(str(error.__cause__ or error))
            raise CallFailed(
                f"{self.base_url}: no connection ({said}), {N_RETRIES + 1} times"
            ) from error

    def _refused(self, error: Any, request: Request) -> SaeJaxError:
        status = error.status_code
        said = f"{self.base_url}: status {status}: {self._said(error.response.text)}"
        no_credit = error.code == "insufficient_quota"  # OpenAI's, with status 429
        if status not in WRONG and not no_credit:
            return CallFailed(said)
        remedy = {
            401: f"Set the environment variable {KEY_VARIABLE} to a valid key."
            if self._key
            else f"Set the environment variable {KEY_VARIABLE}; it is empty.",
            403: f"The key in {KEY_VARIABLE} may not use {request.model}.",
            404: f"Check {self._flag} and that the endpoint has the model {request.model}.",
        }.get(status, "The account has no credit left.")
        return EndpointError(
            f"{said}. {remedy} Answers so far are kept: the same command goes on from them."
        )

    def _said(self, text: str) -> str:
        """Without the key, which an endpoint may repeat."""
        text = text.replace(self._key, "[key]") if self._key else text
        return " ".join(text.split())[:MOST_SAID] or "nothing"


def _read(body: str, *, seconds: float) -> Answer:
    """Raises one of several errors where the body is not as documented.

    Some endpoints send a failure with status 200; it is no answer either.
    """
    made = json.loads(body)
    choice = made["choices"][0]
    message, usage = choice["message"], made.get("usage") or {}
    text, finish, refusal = (
        whole_characters(str(found or ""))
        for found in (
            message.get("content"), choice.get("finish_reason"), message.get("refusal"),
        )
    )  # fmt: skip
    if made.get("error") or choice.get("error") or finish == "error":
        raise ValueError("a failure")
    if not (text or refusal or finish in ENDS):
        raise ValueError("nothing was answered")
    return Answer(
        text=text,
        finish=finish,
        refusal=refusal,
        tokens_in=_count(usage.get("prompt_tokens")),
        tokens_out=_count(usage.get("completion_tokens")),
        seconds=seconds,
    )


def _count(tokens: Any) -> int | None:
    return None if tokens is None else int(tokens)


def _import_openai() -> Any:
    try:
        import openai
    except ImportError as error:
        raise EndpointError(
            "asking a language model needs the package openai, which is not installed: "
            "pip install 'sae_jax[llm]'"
        ) from error
    return openai
