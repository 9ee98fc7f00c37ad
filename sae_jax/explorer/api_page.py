"""The page that documents every route, from the docstrings of their handlers.

A handler's docstring is paragraphs on what it answers, and then, where it takes any,

    Parameters:
        name: what it is, in as many lines as it needs.
    Body: what a POST sends.
    Example: /api/feature/{latent}

The example is the route's own path where none is given; {latent}, {number}, {row} and {name}
stand for a feature, a family, a document and a run that there are. The page asks it, and shows
what the answer consists of.
"""

import html
import inspect
import json
import re
import threading
import urllib.parse
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Match, Route

from sae_jax.errors import SaeJaxError
from sae_jax.explorer.opened import Opened
from sae_jax.explorer.routes import Answering

PARTS = re.compile(r"^(Parameters|Body|Example):", re.MULTILINE)
MOST_KEYS = 24  # of an object
DEPTH = 3  # of objects within objects
PAGES = ("Search", "Features", "Families", "Map", "Runs", "API")

FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>API · {run} · sae_jax</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/style.css">
<link rel="stylesheet" href="/static/pages/api.css">
<script src="/static/theme.js"></script>
</head>
<body>
<a class="skip" href="#page">Skip to the page</a>
<header><a class="brand" href="/search">sae_jax</a><nav aria-label="Pages">{nav}</nav></header>
<main id="page" class="api" tabindex="-1">
<h1>API of {run}</h1>
<p>Every page of the explorer is made of these answers. They are JSON where nothing else is
said. An error has <code>error</code> (what was found, what was expected, what to do) and
<code>request_id</code>, with status 400 for a bad parameter, 404 for what does not exist, 409
for what is not made yet, 424 without a text encoder and 403 where the server is read-only.
POST takes a body of <code>application/json</code>. What answers consist of is
shown as this run gave it.</p>
<ul class="routes">{contents}</ul>
{sections}
</main>
</body>
</html>
"""


class Documented(NamedTuple):
    """A route as its handler's docstring describes it."""

    method: str
    path: str
    paragraphs: list[str]
    parameters: dict[str, str]
    body: str  # empty where it takes none
    example: str  # a path with its parameters


def read(route: Route) -> Documented:
    """Raises ValueError where the parameters are not a line of NAME: TEXT each."""
    pieces = PARTS.split(inspect.getdoc(route.endpoint) or "")
    parts = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    return Documented(
        method="POST" if "POST" in (route.methods or ()) else "GET",
        path=route.path,
        paragraphs=[" ".join(one.split()) for one in re.split(r"\n\s*\n", pieces[0].strip())],
        parameters=_parameters(parts.get("Parameters", ""), path=route.path),
        body=" ".join(parts.get("Body", "").split()),
        example=parts.get("Example", "").strip() or re.sub(r":\w+}", "}", route.path),
    )


def _parameters(text: str, *, path: str) -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    for line in inspect.cleandoc(text).splitlines():
        if line[:1].isspace() and name:
            found[name] += f" {line.strip()}"
            continue
        name, colon, said = line.partition(":")
        if not colon or not name.strip():
            raise ValueError(f"{path}: {line!r} in its parameters; expected NAME: TEXT.")
        name = name.strip()
        found[name] = said.strip()
    return found


def page(opened: Opened, *, routes: Sequence[Answering]) -> Response:
    """Of all of these routes, the sample answers made the first time."""
    sections = [_section(read(route), route=route, opened=opened) for route in routes]
    named = [(read(route).method, route.path) for route in routes]
    contents = "".join(
        f'<li><a href="#{_anchor(m, p)}">{m} {html.escape(p)}</a></li>' for m, p in named
    )
    links = "".join(
        f'<a href="/{name.lower()}"{" aria-current=page" if name == "API" else ""}>{name}</a>'
        for name in PAGES
    )
    run = html.escape(opened.options.run.absolute().name)
    body = FRAME.format(run=run, nav=links, contents=contents, sections="\n".join(sections))
    return HTMLResponse(body, headers={"cache-control": "no-cache"})


