"""Embeddings from any endpoint that speaks OpenAI's /v1/embeddings.

The key is read from OPENAI_API_KEY, sent in a header, and appears nowhere else. An answer
that is not exactly one finite row of one width for each text is an error: a row is never
made up, since a row of zeros would be trained on.
"""

import base64
import binascii
import email.utils
import os
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any

import numpy as np
from jaxtyping import Float

from sae_jax.errors import EncoderError

OPENAI_URL = "https://api.openai.com/v1"
KEY_VARIABLE = "OPENAI_API_KEY"
N_PARALLEL_CALLS = 4
N_TRIES = 6
LONGEST_WAIT_SECONDS = 60.0  # of ours; doubling from 1 s, six tries wait half a minute
LONGEST_RETRY_AFTER_SECONDS = 300.0  # a server that asks for more is given up
TIMEOUT_SECONDS = 60.0
CHARACTERS_PER_TOKEN = 4  # of English, by OpenAI's own rule of thumb
# Dollars per million tokens: OpenAI's list of January 2024; what it charges now may differ.
LIST_PRICES = {
    "text-embedding-3-small": 0.02,
    "text-embedding-3-large": 0.13,
    "text-embedding-ada-002": 0.10,
}
TRY_AGAIN = (408, 409, 429, 500, 502, 503, 504, 529)


