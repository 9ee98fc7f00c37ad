"""The page of the API: every route is on it, in plain HTML, with an example that works."""

import html
import re

import pytest
from starlette.responses import Response
from starlette.routing import Route

from sae_jax.explorer import api_page
from sae_jax.explorer.app import create_app
from sae_jax.explorer.routes import Explorer


@pytest.fixture(scope="module")
def text(client):
    answer = client.get("/api")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text


@pytest.fixture(scope="module")
def routes(opened):
    app = create_app(opened).app
    return [
        r for r in app.routes if isinstance(r, Route) and re.match("/api/|/healthz", r.path)
    ]


def test_every_route_is_documented(text, routes):
    assert len(routes) > 5
    for route in routes:
        assert f"<code>{html.escape(route.path)}</code></h2>" in text


def test_every_parameter_that_a_route_takes_is_documented(client, opened, routes):
    """A route that is asked for a parameter it has not says which it has."""
    for route in routes:
        one = api_page.read(route)
        assert one.paragraphs[0].endswith(".")
        if one.method == "POST":
            continue
        path = api_page.example(one.example, opened=opened).partition("?")[0]
        error = client.get(f"{path}?zzzzzzzz=1").json()["error"]
        known = error.partition("expected ")[2].rstrip(".")
        named = {name for names in one.parameters for name in names.split(", ")}
        assert named == (set() if known == "none" else set(known.split(", "))), path


def test_a_handler_without_a_docstring_is_no_route(opened):
    with pytest.raises(AssertionError, match="/api/mute has no docstring"):
        Explorer(opened).route("/api/mute", lambda opened, request: {})


def test_every_example_is_answered(client, text):
    examples = re.findall(r'Example: <a href="([^"]+)"', text)
    assert examples
    for example in examples:
        assert client.get(html.unescape(example)).status_code == 200, example


def test_what_an_answer_consists_of_is_shown(text):
    section = text.partition('id="GET-api-meta"')[2].partition("</section>")[0]
    assert "&quot;n_rows&quot;: 1500" in section


def test_the_page_needs_no_script_and_has_no_inline_style(text):
    assert re.findall("<script[^>]*>", text) == ['<script src="/static/theme.js">']
    assert " style=" not in text
    assert "<style" not in text


def documented(doc, path="/api/x/{row:path}"):
    def endpoint(request) -> Response:
        return Response()

    endpoint.__doc__ = doc
    return api_page.read(Route(path, endpoint))


def test_a_docstring_is_read_by_its_parts():
    found = documented(
        """First line.

        A second paragraph
        over two lines.

        Parameters:
            q: words,
                and more of them.
            k: how many: a number.
        Body: nothing.
        Example: /api/x/3?q=a
        """
    )
    assert found.paragraphs == ["First line.", "A second paragraph over two lines."]
    assert found.parameters == {"q": "words, and more of them.", "k": "how many: a number."}
    assert (found.body, found.example) == ("nothing.", "/api/x/3?q=a")


def test_without_an_example_it_is_the_path_itself():
    assert documented("One line.").example == "/api/x/{row}"


def test_parameters_that_cannot_be_read_are_an_error():
    with pytest.raises(ValueError, match="expected NAME: TEXT"):
        documented("One.\n\nParameters:\n    only words\n")


def test_text_of_docstrings_and_answers_is_escaped(opened):
    evil = "<script>alert(1)</script>"

    def handler(opened, request):
        return {evil: [evil]}

    handler.__doc__ = f"What {evil} is.\n\nParameters:\n    {evil}: {evil}\n"
    route = Explorer(opened).route("/api/<b>", handler)
    shown = bytes(api_page.page(opened, routes=[route]).body).decode()
    assert "<script>alert" not in shown
    assert "<b>" not in shown
    assert shown.count(html.escape(evil)) >= 4


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], "[]"),
        ([None, 1, 2], "[1, …] (3)"),
        (
            {"a": {"b": {"c": {"d": 1}}}},
            '{\n  "a": {\n    "b": {\n      "c": {…}\n    }\n  }\n}',
        ),
        ("x" * 61, '"' + "x" * 60 + '…"'),
        ({}, "{}"),
    ],
)
def test_the_shape_of_an_answer_is_its_keys_and_lengths(value, expected):
    assert api_page.shape(value) == expected
