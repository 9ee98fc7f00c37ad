"""A block of documents and columns in which the browser ranks while a slider is dragged.

Scores are linear in the sliders: s = s0 + Σ (wanted − natural) · c_f, so a page that has s0
and c_f of the documents that may come up needs no server to reorder them. Which may: the best
of the query with and without its sliders, and of each feature its strongest documents. Measured
on WordNet (117,791 rows, one slider raised by 100 and 200 % of its maximum), 300 best and 100
strongest hold the true first ten in 100 and 99 of 100 cases; 2,000 best alone in 99 and 72.
"""

import json
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from sae_jax.search.families import Family, values_of_members
from sae_jax.search.index import best
from sae_jax.search.query import Query
from sae_jax.search.session import Search
from sae_jax.search.steer import Steered

N_BEST = 300
N_STRONGEST = 20  # documents of each feature
N_STRONGEST_MOVED = 100  # of the one that is about to move
MOST_ROWS = 2_000
MOST_LATENTS = 48  # of a query's code, beside those with a slider: a family has hundreds
SNIPPET = 160


class Preview:
    """Of one query. A latent is one column, a family two, in percent of their maxima."""

    def __init__(
        self,
        search: Search,
        query: Query,
        *,
        only: bool,
        latents: list[int],
        families: list[Family],
    ) -> None:
        self.search, self.query, self.latents, self.families = search, query, latents, families
        dictionary = search.dictionary
        self.natural = {
            latent: 100 * query.code.get(latent, 0.0) / float(dictionary.highest[latent])
            for latent in latents
            if dictionary.highest[latent]
        }
        own = [
            dictionary.highest[latent] / 100 * dictionary.W_dec[latent]
            for latent in self.natural
        ]
        own += [column for family in families for column in self._of_family(family)]
        self.columns = np.array(own, np.float32).reshape(-1, search.reader.d_in) / query.norm
        base = dictionary.directions(query.code) + dictionary.b_dec * query.bias
        self.base = (base if only else query.vector) / query.norm

    def _of_family(self, family: Family) -> list[Float[np.ndarray, " d_in"]]:
        """One percent more above the query's own value, and all of the query's own value.

        Where a member has a slider of its own, or is in two families, the exact answer
        differs from this one.
        """
        dictionary, natural = self.search.dictionary, self.query.code
        own = {latent: natural[latent] for latent in family.members if latent in natural}
        # From nothing: what one percent gives each member does not depend on where it is.
        risen = values_of_members(family, 1.0, natural={}, dictionary=dictionary)
        nothing = np.zeros(self.search.reader.d_in, np.float32)
        return [dictionary.directions(risen), dictionary.directions(own) if own else nothing]

    def rows(
        self, steered: Steered, *, moved: str, among: Bool[np.ndarray, " n_rows"] | None
    ) -> list[int]:
        """Those that may come up, in the order of the corpus; MOST_ROWS at most.

        Of more the best without sliders, of which the page tells the place, and the strongest
        of what is moved are kept, and the best with the sliders.
        """
        search, stored = self.search, self.search.dictionary.stored
        first = [best(search.neutral_scores(self.query), k=N_BEST, among=among).rows]
        more = [np.zeros(0, np.int64)]
        if steered.deltas or steered.mode != "adjust":
            more.append(best(search.scores(steered), k=N_BEST, among=among).rows)
        for latent in self.natural:
            is_moved = str(latent) == moved
            most = N_STRONGEST_MOVED if is_moved else N_STRONGEST
            (first if is_moved else more).append(np.asarray(stored.rows_of(latent)[:most]))
        for family in self.families:
            is_moved = f"f{family.number}" == moved
            most = N_STRONGEST_MOVED if is_moved else N_STRONGEST
            each = max(most // len(family.members), 1)
            own = [np.asarray(stored.rows_of(latent)[:each]) for latent in family.members]
            (first if is_moved else more).extend(own)
        kept, others = (
            rows if among is None else rows[among[rows]]
            for rows in (np.unique(np.concatenate(found)) for found in (first, more))
        )
        kept, others = kept[:MOST_ROWS], np.setdiff1d(others, kept)
        left = MOST_ROWS - len(kept)
        if len(others) > left:
            order = np.argsort(-search.scores(steered)[others], kind="stable")
            others = others[order[:left]]
        return np.union1d(kept, others).tolist()

    def pack(self, rows: list[int], *, documents: list[dict[str, Any]]) -> bytes:
        """A length, a header in JSON, then float32: base scores, columns, and products.

        The products tell the cosine to the query while a slider moves: of the base and of
        each column with the query, of each column with the base, and of all columns.
        """
        vectors = self.search.index.vectors(np.array(rows))
        neutral, unit = self.query.vector / self.query.norm, self.base
        header = {
            "rows": rows,
            "latents": list(self.natural),
            "natural": list(self.natural.values()),
            "families": [self._family(family) for family in self.families],
            "n_columns": len(self.columns),
            "titles": [one.get("title", "") for one in documents],
            "texts": [one.get("text", "")[:SNIPPET] for one in documents],
            "urls": [one.get("url", "") for one in documents],
            "ids": [one["id"] for one in documents],
        }
        numbers = [
            vectors @ neutral,
            vectors @ unit,
            self.columns @ vectors.T,
            np.array([neutral @ unit, unit @ unit]),
            self.columns @ neutral,
            self.columns @ unit,
            self.columns @ self.columns.T,
        ]
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 4)  # so that the numbers begin at a multiple of four
        parts = [np.asarray(part, "<f4").tobytes() for part in numbers]
        return b"".join([len(text).to_bytes(4, "little"), text, *parts])

    def _family(self, family: Family) -> dict[str, Any]:
        own = sum(self.query.code.get(latent, 0.0) for latent in family.members)
        natural = 100 * own / family.highest if family.highest else 0.0
        return {"number": family.number, "natural": natural}
