"""A server of a small run, and a browser that fails the test on what no page may do."""

import os
import pathlib
import shutil
from collections.abc import Iterator

import numpy as np
import pytest
from explorable import PlantedEncoder, make_explorable, open_run, served
from starlette.testclient import TestClient

from sae_jax.explorer.app import create_app
from sae_jax.explorer.opened import Opened

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def explorable(tmp_path_factory) -> pathlib.Path:
    """The run's folder; tests that write into it make their own copy."""
    return make_explorable(tmp_path_factory.mktemp("explorer"))


@pytest.fixture(scope="session")
def opened(explorable) -> Opened:
    return open_run(explorable, encoder=PlantedEncoder())


@pytest.fixture(scope="session")
def client(opened) -> TestClient:
    """Asks the server's routes without a network."""
    return TestClient(
        create_app(opened), base_url="http://127.0.0.1", raise_server_exceptions=False
    )


@pytest.fixture(scope="session")
def address(opened) -> Iterator[str]:
    with served(opened) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    if not CHROMIUM:
        pytest.skip("NOT TESTED, Chromium is missing: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    """In a fresh profile. Console errors and requests to elsewhere fail the test."""
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(15_000)
    wrong = watch(page, address=address)
    yield page
    context.close()
    assert not wrong


def watch(page, *, address: str) -> list[str]:
    """What a page does that it must not, as it happens."""
    wrong: list[str] = []

    def asked(request) -> None:
        if not request.url.startswith((address, "data:", "about:")):
            wrong.append(f"request to {request.url}")

    def logged(message) -> None:
        # A test that provokes an error of the server expects the browser's line on it.
        if message.type == "error" and "Failed to load resource" not in message.text:
            wrong.append(f"console: {message.text}")

    page.on("request", asked)
    page.on("console", logged)
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
    return wrong


@pytest.fixture(scope="session")
def bare(explorable, tmp_path_factory) -> Opened:
    """The same weights and rows without texts, labels, families or tables of features."""
    folder = tmp_path_factory.mktemp("bare")
    run, rows = folder / "run", folder / "rows"
    made_later = shutil.ignore_patterns("families", "features", "search")
    shutil.copytree(explorable, run, ignore=made_later)
    ignored = shutil.ignore_patterns("texts.jsonl")
    shutil.copytree(explorable.parent / "rows", rows, ignore=ignored)
    return open_run(run, shards=str(rows))


@pytest.fixture(scope="session")
def bare_client(bare) -> TestClient:
    return TestClient(create_app(bare), base_url="http://127.0.0.1")


@pytest.fixture
def bare_page(browser, bare):
    with served(bare) as address:
        context = browser.new_context(base_url=address)
        page = context.new_page()
        page.set_default_timeout(15_000)
        wrong = watch(page, address=address)
        yield page
        context.close()
    assert not wrong


@pytest.fixture(scope="session")
def dense(opened) -> np.ndarray:
    """[n_rows, n_latents], the codes with their zeros."""
    found = np.zeros((opened.n_rows, opened.n_latents))
    stored = opened.stored
    np.put_along_axis(found, np.asarray(stored.indices), np.asarray(stored.values), axis=1)
    return found


@pytest.fixture
def pictures() -> pathlib.Path | None:
    """Where screenshots are kept, if SAE_JAX_PICTURES names a folder."""
    named = os.environ.get("SAE_JAX_PICTURES")
    if not named:
        return None
    folder = pathlib.Path(named)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
