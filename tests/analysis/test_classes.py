"""Classes come from a field of the records, and a useless field is refused."""

import json

import numpy as np
import pytest

from sae_jax.analysis import classes, concepts
from sae_jax.data.shards import open_shards
from sae_jax.errors import UsageError


@pytest.fixture
def reader(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((90, 2), np.float32))
    lines = []
    for i in range(90):
        kind = "rare" if i < 5 else "few" if i < 30 else "many"
        lines.append(json.dumps({"text": f"t{i}", "label": kind, "own": i, "none": None}))
    (tmp_path / "texts.jsonl").write_text("\n".join(lines) + "\n")
    return open_shards(tmp_path)


def test_the_largest_class_is_first_and_small_ones_are_none(reader):
    found = classes.read_classes(reader)
    assert (found.field, found.names) == ("label", ["many", "few"])
    expected = np.repeat([-1, 1, 0], [5, 25, 60])
    np.testing.assert_array_equal(found.of_row, expected)
    as_concepts = found.as_concepts()
    assert as_concepts.sizes.tolist() == [60, 25]
    assert as_concepts.above.sum() == 0
    joined = concepts.together(concepts.none(reader), as_concepts)
    assert joined.ids == ["many", "few"]
    assert (joined.members != as_concepts.members).sum() == 0


def test_a_named_field_is_taken_and_a_useless_one_is_said(reader):
    assert classes.read_classes(reader, field="own", least_rows=1).names[0] == "0"
    with pytest.raises(UsageError, match="fields id, text, label, own, none; expected subject"):
        classes.read_classes(reader, field="subject")
    with pytest.raises(UsageError, match="own has 0 values with at least 20 rows"):
        classes.read_classes(reader, field="own")
    with pytest.raises(UsageError, match="none has 0 values"):
        classes.read_classes(reader, field="none")


def test_of_several_fields_the_first_with_classes_is_taken(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((60, 2), np.float32))
    lines = [json.dumps({"label": "all", "category": f"c{i % 2}"}) for i in range(60)]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines) + "\n")
    assert classes.read_classes(open_shards(tmp_path)).field == "category"
    with pytest.raises(UsageError, match="the field label has 1 values"):
        classes.read_classes(open_shards(tmp_path), field="label")


def test_wordnet_has_its_lexical_files(wordnet):
    found = classes.read_classes(open_shards(wordnet))
    assert found.field == "lexname"
    assert len(found.names) == 45
    assert found.names[0] == "adj.all"
    assert (found.of_row >= 0).all()
