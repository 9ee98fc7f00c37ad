"""Search and its sliders: hits with their reasons, and a block to preview moves in."""

import csv
import io
import time
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from sae_jax.errors import UsageError
from sae_jax.explorer.asked import PARAMETERS, Asked, read
from sae_jax.explorer.opened import Opened
from sae_jax.explorer.parameters import Parameters, place
from sae_jax.explorer.preview import MOST_LATENTS, Preview
from sae_jax.search.index import best
from sae_jax.search.session import Hit
from sae_jax.search.steer import Mode, Steered

MOST_ROWS_OF_CSV = 1_000
MOST_PARTS = 48  # of a hit's score
DIGITS = 7  # of a part: sums stay within 1e-5
N_DISTINCT = 3  # features that set a hit apart from the others
N_START = 6  # documents, and features, to begin with
MOST_FEATURES = 64
N_FAMILIES = 4  # offered beside those that have a slider


def encoder(opened: Opened, request: Request) -> dict[str, Any]:
    """Whether texts can be searched for by meaning; loads the encoder, the first time."""
    Parameters(request)
    return {"missing": opened.missing_encoder()}


def filters(opened: Opened, request: Request) -> dict[str, Any]:
    """Fields of the documents by which a search can be narrowed."""
    Parameters(request)
    return {name: field.as_json() for name, field in opened.filters.fields.items()}


def start(opened: Opened, request: Request) -> dict[str, Any]:
    """Some documents and features to begin with; the same ones each time."""
    Parameters(request)
    rng = np.random.default_rng(0)
    rows = np.sort(rng.choice(opened.n_rows, min(N_START, opened.n_rows), replace=False))
    return {
        "documents": opened.shown(rows),
        "features": [opened.feature(latent) for latent in _telling(opened)],
    }


def _telling(opened: Opened) -> list[int]:
    """Features whose labels hold, of the rarer half of those that are on at all."""
    alive = np.flatnonzero(opened.stored.n_on)
    if not len(alive):
        return []
    middle = np.median(opened.density[alive])
    named = [
        (label.f1 or 0.0, -latent)
        for latent in alive[opened.density[alive] <= middle].tolist()
        if (label := opened.labels.current(latent))
    ]
    best_first = [-latent for _, latent in sorted(named, reverse=True)]
    return best_first[: 4 * N_START : 4] or alive[:N_START].tolist()


def find(opened: Opened, request: Request) -> dict[str, Any]:
    """The best documents for a question, each with the features that make up its score.

    Parameters:
        q, row, feature, family: what to search from: a text, a document's row or id, a
            feature, or a family; exactly one.
        w: sliders, such as 417:140,f12:80 for feature 417 at 140 % of its highest value and
            family 12 at 80 %; −100 to 300.
        mode: adjust (the rest of the question stays), only (it goes), or re-encode.
        k: hits, 1 to 100.
        where: filters of fields, such as ontology:MONDO,year:2015..2024; see /api/filters.
        holding: words that a document has to hold.
        run: of a copied link; read by the page alone.

    Example: /api/search?row={row}&w={latent}:150&k=3
    """
    began = time.perf_counter()
    asked = read(opened, request)
    search = opened.search
    steered = search.steer(asked.query, asked.sliders, families=asked.families, mode=asked.mode)
    hits = search.hits(steered, k=asked.k, among=asked.among, with_records=False)
    neutral = best(search.neutral_scores(asked.query), k=asked.k, among=asked.among)
    before, now = neutral.rows.tolist(), [hit.row for hit in hits]
    documents = {one["row"]: one for one in opened.shown([*dict.fromkeys([*now, *before])])}
    distinct = _distinct(opened, now)
    return {
        "origin": asked.query.origin,
        "mode": str(asked.mode),
        "fidelity": steered.fidelity,
        "errors": steered.errors,
        "n_rows": opened.n_rows if asked.among is None else int(asked.among.sum()),
        "n_kept": len(set(before) & set(now)),
        "features": _features(opened, asked, steered, hits=hits),
        "n_features": len(asked.query.code.keys() | asked.sliders.keys()),
        "families": _families(opened, asked, steered),
        "hits": [
            _hit(hit) | {"document": documents[hit.row], "distinct": distinct[hit.row]}
            for hit in hits
        ],
        "neutral": [
            {"score": score, "document": documents[row]}
            for row, score in zip(before, neutral.scores.tolist(), strict=True)
        ],
        "milliseconds": 1e3 * (time.perf_counter() - began),
    }


def _hit(hit: Hit) -> dict[str, Any]:
    """Parts are of a latent: in the question, by its slider; the largest, of n_parts."""
    reasons = hit.explanation
    parts = [
        [one.latent, round(one.natural, DIGITS), round(one.change, DIGITS)]
        for one in reasons.latents[:MOST_PARTS]
    ]
    return {
        "row": hit.row,
        "score": hit.score,
        "neutral_rank": hit.neutral_rank,
        "parts": parts,
        "n_parts": len(reasons.latents),
        "rest": reasons.bias + reasons.residual,
    }


