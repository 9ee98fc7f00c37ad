import numpy as np
import pytest

from sae_jax.data.check import check


def flip(path, *, at=-5):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_a_whole_folder_has_no_problems(folder):
    report = check(folder)
    assert report.problems == []
    text = "\n".join(report.lines())
    assert "350 × 8 float32 in 4 shards; 35 held out" in text
    assert "350 records" in text
    assert text.endswith("all is well")


@pytest.mark.parametrize("name", ["shard-00002-of-00004.npy", "held_out.npy", "rows.parquet"])
def test_one_flipped_bit_is_found_and_the_file_named(folder, name):
    flip(folder / name, at=200 if name == "rows.parquet" else -3)
    problems = check(folder).problems
    assert f"{folder / name}: has sha256" in problems[0]
    assert "a byte changed" in problems[0]


def test_every_problem_is_named_in_one_run(folder):
    (folder / "shard-00000-of-00004.npy").unlink()
    flip(folder / "shard-00001-of-00004.npy")
    with (folder / "shard-00003-of-00004.npy").open("ab") as file:
        file.write(b"more")
    problems = check(folder).problems
    for problem, expected in zip(
        problems, ("is missing", "has sha256", "has grown"), strict=True
    ):
        assert expected in problem


def test_rows_that_are_nan_or_zero_are_named(tmp_path, make):
    rows = make.rows(50)
    rows[7, 1] = np.nan
    rows[31] = 0
    np.save(tmp_path / "a.npy", rows)
    problems = check(tmp_path).problems
    assert problems == [
        f"{tmp_path / 'a.npy'}: row 7 of the file has a NaN or Inf.",
        f"{tmp_path / 'a.npy'}: row 31 of the file is all zeros.",
    ]


def test_many_bad_rows_do_not_fill_the_screen(tmp_path, make):
    np.save(tmp_path / "a.npy", np.zeros((500, 4), np.float32))
    lines = check(tmp_path).lines()
    assert len(lines) < 40
    assert lines[-1] == "  … and 480 more problems"


def test_a_damaged_manifest_is_a_problem_not_a_crash(folder):
    (folder / "manifest.json").write_text("{}")
    assert "is not a manifest" in check(folder).problems[0]


def test_plain_arrays_can_be_checked_too(tmp_path, make):
    np.save(tmp_path / "a.npy", make.rows(20))
    report = check(tmp_path)
    assert report.problems == []
    assert "no manifest" in report.summary[0]


def test_texts_that_are_not_one_a_row_are_a_problem(tmp_path, make):
    np.save(tmp_path / "a.npy", make.rows(20))
    (tmp_path / "texts.jsonl").write_text('{"text": "a"}\n')
    assert "has 1 records for 20 rows" in check(tmp_path).problems[0]


def test_the_real_embeddings_are_as_their_notes_say(wordnet):
    report = check(wordnet)
    text = "\n".join(report.lines())
    assert report.problems == []
    assert "‖mean‖ = 0.2608, 6.8% of the energy" in text
    assert "3 coordinates: [127, 223, 319]" in text
    assert "13 rows equal an earlier one" in text
