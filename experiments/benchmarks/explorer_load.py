"""Whether the explorer stands many clients that ask for anything, sensible or not.

python experiments/benchmarks/explorer_load.py --run=runs/wordnet --encoder=minilm
Starts `sae-jax explore` and sends 10,000 requests from 16 clients over loopback: searches with
sliders, pages and their data, and, of each fifth, parameters that are wrong in every way that a
list of odd values gives. Prints a table by route; fails on any answer of 500 or more, on one
that is not JSON where JSON is due, and where the server's memory grows in the second half by
more than 5 %. Writes results/explorer-load-cpu.json. Hardware of that file: 2 virtual cores,
which server and clients share; 2 minutes.
"""

import argparse
import asyncio
import collections
import datetime
import json
import pathlib
import platform
import random
import sys
import time
from typing import Any, NamedTuple

import httpx
from explorer import server, summary

RESULTS = pathlib.Path(__file__).parent / "results" / "explorer-load-cpu.json"
N_TEXTS = 40  # different ones; all others come from what the server keeps
MOST_GROWTH = 1.05
ODD = (
    "", " ", "0", "-1", "1e9", "NaN", "inf", "9" * 40, "٣", "½", "null", "true", "[]", "{}",
    "a:b", "3:", ":3", "3:1e999", "f", "f-1", "f9999999", "../../etc/passwd", "%00", "\u0000",
    "<script>alert(1)</script>", "' OR 1=1 --", "\ud7ff", "😀" * 50, "x" * 9_000, "\r\nX: y",
)  # fmt: skip


class Asked(NamedTuple):
    """One request; `route` is what it is counted under."""

    route: str
    path: str
    parameters: dict[str, str]


class Answered(NamedTuple):
    route: str
    status: int
    milliseconds: float
    wrong: str  # why it must not be so; empty where it may


def draw(rng: random.Random, *, meta: dict[str, Any], odd: bool) -> Asked:
    """A request as the pages send it; an odd one has one value that is not sensible."""
    latent, row = rng.randrange(meta["n_latents"]), rng.randrange(meta["n_rows"])
    sliders = f"{latent}:{rng.randrange(-100, 301)}"
    text = f"a thing of kind {rng.randrange(N_TEXTS)}"
    plain: list[tuple[str, str, dict[str, str]]] = [
        ("search", "/api/search", {"q": text, "w": sliders}),
        ("search", "/api/search", {"row": str(row), "w": sliders, "mode": "only"}),
        ("search", "/api/search", {"feature": str(latent), "k": "20"}),
        ("block", "/api/search/block", {"row": str(row), "moved": str(latent)}),
        ("feature", f"/api/feature/{latent}", {}),
        ("document", f"/api/document/{row}", {}),
        ("documents", "/api/documents", {"rows": f"{row},{latent}"}),
        ("keywords", "/api/keywords", {"q": rng.choice(("large animal", "of", "music"))}),
        ("find", "/api/find", {"q": rng.choice(("ani", "music", "12"))}),
        ("families", "/api/families", {}),
        ("page", "/search", {}),
        ("static", "/static/main.js", {}),
        ("meta", "/api/meta", {}),
    ]
    route, path, parameters = rng.choice(plain)
    if odd:
        if parameters and rng.random() < 0.8:
            parameters = parameters | {rng.choice(sorted(parameters)): rng.choice(ODD)}
        elif rng.random() < 0.5:
            parameters = parameters | {rng.choice(("x", "Q", "w", "k")): rng.choice(ODD)}
        else:
            path = f"{path.rsplit('/', 1)[0]}/{rng.choice(ODD)}"
        route = "odd"
    return Asked(route, path, parameters)


async def ask(client: httpx.AsyncClient, asked: Asked) -> Answered:
    began = time.perf_counter()
    try:
        answer = await client.get(asked.path, params=asked.parameters)
    except (httpx.InvalidURL, UnicodeError):  # this client will not send such a path
        return Answered("not sent", 0, 0.0, "")
    taken = 1e3 * (time.perf_counter() - began)
    wrong = f"{asked}: {answer.text[:200]}" if answer.status_code >= 500 else ""
    if not wrong and asked.path.startswith("/api/") and answer.status_code >= 400:
        try:
            said = answer.json()["error"]
        except (ValueError, KeyError):
            said = ""
        wrong = "" if said else f"{asked}: an error that says nothing"
    return Answered(asked.route, answer.status_code, taken, wrong)


async def load(address: str, *, n_requests: int, n_clients: int, pid: int) -> dict[str, Any]:
    found: list[Answered] = []
    memory: list[int] = []
    async with httpx.AsyncClient(base_url=address, timeout=120) as client:
        meta = (await client.get("/api/meta")).json()
        await client.get("/api/encoder")
        left = iter(range(n_requests))

        async def one_client(seed: int) -> None:
            rng = random.Random(seed)
            for _ in left:
                found.append(await ask(client, draw(rng, meta=meta, odd=rng.random() < 0.2)))
                if len(found) % max(n_requests // 20, 1) == 0:
                    memory.append(resident(pid))

        began = time.perf_counter()
        await asyncio.gather(*(one_client(seed) for seed in range(n_clients)))
        seconds = time.perf_counter() - began
    return {
        "n_requests": len(found),
        "n_clients": n_clients,
        "seconds": seconds,
        "statuses": dict(collections.Counter(str(one.status) for one in found)),
        "milliseconds": {
            route: summary([one.milliseconds for one in found if one.route == route])
            for route in sorted({one.route for one in found})
        },
        "all": summary([one.milliseconds for one in found]),
        "megabytes": [round(one / 1e6) for one in memory],
        "wrong": [one.wrong for one in found if one.wrong],
    }


def resident(pid: int) -> int:
    """Bytes that are the process's own, without pages of the run's files that it has mapped."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


def check(found: dict[str, Any]) -> bool:
    """Prints what was seen; whether it may be so."""
    print(f"{found['n_requests']:,} requests, {found['n_clients']} clients, "
          f"{found['seconds']:.0f} s, statuses {found['statuses']}")  # fmt: skip
    for route, own in (found["milliseconds"] | {"all": found["all"]}).items():
        print(f"  {route:<10} n {own['n']:>6,}  median {own['median']:7.1f} ms  "
              f"p99 {own['p99']:7.1f} ms  most {own['most']:7.1f} ms")  # fmt: skip
    half, last = found["megabytes"][len(found["megabytes"]) // 2], found["megabytes"][-1]
    print(f"memory: {found['megabytes'][0]} MB at first, {half} MB at half, {last} MB at last")
    for line in found["wrong"][:10]:
        print(f"WRONG {line}")
    return not found["wrong"] and last <= MOST_GROWTH * half


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=pathlib.Path, required=True)
    parser.add_argument("--encoder", default="", help="of the corpus, such as minilm")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=16)
    values = parser.parse_args()
    encoder = [f"--encoder={values.encoder}"] if values.encoder else []
    with server(values.run, *encoder) as (address, pid):
        found = asyncio.run(
            load(address, n_requests=values.requests, n_clients=values.clients, pid=pid)
        )
    holds = check(found)
    about = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {platform.python_version()}",
    }
    RESULTS.write_text(json.dumps(about | found, indent=1) + "\n")
    print(f"Results: {RESULTS}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
