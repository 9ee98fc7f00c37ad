"""How fast the explorer answers and paints, and whether it keeps within its budgets.

python experiments/benchmarks/explorer.py --corpus=DATA/wordnet-glosses --rows=50000 \
    --workdir=/tmp/explored
Trains, encodes and labels an autoencoder of the corpus's first 50,000 rows (two
to three minutes, once); --run=RUN measures one that is there. Needs Chromium and the dev
extra. Prints a table, fails where a budget is broken, and writes results/explorer-cpu.json.
Hardware of that file: 2 virtual cores, 2 minutes, server and browser on the same two.
"""

import argparse
import contextlib
import datetime
import json
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import numpy as np
from playwright.sync_api import ConsoleMessage, Page, Request, sync_playwright

from sae_jax.data.shards import open_shards

RESULTS = pathlib.Path(__file__).parent / "results" / "explorer-cpu.json"
PAGES = ("/search", "/search?row=3", "/features", "/feature/3", "/families", "/family/0",
         "/document/3", "/map", "/runs", "/api")  # fmt: skip
N_ASKED = 300  # of the routes that are fast
N_TEXTS = 60
BROWSER = ["--no-sandbox", "--disable-gpu", "--no-first-run"]


class Budget(NamedTuple):
    """What a measure may take at most, of this many rows; `what` is what counts of it."""

    name: str
    most: float
    what: str
    rows: int = 50_000
    unit: str = "ms"


BUDGETS = (
    Budget("first paint of a page", 500, "most"),
    Budget("data of a feature's page", 20, "p99"),
    Budget("search for a new text", 150, "p99"),
    Budget("search from a document", 150, "p99"),
    Budget("exact answer to a moved slider", 50, "p99", 117_791),
    Budget(
        "repaint while a slider is dragged", 16, "p95"
    ),  # a frame that adds hits takes longer
    Budget("weight of a page before plots", 700, "most", unit="kB"),
)


def make_run(corpus: pathlib.Path, *, rows: int, workdir: pathlib.Path) -> pathlib.Path:
    """Of the corpus's first rows: trained, encoded, labelled, with families."""
    run, shards = workdir / "run", workdir / f"rows-{rows}"
    if (workdir / "done").exists():
        return run
    reader = open_shards(corpus)
    if not shards.exists():
        shards.mkdir(parents=True)
        chosen = np.arange(min(rows, reader.n_rows))
        np.save(shards / "a.npy", reader.read(chosen))
        texts = reader.records(chosen) or []
        lines = (json.dumps(record, ensure_ascii=False, default=str) for record in texts)
        (shards / "texts.jsonl").write_text("\n".join(lines) + "\n")
    sae_jax("train", "--config=experiments/wordnet.py", f"--config.shards={shards}",
            "--config.n_steps=440", f"--workdir={run}")  # fmt: skip
    for command in ("encode", "label", "families"):
        sae_jax(command, str(run))
    (workdir / "done").touch()
    return run


def sae_jax(*arguments: str) -> None:
    print(f"== sae-jax {arguments[0]}", flush=True)
    command = [sys.executable, "-m", "sae_jax.cli.main", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def server(run: pathlib.Path, *arguments: str) -> Iterator[tuple[str, int]]:
    """The address and the process's number of `sae-jax explore`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sae_jax.cli.main", "explore", str(run), "--port=0", *arguments],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"http://\S+", line):
                yield found.group(), process.pid
                return
        raise SystemExit(f"sae-jax explore {run} ended without an address.")
    finally:
        process.terminate()
        process.communicate()


def timed(client: httpx.Client, path: str, **parameters: Any) -> float:
    """Milliseconds of one answer, seen from another process on the same machine."""
    began = time.perf_counter()
    answer = client.get(path, params=parameters)
    taken = 1e3 * (time.perf_counter() - began)
    answer.raise_for_status()
    return taken


def ask_routes(address: str, texts: list[str]) -> dict[str, list[float]]:
    """Milliseconds of each request, by what it asks for."""
    with httpx.Client(base_url=address, timeout=60) as client:
        meta = client.get("/api/meta").json()
        client.get("/api/encoder")  # which loads it
        client.get("/api/search", params={"q": "warm"})
        rng = np.random.default_rng(0)
        latents = rng.choice(meta["n_latents"], min(N_ASKED, meta["n_latents"]), replace=False)
        rows = rng.choice(meta["n_rows"], N_TEXTS, replace=False)
        search = "/api/search"
        return {
            "data of a feature's page": [
                timed(client, f"/api/feature/{latent}") for latent in latents.tolist()
            ],
            "search for a new text": [timed(client, search, q=text) for text in texts],
            "search from a document": [timed(client, search, row=i) for i in rows.tolist()],
            "exact answer to a moved slider": list(_slide(client, texts[0])),
        }


def _slide(client: httpx.Client, text: str) -> Iterator[float]:
    """Each feature of a question in turn, three times: the first time its column is new."""
    features = client.get("/api/search", params={"q": text}).json()["features"]
    for own in features:
        for percent in (120, 180, -40):
            yield timed(client, "/api/search", q=text, w=f"{own['latent']}:{percent}")


class Seen:
    """What one page's loading asked for and said."""

    def __init__(self, page: Page, *, address: str) -> None:
        self.page, self.address = page, address
        self.asked: list[Request] = []
        self.n_outside = self.n_errors = 0
        page.on("request", self._ask)
        page.on("console", self._hear)

    def _ask(self, request: Request) -> None:
        self.asked.append(request)
        self.n_outside += not request.url.startswith((self.address, "data:"))

    def _hear(self, line: ConsoleMessage) -> None:
        self.n_errors += line.type == "error"

    def kilobytes(self) -> float:
        """Of the answers as they were sent; plots have a budget of their own."""
        own = (one for one in self.asked if "plotly" not in one.url)
        return sum(one.sizes()["responseBodySize"] for one in own) / 1e3


def look_at_pages(address: str, text: str) -> dict[str, Any]:
    """First paint, weight and outside requests of each page, each in a fresh profile."""
    question = f"/search?q={urllib.parse.quote(text)}"
    found: dict[str, Any] = {"paint": {}, "weight": {}, "outside": 0, "errors": 0}
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=BROWSER)
        for path in (*PAGES, question):
            context = browser.new_context(base_url=address)
            page = context.new_page()
            seen = Seen(page, address=address)
            page.goto(path)
            page.wait_for_load_state("networkidle")
            found["paint"][path] = page.evaluate(
                "performance.getEntriesByName('first-contentful-paint')[0].startTime"
            )
            found["weight"][path] = seen.kilobytes()
            if path == question:
                found["repaint"] = drag(page)
            found["outside"] += seen.n_outside
            found["errors"] += seen.n_errors
            context.close()
        browser.close()
    return found


