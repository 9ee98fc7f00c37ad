"""The explorer's server: pages, and the JSON behind them."""

import hashlib
import importlib.metadata
import pathlib
import sys
import threading
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from sae_jax.data.numbers import to_json
from sae_jax.errors import EncoderError, SaeJaxError, ShardError
from sae_jax.explorer import api_page, map, runs
from sae_jax.explorer.guard import Guard
from sae_jax.explorer.opened import Opened
from sae_jax.explorer.parameters import ForbiddenError, NotThereError, Parameters

STATIC = pathlib.Path(__file__).parent / "static"
PAGES = (
    "/search", "/features", "/feature/{latent}", "/families", "/family/{number}", "/map",
    "/document/{row:path}", "/runs",
)  # fmt: skip
STATUS: dict[type[SaeJaxError], int] = {
    NotThereError: 404,
    ForbiddenError: 403,
    ShardError: 409,  # something of the run is not made yet, or is of other weights
    EncoderError: 424,  # weights or an endpoint that the server depends on
}

Handler = Callable[[Opened, Request], Any]


class Explorer:
    """Holds the run that is open, and opens it anew when its files have changed."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self._lock = threading.Lock()

    def reload(self) -> None:
        with self._lock:
            if self.opened.is_stale():
                self.opened = Opened.open(self.opened.options)

    def route(self, path: str, handler: Handler, *, method: str = "GET") -> Route:
        """Whatever the handler returns becomes JSON; it runs in a thread of its own.

        Its docstring is what the API page says of the route: see api_page.py.
        """
        assert handler.__doc__, f"the handler of {path} has no docstring"

        def endpoint(request: Request) -> Response:
            found = handler(self.opened, request)
            return found if isinstance(found, Response) else as_json(found, request=request)

        endpoint.__doc__ = handler.__doc__
        return Route(path, endpoint, methods=[method])


def create_app(opened: Opened, *, host: str = "127.0.0.1") -> ASGIApp:
    explorer = Explorer(opened)

    def reload(opened: Opened, request: Request) -> dict[str, Any]:
        """Opens the run anew where its files have changed, as when labels were made.

        Body: an empty object.
        """
        explorer.reload()
        return health(explorer.opened, request)

    api = [
        explorer.route("/healthz", health),
        explorer.route("/api/meta", meta),
        explorer.route("/api/reload", reload, method="POST"),
        explorer.route("/api/map", map.points),
        explorer.route("/api/map/selection", map.selection),
        explorer.route("/api/runs", runs.runs),
        explorer.route("/api/runs/difference", runs.difference),
        explorer.route("/api/runs/scaling", runs.scaling),
        explorer.route("/api/runs/matching", runs.matching),
        explorer.route("/api/run/{name}/metrics", runs.metrics),
    ]

    def documentation(request: Request) -> Response:
        return api_page.page(explorer.opened, routes=api)

    routes = [
        Route("/", lambda request: RedirectResponse("/search")),
        *(Route(path, _shell) for path in PAGES),
        *api,
        Route("/api", documentation),
        Mount("/plotly", _Static(packages=[("plotly", "package_data")])),
        Mount("/static", _Static(directory=STATIC)),
    ]
    handlers: dict[Any, Any] = {
        SaeJaxError: _said,
        HTTPException: _plain,
        Exception: _defect,
    }
    app = Starlette(routes=routes, exception_handlers=handlers)
    # Around all of it, so that answers to defects have its headers, too.
    return Guard(app, host=host, read_only=opened.options.read_only)


def as_json(value: Any, *, request: Request) -> Response:
    """With a tag of its content, so that a browser that has it need not fetch it again."""
    body = to_json(value).encode()
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"etag": tag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def health(opened: Opened, request: Request) -> dict[str, Any]:
    """Which run is open, and whether its files have changed since."""
    Parameters(request)
    return {"run": opened.fingerprint, "stale": opened.is_stale()}


def meta(opened: Opened, request: Request) -> dict[str, Any]:
    """What the frame of every page says of the run."""
    Parameters(request)
    reader, stored = opened.search.reader, opened.stored
    return {
        "version": importlib.metadata.version("sae_jax"),
        "run": opened.options.run.absolute().name,
        "fingerprint": opened.fingerprint,
        "corpus": reader.folder.absolute().name,
        "encoder": reader.provenance.encoder,
        "n_rows": opened.n_rows,
        "d_in": reader.d_in,
        "n_latents": opened.n_latents,
        "n_alive": int((stored.n_on > 0).sum()),
        "k": opened.dictionary.sae.k,
        "n_labels": len(opened.labels.name),
        "read_only": opened.options.read_only,
        "missing": {
            "texts": None if opened.documents else f"{reader.folder} has no texts.",
            "families": opened.missing_families(),
            "features": opened.missing_pages(),
            "labels": None if opened.labels.name else _no_labels(opened),
        },
    }


def _no_labels(opened: Opened) -> str:
    return (
        f"No feature has a label yet. Run `sae-jax label {opened.options.run}`; it takes "
        "about a minute and needs no language model."
    )


class _Static(StaticFiles):
    """Asked for anew each time, answered from the browser's copy where it is the same."""

    async def get_response(self, path: str, scope: Any) -> Response:
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "no-cache"
        return response


def _shell(request: Request) -> Response:
    """All pages are one document; its modules read the address."""
    return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})


def _said(request: Request, error: Exception) -> Response:
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 400)
    return _error(request, str(error), status=status)


def _plain(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    said = {404: f"there is no page {path!r}.", 405: f"{request.method} is not for {path!r}."}
    return _error(request, said.get(error.status_code, error.detail), status=error.status_code)


def _defect(request: Request, error: Exception) -> Response:
    request_id = request.state.request_id
    # The server itself prints the traceback.
    print(f"request {request_id}: {request.method} {request.url}", file=sys.stderr)
    said = f"a defect of the explorer ({type(error).__name__}); its log says more."
    return _error(request, said, status=500)


def _error(request: Request, said: str, *, status: int) -> Response:
    body = {"error": said, "request_id": request.state.request_id}
    return JSONResponse(body, status)