class OpenAIEncoder:
    """The encoder; one call when made finds the width and shows a wrong key or address.

    Texts are sent whole unless max_characters cuts them: endpoints refuse or cut what is
    too long for their model (OpenAI refuses more than 8,192 tokens).
    """

    normalisation = "as the endpoint returns it"

    def __init__(
        self,
        *,
        model: str,
        base_url: str = OPENAI_URL,
        batch_size: int = 128,
        max_characters: int | None = None,
        encoding_format: str = "float",
        first_wait_seconds: float = 1.0,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        httpx = _import_httpx()
        self.model = model
        self.base_url = base_url.rstrip("/")
        self.batch_size = batch_size
        self.max_characters = max_characters
        self.encoding_format = encoding_format
        self.first_wait_seconds = first_wait_seconds
        cut = f", cut to {max_characters} characters" if max_characters else ""
        self.name = f"{model} at {self.base_url}{cut}"
        self._key = read_key()
        if problem := address_problem(self.base_url, key=self._key):
            raise EncoderError(problem)
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._client = httpx.Client(headers=headers, timeout=timeout_seconds)
        self._stopped = threading.Event()
        self.n_calls = 0
        self.d_in = 0
        self.d_in = self._call(["width"]).shape[1]

    def plan(self, sample: Sequence[str], *, n_texts: int) -> str:
        mean = sum(map(len, sample)) / max(1, len(sample))
        tokens = mean / CHARACTERS_PER_TOKEN * n_texts
        n_calls = -(-n_texts // self.batch_size)
        text = (
            f"{n_calls:,} calls of {self.batch_size} texts to {self.base_url}, about "
            f"{tokens / 1e6:.2f} million tokens ({CHARACTERS_PER_TOKEN} characters each)"
        )
        if self.base_url == OPENAI_URL and self.model in LIST_PRICES:
            price = LIST_PRICES[self.model]
            text += (
                f", about ${tokens / 1e6 * price:.2f} at the list price of ${price} a million"
            )
        limit = self.max_characters
        cut = f"texts are cut to {limit:,} characters" if limit else "texts are sent whole"
        return f"{text}; {cut}"

    def encode(self, texts: Sequence[str]) -> Float[np.ndarray, "n_texts d_in"]:
        """Raises EncoderError when a call fails for good; the other calls are given up."""
        self._stopped.clear()
        texts = [text[: self.max_characters] for text in texts]
        batches = [
            texts[i : i + self.batch_size] for i in range(0, len(texts), self.batch_size)
        ]
        with ThreadPoolExecutor(N_PARALLEL_CALLS) as pool:
            calls = [pool.submit(self._call, batch) for batch in batches]
            try:
                wait(calls, return_when=FIRST_EXCEPTION)
                # A failed one is asked first: others may still wait for another try.
                failed = [call for call in calls if call.done() and call.exception()]
                rows = [call.result() for call in (*failed, *calls)][len(failed) :]
            except BaseException:
                self._stopped.set()  # those that wait for another try stop waiting
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return np.concatenate(rows) if rows else np.zeros((0, self.d_in), np.float32)

    def close(self) -> None:
        """Ends the connections; they also end with the process."""
        self._client.close()

    def _call(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """One request, tried again while that can help."""
        for n_tried in range(1, N_TRIES + 1):
            found = self._try_once(texts)
            if isinstance(found, np.ndarray):
                return found
            problem, seconds = found
            if n_tried == N_TRIES:
                break
            if seconds is None:
                seconds = self.first_wait_seconds * 2 ** (n_tried - 1)
                # Spread at random: parallel calls should not come back all at once.
                seconds = min(seconds, LONGEST_WAIT_SECONDS) * random.uniform(0.75, 1.25)
            if self._stopped.wait(seconds):
                raise EncoderError(f"{self.base_url}: stopped, since another call failed.")
        raise EncoderError(
            f"{self.base_url}: {problem}, {N_TRIES} times in a row. The rows so far are safe: "
            "run the same command again later to go on."
        )

    def _try_once(self, texts: Sequence[str]) -> np.ndarray | tuple[str, float | None]:
        """The rows, or what went wrong and how long the server asks to wait."""
        import httpx

        payload = {
            "model": self.model,
            "input": list(texts),
            "encoding_format": self.encoding_format,
        }
        try:
            self.n_calls += 1
            response = self._client.post(f"{self.base_url}/embeddings", json=payload)
        except httpx.TimeoutException:
            return f"no answer within {self._client.timeout.read:g} s", None
        except httpx.TransportError as error:
            return f"no connection ({self._without_key(str(error))})", None
        if response.status_code in TRY_AGAIN:
            said = self._without_key(response.text)[:200]
            return f"status {response.status_code} ({said})", self._retry_after(response)
        if response.status_code != 200:
            raise self._refused(response, texts)
        return self._read_rows(response, n_texts=len(texts))

    def _retry_after(self, response: Any) -> float | None:
        """The header in seconds; it may be a number or a date (RFC 9110, 10.2.3)."""
        asked = response.headers.get("retry-after")
        if asked is None:
            return None
        try:
            seconds = float(asked)
        except ValueError:
            try:
                seconds = email.utils.parsedate_to_datetime(asked).timestamp() - time.time()
            except ValueError:
                return None
        if seconds > LONGEST_RETRY_AFTER_SECONDS:
            raise EncoderError(
                f"{self.base_url}: answers {response.status_code} and asks to wait "
                f"{seconds:.0f} s, more than {LONGEST_RETRY_AFTER_SECONDS:.0f} s. The rows so "
                "far are safe: run the same command again then, to go on."
            )
        return max(0.0, seconds)

    def _refused(self, response: Any, texts: Sequence[str]) -> EncoderError:
        """An error that trying again would not mend, with the likely remedy."""
        status = response.status_code
        remedy = {
            400: f"The longest of these {len(texts)} texts has {max(map(len, texts)):,} "
            "characters; if that is too much for the model, cut with --max_characters.",
            401: f"Set the environment variable {KEY_VARIABLE} to a valid key."
            if self._key
            else f"Set the environment variable {KEY_VARIABLE}; it is empty.",
            403: f"The key in {KEY_VARIABLE} may not use this model.",
            404: f"Check --base_url and --model={self.model}.",
        }.get(status, "Check --base_url and --model.")
        said = " ".join(self._without_key(response.text).split())[:300]
        return EncoderError(
            f"{self.base_url}: status {status}: {said or 'no reason'}. {remedy}"
        )

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text

    def _read_rows(self, response: Any, *, n_texts: int) -> Float[np.ndarray, "n d"]:
        """Rows in the order of the texts, whatever order the answer has."""
        try:
            data = response.json()["data"]
            indices = [item["index"] for item in data]
            rows = [_decode(item["embedding"]) for item in data]
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            said = self._without_key(response.text)[:120]
            raise self._bad_answer(
                f"is not as documented ({error!r}): {said!r}", "data[i].index and .embedding"
            ) from error
        if sorted(indices) != list(range(n_texts)):
            raise self._bad_answer(
                f"has {len(indices)} rows with indexes {sorted(indices)[:8]}…",
                f"the indexes 0 to {n_texts - 1}, each once",
            )
        widths = sorted({len(row) for row in rows})
        expected = self.d_in or widths[0]
        if widths != [expected] or not expected:
            raise self._bad_answer(f"has rows of width {widths}", f"{expected or 'more'}")
        found = np.empty((n_texts, expected), np.float32)
        found[indices] = np.stack(rows)
        bad = ~np.isfinite(found).all(axis=1) | ~found.any(axis=1)
        if bad.any():
            raise self._bad_answer(
                f"has {int(bad.sum())} rows of zeros, NaN or Inf, the first for text "
                f"{int(np.argmax(bad))} of the call",
                "finite rows that are not zero",
            )
        return found

    def _bad_answer(self, found: str, expected: str) -> EncoderError:
        return EncoderError(
            f"{self.base_url}: the answer of {self.model} {found}; expected {expected}. No row "
            "of this call was kept. Check that --base_url is an embeddings endpoint and "
            "--model an embedding model."
        )


def read_key() -> str:
    """Without the line break that files of secrets end in; "" where there is none."""
    return os.environ.get(KEY_VARIABLE, "").strip()


def address_problem(base_url: str, *, key: str, flag: str = "--base_url") -> str:
    """What is wrong with the address of an endpoint, or with the key; "" where nothing is.

    `flag` is the one that names the address.
    """
    if not (key.isascii() and key.isprintable()):
        return (
            f"{KEY_VARIABLE} holds characters that no key has, such as line breaks or letters "
            "beyond ASCII. Set it to the key alone."
        )
    host = base_url.partition("://")[2].partition("/")[0]
    if not base_url.startswith(("http://", "https://")) or "@" in host:
        # A password in an address would end in the manifest and in every log.
        return (
            "the address of the endpoint is not as expected: http(s)://HOST/v1 without "
            f"a user name or password. Put a key into {KEY_VARIABLE}."
        )
    if base_url == OPENAI_URL and not key:
        return (
            f"{OPENAI_URL} needs a key: set the environment variable {KEY_VARIABLE}, or "
            f"name another endpoint with {flag}."
        )
    return ""


def _decode(embedding: Any) -> np.ndarray:
    """A list of numbers, or base64 of little-endian float32."""
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4")
    row = np.asarray(embedding, np.float32)
    if row.ndim != 1:
        raise ValueError(f"an embedding of shape {row.shape}")
    return row


def _import_httpx() -> Any:
    try:
        import httpx
    except ImportError as error:
        raise EncoderError(
            "the encoder openai needs httpx, which is not installed: pip install "
            "'sae_jax[openai]'"
        ) from error
    return httpx
