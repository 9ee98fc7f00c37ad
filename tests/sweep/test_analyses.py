"""Files of analysis that are damaged, or of an earlier checkpoint, are told; nothing ends."""

import json

import pytest
import tiny

from sae_jax.analysis import codes
from sae_jax.sweep import analyses, sections

CORPUS = "mine-01234567"
OF = {"run_fingerprint": "w", "data_fingerprint": "d"}
LABEL = {
    "latent": 3, "state": "ok", "text": "a horse", "method": "keywords",
    "easy": {"f1": 0.5, "auroc": 0.5}, "hard": {"f1": 0.25, "auroc": 0.5},
} | OF  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """A run folder of a config and one label."""
    (tmp_path / "config.json").write_text(tiny.config("data/mine").to_json())
    write(tmp_path, "features", json.dumps(LABEL).encode())
    return tmp_path


def write(run, kind, content):
    path = {
        "quality": run / "quality" / f"{CORPUS}.json",
        "features": run / "features" / CORPUS / "labels.jsonl",
        "families": run / "families" / f"{CORPUS}-ours.json",
        "matching": run / "matching" / CORPUS / "other.json",
    }[kind]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def read(run):
    (found,) = sections.read(run)
    return found


@pytest.mark.parametrize("kind", ["quality", "families", "matching"])
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[]", "it holds []; expected a JSON object"),
        (b"null", "it holds null; expected a JSON object"),
        (b'"\xff"', "it cannot be read"),
        (None, "it cannot be shown (KeyError: "),  # of its format, and nothing else
    ],
)
def test_a_damaged_file_is_left_out_alone(run, kind, content, why):
    formats = {one.section.lower(): one.format for one in analyses.KINDS.values()}
    write(run, kind, content or json.dumps({"format": formats[kind]} | OF).encode())
    found = read(run)
    assert why in "".join(found.notes[kind.capitalize()])
    assert (found.quality, found.families, found.matching) == (None, {}, {})
    assert found.names == {3: "a horse"}
    assert "a horse" in sections.as_html(found, [], svgs={})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "labels.jsonl is left out: it is empty"),
        (b"[]\n", "it holds []; expected a JSON object"),
        (b'{"state": "\xff"}\n', "it cannot be read"),
        (b'{"latent": 3}\n', "it cannot be shown (KeyError: "),
    ],
)
def test_damaged_labels_are_left_out_with_the_command_that_makes_them(run, content, why):
    write(run, "features", content)
    found = read(run)
    (note,) = (one for one in found.notes["Labels"] if "/labels.jsonl" in one)
    assert why in note
    assert f"`sae-jax label {run}` makes it anew." in note
    assert (found.labels, found.names) == ([], {})


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1, "step": 3}'])
def test_a_damaged_manifest_of_codes_is_said_and_nothing_else_is_lost(run, content):
    folder = run / "codes" / CORPUS
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(content)
    found = read(run)
    (note,) = found.notes["Density"]
    assert note.startswith(f"{folder / 'manifest.json'}: cannot be read (")
    assert f"Remove {folder} and run `sae-jax encode` again." in note
    assert note.endswith(f"That is: `sae-jax encode {run}`.")
    assert found.names == {3: "a horse"}
    sections.as_html(found, [], svgs={})


def test_a_figure_that_fails_is_noted(run):
    found = read(run)
    found.families["ours"] = {}
    assert [shown.name for shown in sections.figures(found)] == ["labels"]
    assert found.notes["Families"][-1].startswith("Not all figures could be drawn")


def test_codes_of_an_earlier_checkpoint_are_told_first(run):
    folder = run / "codes" / CORPUS
    folder.mkdir(parents=True)
    made = codes.Manifest(
        **OF, step=10, shards=str(run / "mine"), n_rows=2, n_latents=4, k=1, n_on=2
    )
    codes.write_manifest(made, folder=folder)
    for step in (9, 10):
        (run / "checkpoints" / str(step)).mkdir(parents=True)
    assert analyses.ALL not in read(run).notes
    (run / "checkpoints" / "40").mkdir()
    found = read(run)
    page = sections.as_html(found, [], svgs={})
    first, _ = page.split("<h3>", maxsplit=1)
    assert "The codes are of step 10, and so is what was made of them" in first
    assert "the run is at step 40. <code>sae-jax encode" in first
    assert found.names == {3: "a horse"}  # shown all the same
