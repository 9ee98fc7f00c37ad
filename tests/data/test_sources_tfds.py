"""Data sets as other people prepare them with TFDS: several splits, unnamed texts."""

import numpy as np
import pytest

from sae_jax.data.sources import Columns, open_source
from sae_jax.errors import ShardError, UsageError

pytestmark = pytest.mark.filterwarnings("ignore")  # TFDS's own


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    import tensorflow_datasets as tfds

    rows = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)

    with tfds.core.registered.skip_registration():

        class Papers(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("2.0.0")
            url_infos = {}  # noqa: RUF012

            def _info(self):
                features = {
                    "vector": tfds.features.Tensor(shape=(6,), dtype=np.float32),
                    "short": tfds.features.Tensor(shape=(2,), dtype=np.float32),
                    "title": tfds.features.Text(),
                    "year": np.int32,
                    "label": tfds.features.ClassLabel(names=["a", "b"]),
                    "tags": tfds.features.Sequence(tfds.features.Text()),
                }
                return tfds.core.DatasetInfo(
                    builder=self,
                    features=tfds.features.FeaturesDict(features),
                    disable_shuffling=True,
                )

            def _split_generators(self, dl_manager):
                return {
                    "train": self._generate_examples(0, 30),
                    "test": self._generate_examples(30, 40),
                }

            def _generate_examples(self, first, last):
                for i in range(first, last):
                    yield (
                        i,
                        {
                            "vector": rows[i],
                            "short": rows[i, :2],
                            "title": f"paper ü {i}",
                            "year": 2000 + i,
                            "label": i % 2,
                            "tags": ["x"] * (i % 3),
                        },
                    )

    folder = tmp_path_factory.mktemp("tfds")
    Papers(data_dir=str(folder), file_format="array_record").download_and_prepare()
    return folder, rows


def read_all(source, start=0):
    blocks = list(source.blocks(start))
    rows = np.concatenate([np.array(block.rows) for block in blocks])
    return rows, [record for block in blocks for record in block.records or []]


@pytest.mark.parametrize(
    ("split", "start", "stop"), [("", 0, 30), ("train", 0, 30), ("test", 30, 40)]
)
def test_a_split_is_read_with_its_texts_and_plain_features(prepared, split, start, stop):
    folder, rows = prepared
    columns = Columns(embedding="vector", split=split, text="title")
    found, records = read_all(open_source(f"tfds:{folder}", columns=columns))
    np.testing.assert_array_equal(found, rows[start:stop])
    assert records[3] == {
        "id": "3",
        "text": f"paper ü {start + 3}",
        "year": 2003 + start,
        "label": (start + 3) % 2,
    }


def test_two_tensors_have_to_be_chosen_from(prepared):
    with pytest.raises(UsageError, match=r"found 2; choose with --feature=NAME.*short \(2,\)"):
        open_source(prepared[0])


def test_the_fingerprint_is_of_the_split(prepared):
    one, other = (
        open_source(prepared[0], columns=Columns(embedding="vector", split=split))
        for split in ("train", "test")
    )
    assert one.fingerprint != other.fingerprint


def test_several_data_sets_have_to_be_chosen_from(prepared, tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "dataset_info.json").write_text("{}")
    with pytest.raises(UsageError, match="has several TFDS data sets; name one of"):
        open_source(tmp_path)


@pytest.mark.parametrize("content", ["{}", '{"fileFormat": "parquet"}'])
def test_other_formats_are_answered_with_what_to_do(tmp_path, content):
    (tmp_path / "dataset_info.json").write_text(content)
    with pytest.raises(ShardError, match=r"was prepared as (tfrecord|parquet).*array_record"):
        open_source(tmp_path)


def test_a_damaged_description_is_named(tmp_path):
    (tmp_path / "dataset_info.json").write_text("{")
    with pytest.raises(ShardError, match=r"dataset_info\.json: is not JSON"):
        open_source(tmp_path)
