"""Where a latent is a concept, steering by it brings the concept; another latent does not."""

import numpy as np
import pytest
from planted_search import N_CONCEPTS

from sae_jax.search import evaluation
from sae_jax.search.session import Search


class Names:
    """Encodes the name of a concept as its direction and a little of another's, a query's text
    as its row, and words added to it as half of their direction more.
    """

    name, d_in, normalisation = "names", 32, "none"

    def __init__(self, planted):
        self.planted = planted

    def plan(self, sample, *, n_texts):
        return ""

    def encode(self, texts):
        return np.stack([self._one(text) for text in texts])

    def _one(self, text):
        directions = self.planted.dictionary.W_dec
        if text.startswith("c"):
            own = int(text[1:])
            return directions[own] + 0.5 * directions[(own + 1) % N_CONCEPTS]
        text, *words = text.split(", ")
        found = self.planted.rows[int(text.split()[1])].copy()
        for word in words:
            found += 0.5 * directions[int(word.split()[-1][1:])]
        return found


def measured(planted, *, encoder=None, n_queries=40):
    search = object.__new__(Search)
    search.reader, search.index = planted.reader, planted.index
    search.dictionary = planted.dictionary
    asked = evaluation.Asked(search, planted.concepts, encoder, n_queries, 0)
    return evaluation.measure(asked, evaluation.steer(asked, say=lambda line: None))


@pytest.fixture(scope="module")
def made(planted):
    return measured(planted, encoder=Names(planted))


def points(made, **wanted):
    return [
        one for one in made["points"] if all(one[name] == own for name, own in wanted.items())
    ]


def test_the_latent_raises_precision_to_one_and_another_does_not(made):
    (latent,) = points(made, edit="up", way="sae", at="cosine 0.5")
    (other,) = points(made, edit="up", way="random", at="cosine 0.5")
    assert latent["sides"]["up"]["precision"].value == 1
    assert latent["sides"]["up"]["active"].value > 0.8
    assert latent["sides"]["up"]["identified"].value > 0.95
    assert abs(other["sides"]["up"]["change"].value) < 0.1
    assert other["sides"]["up"]["identified"].value < 0.5


def test_the_latent_lowers_the_concept_to_nothing(made):
    (latent,) = points(made, edit="down", way="sae", at="cosine 0.5")
    assert latent["sides"]["down"]["precision"].value < 0.05
    assert latent["sides"]["down"]["change"].value < -0.2


def test_all_ways_are_at_the_cosine_that_they_say(made):
    at_cosine = [one for one in made["points"] if one["at"].startswith("cosine")]
    assert {(one["edit"], one["way"]) for one in at_cosine} == {
        (edit, way)
        for edit in ("up", "down", "both")
        for way in ("sae", "rewriting", "name", "supervised", "means", "random")
    }
    assert len(at_cosine) == 3 * 6 * 5
    for one in at_cosine:
        wanted = float(one["at"].split()[1])
        assert tuple(one["cosine"]) == pytest.approx((wanted,) * 3, abs=1e-5)
        assert set(one["sides"]) == ({one["edit"]} if one["edit"] != "both" else {"up", "down"})


def test_a_text_as_written_lands_at_a_cosine_of_its_own(made):
    for edit in ("up", "down", "both"):
        (point,) = points(made, edit=edit, way="rewriting", at="as written")
        assert 0.7 < point["cosine"].value < 0.99


def test_sliders_go_further_the_further_they_are_moved(made):
    cosines = [
        point["cosine"].value
        for percent in (100, 200, 300)
        for point in points(made, edit="up", at=f"slider {percent} %")
    ]
    assert sorted(cosines, reverse=True) == cosines
    assert len(set(cosines)) == 3
    by_cosine = [one for one in made["marks"] if one["edit"] == "up"]
    medians = [one["median"] for one in by_cosine]
    assert sorted(medians) == medians
    assert by_cosine[0]["reached"] == 1


def test_how_far_ahead_is_the_difference_of_the_two(made):
    for side, sign in (("up", 1), ("down", -1)):
        (one,) = [
            one
            for one in made["ahead"]
            if (one["edit"], one["side"], one["than"], one["at"])
            == ("both", side, "name", "cosine 0.7")
        ]
        latent, name = (
            points(made, edit="both", way=way, at="cosine 0.7")[0]["sides"][side]["precision"]
            for way in ("sae", "name")
        )
        wanted = sign * (latent.value - name.value)
        assert one["precision"].value == pytest.approx(wanted, abs=1e-12)


def test_without_an_encoder_nothing_is_rewritten(planted):
    made = measured(planted, n_queries=5)
    assert made["encoder"] is None
    assert made["n_queries"] == 5
    assert {one["way"] for one in made["points"]} == {"sae", "supervised", "means", "random"}
