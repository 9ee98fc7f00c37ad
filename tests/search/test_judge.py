"""What the judge says of hits equals counting them one by one."""

import numpy as np
import pytest

from sae_jax.search import trials, ways
from sae_jax.search.judge import Judge, Trial, named


def test_measures_equal_counting_by_hand(planted):
    stored, held_out = planted.dictionary.stored, planted.held_out
    targets = trials.find_targets(stored, planted.concepts, held_out=held_out)
    cases = trials.draw(
        targets, index=planted.index, reader=planted.reader, n_queries=25, seed=3
    )
    known = ways.of_vectors(planted.dictionary.W_dec[targets.latents], cases)
    vectors = ways.turned(cases.queries, known["both"], cosine=0.8)
    found = Judge(cases, targets, index=planted.index, stored=stored).outcome(
        Trial("both", "sae", "cosine 0.8", vectors)
    )
    np.testing.assert_allclose(found.cosine, 0.8, atol=1e-5)
    unit = planted.rows / np.linalg.norm(planted.rows, axis=1, keepdims=True)
    members = planted.concepts.members.toarray()
    for i, row in enumerate(cases.rows.tolist()):
        hits = [r for r in np.argsort(-(unit @ vectors[i])).tolist() if r != row][:10]
        before = [r for r in np.argsort(-(unit @ unit[row])).tolist() if r != row][:10]
        assert found.overlap[i] == pytest.approx(len({*hits} & {*before}) / 10)
        rise = [
            sum(members[r, c] for r in hits) - sum(members[r, c] for r in before)
            for c in cases.options[i].tolist()
        ]
        for side, concept, best in (
            ("up", cases.up[i], max(rise)), ("down", cases.down[i], min(rise)),
        ):  # fmt: skip
            own, place = found.sides[side], 0 if side == "up" else 1
            assert own.precision[i] == pytest.approx(
                sum(members[r, concept] for r in hits) / 10
            )
            assert own.change[i] == pytest.approx(rise[place] / 10)
            on = set(stored.rows_of(int(targets.latents[concept])).tolist())
            n_more = len(on & {*hits}) - len(on & {*before})
            assert own.active[i] == pytest.approx(n_more / 10)
            right = (rise[place] == best) / rise.count(best)
            assert own.identified[i] == pytest.approx(right)
    assert 0 < found.overlap.mean() < 1


def test_of_equal_options_the_judge_draws_one():
    rise = np.array([[5, 1, 0], [3, 3, 1], [0, 2, 1], [0, 0, 0]])
    np.testing.assert_allclose(named(rise, place=0), [1, 1 / 2, 0, 1 / 3])
    np.testing.assert_allclose(named(rise, place=1), [0, 1 / 2, 1, 1 / 3])
