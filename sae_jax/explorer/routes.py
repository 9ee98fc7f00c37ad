"""Every route of the API, and the run behind them. The API page is made of this list."""

import hashlib
import importlib.metadata
import os
import threading
from collections.abc import Callable
from typing import Any

import anyio.to_thread
from anyio.lowlevel import RunVar
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sae_jax.data.numbers import to_json
from sae_jax.explorer import (
    documents,
    families,
    feature,
    features,
    find,
    map,
    runs,
    searching,
)
from sae_jax.explorer.opened import Opened
from sae_jax.explorer.parameters import Parameters

THREADS_PER_CORE = 2
Handler = Callable[[Opened, Request], Any]
_computing: RunVar[anyio.CapacityLimiter] = RunVar("computing")  # of one server's loop


class Answering(Route):
    """A route whose answer can be had without a server, too."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[[Request], Any],
        *,
        method: str,
        answer: Callable[[Request], Response],
    ) -> None:
        super().__init__(path, endpoint, methods=[method])
        self.answer = answer


class Explorer:
    """Holds the run that is open, and opens it anew when its files have changed."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self._lock = threading.Lock()

    def reload(self, opened: Opened, request: Request) -> dict[str, Any]:
        """Opens the run anew where its files have changed, as when labels were made.

        Body: an empty object.
        """
        with self._lock:
            if self.opened.is_stale():
                self.opened = Opened.open(self.opened.options)
        return health(self.opened, request)

    def route(
        self, path: str, handler: Handler, *, method: str = "GET", at_once: bool = False
    ) -> Answering:
        """Whatever the handler returns becomes JSON.

        It runs in a thread, or, where it is to answer `at_once`, waits for none. A thread
        cannot wait for a request's body: it is read before, into its state. The handler's
        docstring is what the API page says of the route: see api_page.py.
        """
        assert handler.__doc__, f"the handler of {path} has no docstring"

        def answer(request: Request) -> Response:
            found = handler(self.opened, request)
            return found if isinstance(found, Response) else as_json(found, request=request)

        async def endpoint(request: Request) -> Response:
            if at_once:
                return answer(request)
            if method == "POST":
                request.state.body = await request.body()
            return await anyio.to_thread.run_sync(answer, request, limiter=_limiter())

        endpoint.__doc__ = handler.__doc__
        return Answering(path, endpoint, method=method, answer=answer)

    def routes(self) -> list[Answering]:
        return [
            self.route("/healthz", health, at_once=True),
            self.route("/api/meta", meta),
            self.route("/api/reload", self.reload, method="POST"),
            self.route("/api/start", searching.start),
            self.route("/api/encoder", searching.encoder),
            self.route("/api/filters", searching.filters),
            self.route("/api/search", searching.find),
            self.route("/api/search.csv", searching.as_csv),
            self.route("/api/search/block", searching.block),
            self.route("/api/keywords", documents.keywords),
            self.route("/api/find", find.find),
            self.route("/api/encode", features.encode),
            self.route("/api/features", features.features),
            self.route("/api/feature/{latent}", feature.feature),
            self.route("/api/feature/{latent}/label", feature.edit_label, method="POST"),
            self.route("/api/families", families.families),
            self.route("/api/families/ratios", families.ratios),
            self.route("/api/family/{number}", families.family),
            self.route("/api/family/{number}/matrix", families.matrix),
            self.route("/api/document/{row:path}", documents.document),
            self.route("/api/documents", documents.documents),
            self.route("/api/map", map.points),
            self.route("/api/map/selection", map.selection),
            self.route("/api/runs", runs.runs),
            self.route("/api/runs/difference", runs.difference),
            self.route("/api/runs/scaling", runs.scaling),
            self.route("/api/runs/matching", runs.matching),
            self.route("/api/run/{name}/metrics", runs.metrics),
        ]


def _limiter() -> anyio.CapacityLimiter:
    """Of handlers alone, so that files are served while all of these compute.

    More than compute at a time only hold memory: each has arrays of the corpus's rows.
    """
    found = _computing.get(None)
    if found is None:
        found = anyio.CapacityLimiter(THREADS_PER_CORE * (os.cpu_count() or 1))
        _computing.set(found)
    return found


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
