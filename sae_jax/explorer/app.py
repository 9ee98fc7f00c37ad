"""The explorer's server: pages, and the JSON behind them."""

import pathlib
import sys
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from sae_jax.errors import EncoderError, SaeJaxError, ShardError
from sae_jax.explorer import api_page
from sae_jax.explorer.guard import Guard
from sae_jax.explorer.opened import Opened
from sae_jax.explorer.parameters import ForbiddenError, NotThereError
from sae_jax.explorer.routes import Explorer

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


def create_app(opened: Opened, *, host: str = "127.0.0.1") -> ASGIApp:
    explorer = Explorer(opened)
    api = explorer.routes()

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
