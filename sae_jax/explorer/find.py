"""What the box in the header offers: documents by words, features and families by label."""

import re
from collections.abc import Iterable
from typing import Any

from starlette.requests import Request

from sae_jax.explorer import families
from sae_jax.explorer.opened import Opened
from sae_jax.explorer.parameters import Parameters

MOST = 6  # of each kind
MOST_RANKED = 3_000  # rows with a word; to rank 12,000 takes longer than between two keys
WORD = re.compile(r"\w+")
NUMBER = re.compile(r"#?\s*([0-9]{1,16})")
# Of documents by word, which are many and lie on the disk, and of all else.
KINDS = ("all", "names", "documents")


def find(opened: Opened, request: Request) -> dict[str, Any]:
    """What the box in the header offers: features, families, documents and numbers.

    Parameters:
        q: what is typed.
        of: all, names (features and families alone, which are found at once) or documents.

    Example: /api/find?q=a
    """
    asked = Parameters(request, "q", "of")
    query, kind = asked.text("q").strip(), asked.choice("of", KINDS)
    found: dict[str, Any] = {"query": query}
    if kind != "documents":
        found |= _names(opened, query) | {"go": _go(opened, query)}
    if kind != "names":
        found |= _documents(opened, query)
    return found


def _names(opened: Opened, query: str) -> dict[str, Any]:
    labels = opened.labels.name
    latents = ranked(query, labels.items())
    of_parents = {
        one.number: labels[one.members[0]]
        for one in (opened.families if opened.missing_families() is None else ())
        if one.members[0] in labels
    }
    numbers = ranked(query, of_parents.items())
    return {
        "features": [opened.feature(latent) for latent in latents[:MOST]],
        "n_features": len(latents),
        "families": [
            families.in_short(opened, opened.families[number]) for number in numbers[:MOST]
        ],
        "n_families": len(numbers),
    }


def ranked(query: str, labels: Iterable[tuple[int, str]]) -> list[int]:
    """Whose label holds the query, then whose words begin with its words.

    The sooner it comes in the label the better; of equal ones the shorter label.
    """
    wanted = query.casefold()
    words = WORD.findall(wanted)
    if not words:
        return []
    found = []
    for number, label in labels:
        text = label.casefold()
        at = text.find(wanted)
        if at >= 0:
            starts = at == 0 or not (text[at - 1].isalnum() and wanted[0].isalnum())
            found.append((0 if starts else 1, at, len(text), number))
        elif len(words) > 1:
            own = WORD.findall(text)
            if all(any(one.startswith(word) for one in own) for word in words):
                found.append((2, 0, len(text), number))
    return [number for *_, number in sorted(found)]


def _go(opened: Opened, query: str) -> list[dict[str, Any]]:
    """What the query names by number or by id."""
    found: list[dict[str, Any]] = []
    number = NUMBER.fullmatch(query)
    if number:
        place = int(number[1])
        if place < opened.n_latents:
            found.append({"kind": "feature"} | opened.feature(place))
        if place < opened.n_rows:
            found.append({"kind": "document"} | opened.shown([place])[0])
            return found
    if query and opened.documents is not None:
        row = opened.documents.row_of(query)
        if row is not None:
            found.append({"kind": "document"} | opened.shown([row])[0])
    return found


def _documents(opened: Opened, query: str) -> dict[str, Any]:
    if opened.documents is None:
        return {"documents": [], "n_documents": 0, "ranked": True}
    found = opened.documents.with_words(query, k=MOST, most_ranked=MOST_RANKED)
    return {
        "documents": opened.shown(found.rows),
        "n_documents": found.n,
        "ranked": found.n <= MOST_RANKED,  # else they are the first by row
    }
