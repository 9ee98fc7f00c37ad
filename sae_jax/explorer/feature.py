"""One feature: its labels and their sources, its rows at all strengths, its neighbours."""

import unicodedata
from collections.abc import Mapping
from typing import Any

import numpy as np
from starlette.requests import Request

from sae_jax.analysis.features import Examples, Page
from sae_jax.errors import UsageError
from sae_jax.explorer import labels
from sae_jax.explorer.labels import Label
from sae_jax.explorer.opened import Opened
from sae_jax.explorer.parameters import Parameters, body

N_OTHERS = 3  # strongest other features of a row
N_NEAR = 20  # near misses shown
# Cc: control, Cs: half of a pair, Zl and Zp: separators that end a line.
UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")


def feature(opened: Opened, request: Request) -> dict[str, Any]:
    """All that there is to see of one feature.

    Of examples `value` is the feature's own on that row, and `percent` that of its highest;
    of near misses it is the pre-activation, for the feature is off there. `others` are the
    row's other strongest features.

    Parameters:
        text: short (the beginning of long texts) or full.
    """
    parameters = Parameters(request, "text")
    whole = parameters.choice("text", ("short", "full")) == "full"
    latent = opened.latent(request.path_params["latent"])
    page = opened.pages.page(latent)
    counts = page.histogram.tolist()
    return {
        "feature": opened.feature(latent),
        "n_on": page.n_on,
        "n_rows": opened.n_rows,
        "previous": latent - 1 if latent else None,
        "next": latent + 1 if latent + 1 < opened.n_latents else None,
        "labels": shown_labels(opened, latent),
        "terms": _terms(opened.labels.of(latent)),
        "histogram": {
            "counts": counts,
            "highest": page.highest,
            "share_of_zeros": 1 - page.density,
        },
        "examples": _examples(opened, page, whole=whole),
        **_neighbours(opened, page),
        "families": _families(opened, latent),
        "missing_families": opened.missing_families(),
    }


def _examples(opened: Opened, page: Page, *, whole: bool) -> dict[str, Any]:
    near = Examples(page.near.rows[:N_NEAR], page.near.values[:N_NEAR])
    groups = [page.top, page.random, near, *page.deciles]
    rows = np.concatenate([group.rows for group in groups])
    shown = opened.shown(rows.tolist(), whole=whole)
    others = _others(opened, rows, without=page.latent)
    values = np.concatenate([group.values for group in groups]).tolist()
    lines = [
        document | opened.strength(page.latent, value) | {"others": own}
        for document, value, own in zip(shown, values, others, strict=True)
    ]
    ends = np.cumsum([len(group.rows) for group in groups]).tolist()
    parts = [lines[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return {"top": parts[0], "random": parts[1], "near": parts[2], "deciles": parts[3:]}


def _others(opened: Opened, rows: np.ndarray, *, without: int) -> list[list[dict[str, Any]]]:
    """Of each row the strongest features but this one."""
    indices, values = (
        np.asarray(codes)[rows, : N_OTHERS + 1].tolist()
        for codes in (opened.stored.indices, opened.stored.values)
    )
    name = opened.labels.name
    found = []
    for latents, own in zip(indices, values, strict=True):
        on = [(i, v) for i, v in zip(latents, own, strict=True) if v > 0 and i != without]
        found.append(
            [
                {"latent": i, "label": name.get(i)} | opened.strength(i, v)
                for i, v in on[:N_OTHERS]
            ]
        )
    return found


def _neighbours(opened: Opened, page: Page) -> dict[str, list[dict[str, Any]]]:
    """By decoder cosine, and those that are on together with it beyond chance."""
    alike, unlike = (
        [opened.feature(one.latent) | {"cosine": one.cosine} for one in group]
        for group in (page.alike, page.unlike)
    )
    together = [
        opened.feature(one.latent)
        | {"n_rows": one.n_rows, "lift": one.lift, "overlap": one.share}
        for one in page.together
    ]
    return {"alike": alike, "unlike": unlike, "together": together}


def _families(opened: Opened, latent: int) -> list[dict[str, Any]]:
    """Those that it is in, by the feature that is their parent."""
    found = []
    for number in opened.families_of.get(latent, ()):
        members = opened.families[number].members
        parent = opened.feature(members[0])
        found.append({"number": number, "n_members": len(members), "parent": parent})
    return found


def _terms(known: list[Label]) -> list[str]:
    """Words to mark in its texts: of its keywords, whoever has named it since."""
    found = [one.record.get("terms", ()) for one in known if one.text]
    return list(dict.fromkeys(term for terms in found for term in terms))


def shown_labels(opened: Opened, latent: int) -> list[dict[str, Any]]:
    """Every attempt to name it, with what judged it; the latest last."""
    current = opened.labels.current(latent)
    return [_shown(one, current=one is current) for one in opened.labels.of(latent)]


def _shown(label: Label, *, current: bool) -> dict[str, Any]:
    record = label.record
    evidence = record.get("evidence") or {}
    return {
        "source": label.source,
        "current": current,
        "text": label.text,
        "state": record.get("state", "ok"),
        "reason": record.get("reason") or None,
        "why": record.get("why") or None,
        "evidence": [{"term": term, "weight": weight} for term, weight in evidence.items()],
        "scores": [*_keyword_scores(record), *_judged_scores(record)],
        "confidence": record.get("confidence"),
        "model": record.get("model"),
        "judge_model": record.get("judge_model"),
        "prompt_version": record.get("prompt_version"),
        "time": record.get("time"),
    }


def _keyword_scores(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Do the label's terms tell rows on which the latent is on from those where it is off?"""
    found = []
    for part, against in (("easy", "random rows"), ("hard", "near misses")):
        score = record.get(part)
        if score:
            interval = {"value": score["f1"], "low": score["low"], "high": score["high"]}
            found.append({"name": "F1", "against": against, "n": score["n"]} | interval)
            auroc = {"value": score["auroc"], "low": None, "high": None}
            found.append({"name": "AUROC", "against": against, "n": score["n"]} | auroc)
    return found


def _judged_scores(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A language model's: those that could be computed."""
    scores = record.get("scores") or {}
    against = {"against": "near misses and random rows", "n": scores.get("n")}
    names = {"f1": "F1", "pearson": "Pearson", "auroc": "AUROC"}
    return [{"name": names[i]} | against | scores[i] for i in names if scores.get(i)]


def edit_label(opened: Opened, request: Request) -> dict[str, Any]:
    """Names a feature by hand; the answer has all its labels.

    Body:
        text: the new label, of 200 characters at most; empty to take an own one back.
    """
    Parameters(request)
    latent = opened.latent(request.path_params["latent"])
    text = _own_text(body(request, "text"))
    now = opened.labels.current(latent)
    if text or (now is not None and now.source == "you"):
        opened.labels.edit(latent, text)
    return {"feature": opened.feature(latent), "labels": shown_labels(opened, latent)}


def _own_text(given: Mapping[str, Any]) -> str:
    text = given.get("text")
    if not isinstance(text, str):
        raise UsageError("the body has no text; expected a label, empty to take it back.")
    text = text.strip()
    if len(text) > labels.MOST_CHARACTERS:
        raise UsageError(
            f"the label has {len(text):,} characters; expected {labels.MOST_CHARACTERS} at "
            "most."
        )
    if any(unicodedata.category(one) in UNWRITABLE for one in text):
        raise UsageError("the label holds a control character; expected one line of text.")
    return text
