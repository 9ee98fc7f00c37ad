import numpy as np
import pytest

from sae_jax.cli.main import dispatch
from sae_jax.data import shards
from sae_jax.errors import UsageError

pytestmark = pytest.mark.filterwarnings("ignore")  # TFDS's own


def test_export_and_ingest_are_a_round_trip(tmp_path, capfd):
    rows = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float16)
    np.save(tmp_path / "a.npy", rows)
    (tmp_path / "texts.jsonl").write_text(
        "".join(f'{{"id": "k{i}", "text": "t{i}"}}\n' for i in range(60))
    )
    out, back = tmp_path / "tfds", tmp_path / "back"
    assert dispatch(["export", str(tmp_path), f"--tfds={out}"]) == 0
    told = capfd.readouterr()
    assert f'tfds.builder_from_directory("{out}/embeddings/1.0.0")' in told.out
    assert "Download" not in told.out + told.err
    assert [path.name for path in out.iterdir()] == ["embeddings"]
    assert dispatch(["ingest", str(out), "--feature=embedding", f"--out={back}"]) == 0
    reader = shards.open_shards(back)
    found = reader.read(np.arange(60))
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, rows)
    assert [record["text"] for record in reader.records(range(60))] == [
        f"t{i}" for i in range(60)
    ]
    before = shards.open_shards(tmp_path)
    np.testing.assert_array_equal(reader.held_out_ids, before.held_out_ids)


@pytest.mark.parametrize("arguments", [[], ["a"], ["--tfds=b"]])
def test_a_folder_and_a_target_are_needed(arguments):
    with pytest.raises(UsageError, match="expected one FOLDER and --tfds=OUT"):
        dispatch(["export", *arguments])