def _anchor(method: str, path: str) -> str:
    return html.escape(f"{method}-{re.sub(r'[^a-z0-9]+', '-', path.lower()).strip('-')}")


def _section(one: Documented, *, route: Answering, opened: Opened) -> str:
    escape = html.escape
    parts = [
        f'<section id="{_anchor(one.method, one.path)}">',
        f"<h2><span>{one.method}</span> <code>{escape(one.path)}</code></h2>",
        *(f"<p>{_words(text)}</p>" for text in one.paragraphs),
    ]
    if one.parameters:
        rows = "".join(
            f'<tr><th scope="row"><code>{escape(name)}</code></th><td>{_words(said)}</td></tr>'
            for name, said in one.parameters.items()
        )
        parts.append(f"<table><caption>Parameters</caption><tbody>{rows}</tbody></table>")
    if one.body:
        parts.append(f"<p>Body: {_words(one.body)}</p>")
    if one.method == "GET":
        address = example(one.example, opened=opened)
        shown = escape(urllib.parse.unquote(address))
        parts.append(f'<p>Example: <a href="{escape(address)}"><code>{shown}</code></a></p>')
        answer = _sample(opened, route=route, address=address)
        parts.append(f'<pre tabindex="0" aria-label="Answer">{escape(answer)}</pre>')
    return "\n".join([*parts, "</section>"])


def _words(text: str) -> str:
    """What a docstring marks as code is code here."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(text))


def example(template: str, *, opened: Opened) -> str:
    """An address of this run's own."""
    own = {
        "latent": str(int(opened.stored.n_on.argmax())),
        "number": "0",
        "row": "0",
        "name": urllib.parse.quote(opened.options.run.absolute().name, safe=""),
    }
    return re.sub(r"{(\w+)}", lambda found: own.get(found[1], found[0]), template)


_samples: weakref.WeakKeyDictionary[Opened, dict[str, str]] = weakref.WeakKeyDictionary()
_sampling = threading.Lock()


def _sample(opened: Opened, *, route: Answering, address: str) -> str:
    with _sampling:
        made = _samples.setdefault(opened, {})
        if address not in made:
            made[address] = _asked(route, address=address)
        return made[address]


def _asked(route: Answering, *, address: str) -> str:
    path, _, query = address.partition("?")
    scope: dict[str, Any] = {
        "type": "http", "method": "GET", "path": urllib.parse.unquote(path), "headers": [],
        "query_string": query.encode(), "root_path": "", "state": {"request_id": "sample"},
    }  # fmt: skip
    match, found = route.matches(scope)
    if match is not Match.FULL:
        return f"{address}: is not an address of {route.path}."
    try:
        answer = route.answer(Request(scope | dict(found)))
    except SaeJaxError as error:
        return f"This run answers: {error}"
    if "json" not in (answer.media_type or ""):
        return f"A file of {answer.media_type or 'bytes'}."
    return shape(json.loads(bytes(answer.body)))


def shape(value: Any, *, depth: int = 0) -> str:
    """What a value of JSON consists of: the keys of objects, the lengths of lists."""
    if isinstance(value, Mapping):
        return _object(value, depth=depth)
    if isinstance(value, list):
        if not value:
            return "[]"
        first = next((one for one in value if one is not None), None)
        return f"[{shape(first, depth=depth)}, …] ({len(value):,})"
    if isinstance(value, str):
        return json.dumps(value if len(value) <= 60 else value[:60] + "…", ensure_ascii=False)
    return json.dumps(value)


def _object(value: Mapping[str, Any], *, depth: int) -> str:
    if not value or depth == DEPTH:
        return "{…}" if value else "{}"
    margin = "  " * (depth + 1)
    lines = [
        f"{margin}{json.dumps(name, ensure_ascii=False)}: {shape(one, depth=depth + 1)}"
        for name, one in list(value.items())[:MOST_KEYS]
    ]
    if len(value) > MOST_KEYS:
        lines.append(f"{margin}… ({len(value):,} keys)")
    return "{\n" + ",\n".join(lines) + "\n" + "  " * depth + "}"
