"""A small encoded run to search in, an endpoint that encodes its texts, and a dictionary."""

import contextlib
import http.server
import json
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
from planted_codes import stored_of
from tiny import config, planted_rows

from sae_jax.analysis import encode
from sae_jax.analysis.codes import StoredCodes
from sae_jax.config import SaeConfig
from sae_jax.data.shards import open_shards
from sae_jax.model.topk import TopKAutoencoder
from sae_jax.notebook import Sae, load
from sae_jax.search.dictionary import Dictionary
from sae_jax.train import loop

N_ROWS = 1_500
FAMILIES = [{"parent": 3, "children": [5, 9]}, {"parent": 9, "children": [11, 20, 21]}]
EDGES = [[3, 5], [3, 9], [9, 11], [9, 20], [11, 20], [11, 21]]
METRICS = {
    "n_families": 2, "mean_size": 2.5, "membership": 0.1,
    "parent_ratio": {"value": 4.5, "null": 1.5, "null_high": 2.5},
    "block_ratio": {"value": None, "null": 1.0, "null_high": 1.25},
}  # fmt: skip


def plain_record(row: int) -> dict[str, Any]:
    return {"id": f"n{row}", "text": f"text {row}"}


def make_run(
    folder: pathlib.Path, *, record: Callable[[int], dict[str, Any]] = plain_record
) -> pathlib.Path:
    """Trained on two files of float16 rows with texts, encoded, with labels and families."""
    rows_folder, run = folder / "rows", folder / "run"
    rows_folder.mkdir()
    rows = planted_rows(N_ROWS).astype(np.float16)
    np.save(rows_folder / "a.npy", rows[:900])
    np.save(rows_folder / "b.npy", rows[900:])
    lines = (json.dumps(record(row)) for row in range(N_ROWS))
    (rows_folder / "texts.jsonl").write_text("\n".join(lines) + "\n")
    settings = config(rows_folder, n_steps=40, products="dense", auxk_coefficient=0.0)
    reader = open_shards(rows_folder)
    loop.train(settings, reader=reader, workdir=run)
    sae = load(run)
    encode.encode_corpus(sae, reader, out=encode.folder_for(run, reader))
    _write_results(run, stored=encode.open_run_codes(run, sae, reader))
    return run


def _write_results(run: pathlib.Path, *, stored: StoredCodes) -> None:
    """A label and families, as `sae-jax label` and `sae-jax families` leave them."""
    of = {"run_fingerprint": stored.manifest.run_fingerprint}
    label = {"latent": 3, "state": "ok", "text": "horse, saddle"} | of
    features = run / "features" / stored.folder.name
    features.mkdir(parents=True)
    (features / "labels.jsonl").write_text(json.dumps(label) + "\n")
    (run / "families").mkdir()
    path = run / "families" / f"{stored.folder.name}-ours.json"
    made = {"method": "ours", "metrics": METRICS, "families": FAMILIES, "edges": EDGES}
    path.write_text(json.dumps(made | of))


@contextlib.contextmanager
def endpoint(rows: np.ndarray) -> Iterator[str]:
    """The address of an embeddings endpoint that has row i for "text i", row 0 for others."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["input"]
            found = [
                int(t.split()[1].rstrip(",")) if t.startswith("text ") else 0 for t in asked
            ]
            data = [
                {"index": i, "embedding": rows[row].astype(float).tolist()}
                for i, row in enumerate(found)
            ]
            raw = json.dumps({"data": data}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def planted_dictionary(*, d_in: int = 24, n_latents: int = 32, k: int = 4) -> Dictionary:
    """Random unit directions that overlap, encoder the decoder's transpose.

    Latent i is on for rows i and i + 1, with values .5 + i / 100 and half of that.
    """
    rng = np.random.default_rng(5)
    W_dec = rng.normal(size=(n_latents, d_in)).astype(np.float32)
    W_dec /= np.linalg.norm(W_dec, axis=1, keepdims=True)
    settings = SaeConfig(d_in=d_in, n_latents=n_latents, k=k, products="dense")
    model = TopKAutoencoder(
        W_enc=jnp.asarray(W_dec.T),
        b_enc=jnp.full(n_latents, -0.05),
        W_dec=jnp.asarray(W_dec),
        b_dec=jnp.asarray(0.1 * rng.normal(size=d_in), jnp.float32),
    )
    values = np.zeros((n_latents + 1, n_latents))
    own = np.arange(n_latents)
    values[own, own] = 0.5 + own / 100
    values[own + 1, own] = values[own, own] / 2
    return Dictionary(sae=Sae(model, config=settings, step=0), stored=stored_of(values))
