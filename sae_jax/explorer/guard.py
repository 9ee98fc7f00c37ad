"""What stands before every route: whose requests are taken, and which headers all answers have.

The server is for one person's own browser. Any page that the browser shows may send requests to
127.0.0.1, so writes from other origins are refused, and on a loopback address requests
for another host name, which a page gets by pointing its own name here (DNS rebinding).
"""

import ipaddress
import itertools
import os
import urllib.parse

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

WRITES_NOTHING = ("/api/reload",)  # of the run's: allowed where a server is read-only
READING = ("GET", "HEAD", "OPTIONS")
MOST_BODY = 64 * 1024
CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """Wraps the application; numbers requests, so that an error can be found in the log."""

    def __init__(self, app: ASGIApp, *, host: str, read_only: bool) -> None:
        self.app, self.host, self.read_only = app, host, read_only
        self._numbers = itertools.count(1)
        self._start = os.urandom(2).hex()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = f"{self._start}-{next(self._numbers)}"
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (HEADERS | {"x-request-id": request_id}).items():
                    headers.setdefault(name, value)
            await send(message)

        status, why = self._refusal(scope)
        app = (
            JSONResponse({"error": why, "request_id": request_id}, status) if why else self.app
        )
        await app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str]:
        """A status and the reason; an empty reason where the request is taken."""
        headers = Headers(scope=scope)
        name = _name_of(headers.get("host", ""))
        if is_loopback(self.host) and not (name and is_loopback(name)):
            return 421, (
                f"this server is for 127.0.0.1, and was asked as {headers.get('host')!r}. Open "
                "it under its own address, or start it with --host."
            )
        if scope["method"] in READING:
            return 0, ""
        if self.read_only and scope["path"] not in WRITES_NOTHING:
            return 403, "this explorer is read-only; it was started with --read_only."
        if not _same_origin(headers, scheme=scope["scheme"]):
            return 403, "writes are taken from the explorer's own pages only."
        if not headers.get("content-type", "").startswith("application/json"):
            return 415, "expected a body of application/json."
        if "transfer-encoding" in headers:
            return 411, "expected a body whose length is stated, and not one in chunks."
        length = headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MOST_BODY:
            return 413, f"expected a body of {MOST_BODY:,} bytes at most, its length stated."
        return 0, ""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"


def _name_of(host: str) -> str | None:
    """Without the port."""
    try:
        return urllib.parse.urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _same_origin(headers: Headers, *, scheme: str) -> bool:
    """A program that is no browser sends no Origin, and has no cookies or network to lend."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        return False
    return origin is None or origin == f"{scheme}://{headers.get('host')}"