def drag(page: Page) -> list[float]:
    """Milliseconds of script of each of 120 repaints of a slider's drag, layout included."""
    page.locator(".page.search[data-block]").wait_for()
    slider = page.locator(".sliders input[type=range]").first
    slider.focus()
    page.locator(".page.search[data-block]:not([data-block=ready])").wait_for()
    taken: list[float] = page.evaluate(
        """async () => {
            const slider = document.querySelector(".sliders input[type=range]");
            const taken = [];
            for (let i = 0; i < 120; i += 1) {
                slider.value = -100 + 3 * i;
                slider.dispatchEvent(new Event("input"));
                await new Promise(requestAnimationFrame);
                const began = performance.getEntriesByName("repaint").at(-1);
                document.body.getBoundingClientRect();  // forces the layout now
                if (began) taken.push(performance.now() - began.startTime);
            }
            return taken;
        }"""
    )
    return taken


def summary(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "median": statistics.median(ordered),
        "p95": ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)],
        "p99": ordered[min(int(0.99 * len(ordered)), len(ordered) - 1)],
        "most": ordered[-1],
    }


def measure(run: pathlib.Path, *, encoder: list[str]) -> dict[str, Any]:
    texts = [
        f"question number {i} about a thing that is used to {i} ends" for i in range(N_TEXTS)
    ]
    with server(run, *encoder) as (address, _):
        with httpx.Client(base_url=address, timeout=120) as client:
            meta = client.get("/api/meta").json()
        asked = ask_routes(address, texts)
        seen = look_at_pages(address, "a large animal that is ridden")
    measures = {name: summary(values) for name, values in asked.items()}
    measures["first paint of a page"] = summary(list(seen["paint"].values()))
    measures["weight of a page before plots"] = summary(list(seen["weight"].values()))
    measures["repaint while a slider is dragged"] = summary(seen["repaint"])
    return {
        "n_rows": meta["n_rows"],
        "d_in": meta["d_in"],
        "n_latents": meta["n_latents"],
        "measures": measures,
        "pages": {name: seen[name] for name in ("paint", "weight")},
        "outside_requests": seen["outside"],
        "console_errors": seen["errors"],
    }


def check(found: dict[str, Any]) -> list[str]:
    """Prints what was measured; returns the budgets that are broken."""
    broken = []
    for name, most, what, rows, unit in BUDGETS:
        own = found["measures"][name]
        line = f"{name:<36} median {own['median']:7.1f}  {what} {own[what]:7.1f} {unit}"
        holds = own[what] <= most or found["n_rows"] > rows
        print(f"{line}  (budget of {rows:,} rows {most:g}) {'' if holds else 'BROKEN'}")
        broken += [] if holds else [name]
    for name in ("outside_requests", "console_errors"):
        print(f"{name:<36} {found[name]}")
        broken += [name] if found[name] else []
    return broken


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--run", type=pathlib.Path, help="a run that is encoded")
    parser.add_argument("--corpus", type=pathlib.Path, help="to make a run of, with --workdir")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--workdir", type=pathlib.Path)
    parser.add_argument("--encoder", default="minilm", help="of the corpus, or nothing")
    values = parser.parse_args()
    if values.run is None and (values.corpus is None or values.workdir is None):
        parser.error("expected --run, or --corpus and --workdir")
    run = values.run or make_run(values.corpus, rows=values.rows, workdir=values.workdir)
    found = measure(run, encoder=[f"--encoder={values.encoder}"] if values.encoder else [])
    broken = check(found)
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    name = f"{found['n_rows']} x {found['d_in']}, n_latents {found['n_latents']}"
    about = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {platform.python_version()}",
    }
    RESULTS.write_text(json.dumps(kept | {name: about | found}, indent=1) + "\n")
    print(f"Results: {RESULTS}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