def _features(opened: Opened, asked: Asked, steered: Steered, *, hits: list[Hit]) -> Any:
    """Those of the query and those with a slider, by their share in these hits' scores.

    MOST_FEATURES at most, all with a slider among them; not those that only a family moves:
    it may have hundreds.
    """
    natural = steered.query.code
    code = {i: steered.code.get(i, 0.0) for i in [*natural, *asked.sliders]}
    sizes = dict.fromkeys(code, 0.0)
    for hit in hits:
        for one in hit.explanation.latents:
            if one.latent in sizes:
                sizes[one.latent] += abs(one.total) / len(hits)
    largest = sorted(code, key=lambda latent: (-sizes[latent], latent))
    of_query = [latent for latent in largest if latent not in asked.sliders]
    shown = {*asked.sliders, *of_query[: max(MOST_FEATURES - len(asked.sliders), 0)]}
    found = []
    for latent in largest:
        if latent in shown:
            highest = float(opened.dictionary.highest[latent])
            found.append(
                opened.feature(latent)
                | {
                    "natural": _percent(natural.get(latent, 0.0), highest),
                    "now": _percent(code[latent], highest),
                    "effect": sizes[latent],
                }
            )
    return found


def _percent(value: float, highest: float) -> float | None:
    """None where the corpus gives no scale: it is on in no row."""
    return 100 * value / highest if highest else None


def _families(opened: Opened, asked: Asked, steered: Steered) -> list[dict[str, Any]]:
    """Those with a slider, and those of which the query has most."""
    if opened.missing_families() is not None:
        return []
    families_of, code, now = opened.families_of, asked.query.code, steered.code

    def share(code: dict[int, float], number: int) -> float | None:
        family = opened.families[number]
        return _percent(sum(code.get(i, 0.0) for i in family.members), family.highest)

    own = {number for latent in code for number in families_of.get(latent, ())}
    natural = {number: share(code, number) for number in (*own, *asked.families)}
    strongest = sorted(own, key=lambda number: (-(natural[number] or 0), number))[:N_FAMILIES]
    return [
        {
            "number": number,
            "label": opened.labels.name.get(opened.families[number].members[0]),
            "n_members": len(opened.families[number].members),
            "natural": natural[number],
            "now": share(now, number),
        }
        for number in [
            *asked.families,
            *(one for one in strongest if one not in asked.families),
        ]
    ]


def _distinct(opened: Opened, rows: list[int]) -> dict[int, list[list[float | int]]]:
    """Of each row the features, and their percent, that it has more of than the others."""
    stored, highest = opened.stored, opened.dictionary.highest
    shares: dict[int, dict[int, float]] = {}
    for row in rows:
        values, latents = stored.values[row].tolist(), stored.indices[row].tolist()
        shares[row] = {
            latent: 100 * value / float(highest[latent])
            for latent, value in zip(latents, values, strict=True)
            if value > 0
        }
    found = {}
    for row, own in shares.items():
        others = [shares[other] for other in rows if other != row]

        def ahead(latent: int, own: dict = own, others: list = others) -> float:
            mean = sum(one.get(latent, 0.0) for one in others) / max(len(others), 1)
            return own[latent] - mean

        chosen = sorted(own, key=ahead, reverse=True)[:N_DISTINCT]
        found[row] = [[latent, own[latent]] for latent in chosen]
    return found


def block(opened: Opened, request: Request) -> Response:
    """What a page needs to rank the likely documents itself while a slider moves; binary.

    Parameters:
        q, row, feature, family, w, mode, k, where, holding, run: as of /api/search.
        moved: the slider that is about to move, such as 417 or f12: its strongest documents
            are in the block.

    Example: /api/search/block?row={row}
    """
    asked = read(opened, request, "moved")
    moved = Parameters(request, *PARAMETERS, "moved").text("moved")
    if asked.mode is Mode.RE_ENCODE:
        raise UsageError("re-encode is not linear in the sliders, so it has no preview.")
    code = asked.query.code
    strongest = sorted(code, key=lambda latent: (-code[latent], latent))[:MOST_LATENTS]
    latents, families = {*asked.sliders, *strongest}, set(asked.families)
    if moved.startswith("f"):
        families.add(place(moved[1:], of="family", n=opened.search.families.n_families))
    elif moved:
        latents.add(opened.latent(moved))
    opened.dictionary.check(sorted(latents - code.keys()))
    preview = Preview(
        opened.search,
        asked.query,
        only=asked.mode is Mode.ONLY,
        latents=sorted(latents),
        families=[opened.families[number] for number in sorted(families)],
    )
    steered = opened.search.steer(
        asked.query, asked.sliders, families=asked.families, mode=asked.mode
    )
    rows = preview.rows(steered, moved=moved, among=asked.among)
    return Response(
        preview.pack(rows, documents=opened.shown(rows)), media_type="application/octet-stream"
    )


def as_csv(opened: Opened, request: Request) -> Response:
    """The hits of a search as CSV, up to a thousand.

    Parameters:
        q, row, feature, family, w, mode, k, where, holding, run: as of /api/search.

    Example: /api/search.csv?row={row}&k=20
    """
    asked = read(opened, request, most=MOST_ROWS_OF_CSV)
    steered = opened.search.steer(
        asked.query, asked.sliders, families=asked.families, mode=asked.mode
    )
    hits, places = opened.search.ranked(steered, k=asked.k, among=asked.among)
    documents = opened.shown(hits.rows, whole=True)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["place", "without_sliders", "score", "row", "id", "title", "text"])
    found = zip(places, hits.scores.tolist(), documents, strict=True)
    for number, (place_before, score, own) in enumerate(found, start=1):
        texts = (own.get(name, "") for name in ("id", "title", "text"))
        fields = [number, place_before or "", f"{score:.6f}", own["row"]]
        writer.writerow([*fields, *map(_cell, texts)])
    headers = {"content-disposition": 'attachment; filename="search.csv"'}
    return Response(out.getvalue(), headers=headers, media_type="text/csv; charset=utf-8")


def _cell(text: str) -> str:
    """A spreadsheet would take a text that begins so for a formula, and run it."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
