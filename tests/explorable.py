"""A run with all that the explorer shows, and a server of it in this process."""

import contextlib
import dataclasses
import json
import pathlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import uvicorn
from searchable import make_run
from tiny import planted_rows

from sae_jax.analysis import codes, encode, feature_tables
from sae_jax.data.shards import open_shards
from sae_jax.explorer import serve
from sae_jax.explorer.app import create_app
from sae_jax.explorer.opened import Opened, Options
from sae_jax.notebook import load, open_corpus

N_ROWS = 1_500
EVIL = "<script>document.title = 'stolen'</script><img src=x onerror=alert(1)>"
LONG = "a label that goes on " * 12
SLASHED = "astro-ph/06 08?a=1#2%"
FORMULA = 15  # the row of a text that a spreadsheet would run
RIGHT_TO_LEFT, IDEOGRAPHS = "تشفير متناثر", "稀疏自編碼器"


class PlantedEncoder:
    """Has row i for "text i …", row 0 for other words; counts what it is asked."""

    name, normalisation, d_in = "planted", "L2", 16

    def __init__(self) -> None:
        self.rows = planted_rows(N_ROWS).astype(np.float16).astype(np.float32)
        self.n_asked = 0

    def plan(self, sample: Any, *, n_texts: int) -> str:
        return "nothing"

    def encode(self, texts: Any) -> np.ndarray:
        self.n_asked += 1
        places = [int(t.split()[1]) if t.startswith("text ") else 0 for t in texts]
        return self.rows[places]


def record(row: int) -> dict[str, Any]:
    """Row 7 means harm, 8 and 9 are of other scripts, 12 has a hard id; some have titles."""
    text = {7: EVIL, 8: RIGHT_TO_LEFT, 9: IDEOGRAPHS}.get(row, f"text {row} of words")
    if row == FORMULA:
        text = f"={text}"
    found: dict[str, Any] = {"id": SLASHED if row == 12 else f"n{row}", "text": text}
    if row % 3 == 1:
        found |= {"title": EVIL if row == 7 else f"Title {row}", "year": 2000 + row % 20}
        found["url"] = "javascript:alert(1)" if row == 7 else f"https://example.org/{row}"
    return found


def make_explorable(folder: pathlib.Path) -> pathlib.Path:
    """With tables of features, labels of all kinds, and families."""
    run = make_run(folder, record=record)
    sae, reader = load(run), open_shards(folder / "rows")
    stored = encode.open_run_codes(run, sae, reader)
    out = feature_tables.folder_for(run, stored)
    feature_tables.make(stored, W_dec=np.asarray(sae.W_dec), out=out)
    of = {"run_fingerprint": stored.manifest.run_fingerprint}
    score = {"f1": 0.9, "low": 0.8, "high": 0.95, "auroc": 0.97, "n": 40}
    lines = [
        {"latent": latent, "state": "ok", "text": text, "terms": [text], "easy": score,
         "evidence": {text[:20]: 2.0, "other": 1.0}, "hard": None, "method": "keywords"} | of
        for latent, text in {
            3: "horse, saddle", 5: EVIL, 9: LONG, 11: RIGHT_TO_LEFT, 12: IDEOGRAPHS,
            20: "twenty",
        }.items()
    ]  # fmt: skip
    lines.append({"latent": 21, "state": "too few rows", "text": "", "method": "keywords"} | of)
    (out / "labels.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    return run


def copy_of(run: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """For a test that writes into it."""
    return shutil.copytree(run, folder / "run")


def silence(run: pathlib.Path, latent: int) -> None:
    """Takes this latent out of the stored codes, so that it is on in no row."""
    sae = load(run)
    stored = encode.open_run_codes(run, sae, open_corpus(run, sae))
    off = stored.indices == latent
    values = np.where(off, 0, stored.values)
    order = np.argsort(-values, axis=1, kind="stable")
    n_on = stored.n_on.copy()
    others = np.repeat(np.arange(len(n_on)), n_on) != latent
    n_on[latent] = 0
    arrays = {
        "values": np.take_along_axis(values, order, axis=1),
        "indices": np.take_along_axis(np.asarray(stored.indices), order, axis=1),
        "latent_starts": np.concatenate([[0], np.cumsum(n_on)]),
        "latent_rows": stored.latent_rows[others],
        "latent_values": stored.latent_values[others],
    }
    for name, array in arrays.items():
        np.save(stored.folder / f"{name}.npy", array)
    manifest = dataclasses.replace(stored.manifest, n_on=int(n_on.sum()))
    codes.write_manifest(manifest, folder=stored.folder)
    out = feature_tables.folder_for(run, stored)
    feature_tables.make(codes.open_codes(stored.folder), W_dec=np.asarray(sae.W_dec), out=out)


def until(holds: Callable[[], bool], *, seconds: float = 10) -> None:
    """Waits; the page's own policy forbids Playwright's wait_for_function."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to hold"
        time.sleep(0.02)


def open_run(run: pathlib.Path, **options: Any) -> Opened:
    return Opened.open(Options(run, say=lambda line: None, **options))


@contextlib.contextmanager
def served(opened: Opened, *, port: int = 0) -> Iterator[str]:
    """The address of a server of it, on a free port if none is given."""
    listening = serve.listen("127.0.0.1", port)
    config = uvicorn.Config(create_app(opened), log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listening.close()
