"""A family as one slider."""

import json
import shutil

import numpy as np
import pytest

from sae_jax.errors import ShardError, UsageError
from sae_jax.search.families import Family, FamilyFile, highest_together, values_of_members


def test_its_maximum_is_the_highest_sum_in_one_row(search):
    stored = search.dictionary.stored
    dense = np.zeros((stored.manifest.n_rows, 64))
    np.put_along_axis(dense, np.asarray(stored.indices), np.asarray(stored.values), axis=1)
    members = [9, 11, 20, 21]
    assert highest_together(stored, members) == pytest.approx(dense[:, members].sum(1).max())
    family = search.families.family(1)
    assert (family.number, family.members) == (1, members)
    assert family.highest == highest_together(stored, members)


def moved(dictionary, percent, *, natural):
    family = Family(0, [2, 6, 10], highest=0.8)
    return values_of_members(family, percent, natural=natural, dictionary=dictionary)


def test_above_its_value_each_member_rises_by_the_same_percentage_of_its_maximum(dictionary):
    natural = {6: 0.2, 30: 0.4}
    values = moved(dictionary, 75.0, natural=natural)
    assert list(values) == [2, 6, 10]
    assert sum(values.values()) == pytest.approx(0.6)  # 75 % of .8
    rises = np.array([values[i] - natural.get(i, 0) for i in values])
    np.testing.assert_allclose(rises / dictionary.highest[[2, 6, 10]], rises[0] / 0.52)


def test_below_its_value_members_that_are_on_are_lowered_in_proportion(dictionary):
    natural = {6: 0.3, 10: 0.1}
    assert moved(dictionary, 25.0, natural=natural) == pytest.approx({2: 0, 6: 0.15, 10: 0.05})
    assert moved(dictionary, 0.0, natural=natural) == {2: 0, 6: 0, 10: 0}
    assert moved(dictionary, 50.0, natural=natural) == pytest.approx({2: 0, 6: 0.3, 10: 0.1})


def test_below_nothing_each_member_gets_the_same_negative_percentage(dictionary):
    values = moved(dictionary, -50.0, natural={6: 0.3})
    assert sum(values.values()) == pytest.approx(-0.4)
    shares = np.array(list(values.values())) / dictionary.highest[[2, 6, 10]]
    np.testing.assert_allclose(shares, shares[0])


def test_without_families_of_these_weights_it_is_said_what_to_run(run, search, tmp_path):
    stored = search.dictionary.stored
    with pytest.raises(ShardError, match=r"is not there.*Run `sae-jax families "):
        FamilyFile(tmp_path, stored).family(0)
    shutil.copytree(run / "families", tmp_path / "families")
    (path,) = (tmp_path / "families").iterdir()
    path.write_text(json.dumps({"run_fingerprint": "other", "families": []}))
    with pytest.raises(ShardError, match="was made of other weights"):
        FamilyFile(tmp_path, stored).family(0)


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"run_fingerprint": "a", "fam', "\ud83d"])
def test_a_file_that_is_damaged_is_said_to_be_and_what_to_run(run, search, tmp_path, damage):
    shutil.copytree(run / "families", tmp_path / "families")
    (path,) = (tmp_path / "families").iterdir()
    path.write_text(damage, errors="surrogatepass")
    with pytest.raises(ShardError, match=r"is damaged.*Run `sae-jax families "):
        FamilyFile(tmp_path, search.dictionary.stored).family(0)


@pytest.mark.parametrize("number", [-1, 2])
def test_a_family_that_is_not_there_is_refused(search, number):
    with pytest.raises(UsageError, match=f"no family {number}; .*has 2, from 0"):
        search.families.family(number)
