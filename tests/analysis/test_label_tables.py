"""Labels summed up: every state is counted, and each mean is of what is known."""

import csv
import io

import numpy as np
import pytest

from sae_jax.analysis import label_figures, label_tables

RNG = np.random.default_rng(0)
F1 = RNG.random((40, 4)).round(3)


def keyword(latent):
    if latent >= 40:
        return {"latent": latent, "state": "never on", "text": "", "easy": None, "hard": None,
                "method": "keywords"}  # fmt: skip
    easy, easy_auroc, hard, hard_auroc = F1[latent].tolist()
    return {
        "latent": latent, "state": "ok", "text": f"word{latent}, <b>", "method": "keywords",
        "easy": {"f1": easy, "auroc": easy_auroc}, "hard": {"f1": hard, "auroc": hard_auroc},
    }  # fmt: skip


KEYWORDS = [keyword(latent) for latent in range(43)]


def test_means_are_over_the_latents_that_have_a_score():
    found = label_tables.summarise(KEYWORDS)
    assert found.n_latents == 43
    assert found.states == {"ok": 40, "never on": 3}
    assert label_tables.states(found) == "43 latents: 40 ok, 3 never on"
    for column, name in enumerate(label_tables.KEYWORDS):
        one = found.scores[name]
        assert one.n == 40
        assert one.value == pytest.approx(F1[:, column].mean())
        # Of a mean of 40: about two standard errors to both sides.
        error = F1[:, column].std() / 40**0.5
        assert one.low == pytest.approx(one.value - 1.96 * error, abs=0.3 * error)
        assert one.high == pytest.approx(one.value + 1.96 * error, abs=0.3 * error)
    assert label_tables.scores(found).rows[0][0] == "F1, easy"


@pytest.mark.parametrize("n", [1, 9])
def test_a_score_of_few_latents_has_no_interval_and_none_is_not_there(n):
    found = label_tables.summarise(KEYWORDS[40 - n :])
    mean = F1[40 - n :, 2].mean()
    assert found.scores["F1, hard"][:2] == (n, pytest.approx(mean))
    assert ["F1, hard", f"{mean:.3f}", str(n)] in label_tables.scores(found).rows
    assert label_tables.summarise(KEYWORDS[40:]).scores == {}


def test_ten_are_drawn_the_same_each_time_of_those_that_have_a_label():
    drawn = label_tables.drawn(KEYWORDS)
    assert drawn == label_tables.drawn(KEYWORDS)
    assert len({label["latent"] for label in drawn}) == 10
    assert all(label["state"] == "ok" for label in drawn)
    assert [label["latent"] for label in drawn] != list(range(10))
    table = label_tables.examples(KEYWORDS)
    assert table.rows[0][2] == f"{drawn[0]['easy']['f1']:.3f}"
    assert "&lt;b&gt;" in table.as_html()


def test_the_models_are_named_once():
    named = [{"model": "a", "judge_model": "b"}] * 3
    assert label_tables.models(named) == "a, judged by b"
    named.append({"model": "c", "judge_model": "c"})
    assert label_tables.models(named) == "a, judged by b; c, judged by c"
    assert label_tables.models(KEYWORDS) == ""


def test_a_line_for_each_latent():
    lines = list(csv.DictReader(io.StringIO(label_tables.to_csv(KEYWORDS))))
    assert [int(line["latent"]) for line in lines] == list(range(43))
    assert [float(line["F1, hard"]) for line in lines[:40]] == F1[:, 2].tolist()
    assert {line["F1, hard"] for line in lines[40:]} == {""}
    assert {line["Pearson"] for line in lines} == {""}


def test_the_histogram_counts_every_score():
    axes = label_figures.draw_scores(KEYWORDS).axes[0]
    easy, hard = (patch.get_data().values for patch in axes.patches)
    np.testing.assert_array_equal(easy, np.histogram(F1[:, 0], label_figures.BINS)[0])
    np.testing.assert_array_equal(hard, np.histogram(F1[:, 2], label_figures.BINS)[0])
