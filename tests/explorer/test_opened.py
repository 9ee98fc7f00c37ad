"""A run as it is opened: what comes later, what is read before anybody asks, names of rows."""

import threading

import pytest
from explorable import PlantedEncoder, copy_of, open_run

from sae_jax.errors import ShardError
from sae_jax.explorer.opened import Opened, Options
from sae_jax.explorer.parameters import NotThereError


def test_families_that_are_made_later_are_told_of_all_pages_alike(explorable, tmp_path):
    run = copy_of(explorable, tmp_path)
    (path,) = (run / "families").iterdir()
    aside = path.rename(tmp_path / "aside.json")
    opened = open_run(run)
    assert opened.families_of == {}
    assert opened.missing_families()
    aside.rename(path)
    assert opened.missing_families() is None
    assert opened.families_of[opened.families[1].members[2]] == [1]


def test_what_cannot_be_read_before_does_not_stop_the_rest(explorable, monkeypatch):
    opened = open_run(explorable)

    def fail(search, row):
        raise ShardError("a shard has gone")

    monkeypatch.setattr(type(opened.search), "row", fail)
    opened.warm(threading.Event())
    assert "filters" in vars(opened)
    assert opened.filters._fields is not None


@pytest.mark.parametrize(
    ("name", "loaded"),
    [
        ("sentence-transformers/all-MiniLM-L6-v2", True),
        ("m at https://api.openai.com/v1", False),
    ],
)
def test_an_encoder_at_an_endpoint_is_not_asked_before_a_question(
    explorable, monkeypatch, name, loaded
):
    opened, asked = open_run(explorable), []
    object.__setattr__(opened.search.reader.provenance, "encoder", name)  # it is frozen
    monkeypatch.setattr(Opened, "missing_encoder", lambda self: asked.append(name))
    opened.warm(threading.Event())
    assert bool(asked) is loaded


def test_an_encoder_that_was_named_is_there_already(explorable):
    encoder = PlantedEncoder()
    opened = open_run(explorable, encoder=encoder)
    before = encoder.n_asked
    opened.warm(threading.Event())
    assert encoder.n_asked == before


def test_a_number_that_is_no_row_is_looked_up_as_an_id(opened, monkeypatch):
    asked = {"20150611": 44, "3": 9}
    monkeypatch.setattr(type(opened.documents), "row_of", lambda self, name: asked.get(name))
    assert opened.row("20150611") == 44
    assert opened.row("3") == 3
    with pytest.raises(NotThereError, match="no document '99999999'"):
        opened.row("99999999")


def test_a_run_whose_labels_are_torn_is_opened_with_the_rest_of_them(explorable, tmp_path):
    run, said = copy_of(explorable, tmp_path), []
    (path,) = (run / "features").glob("*/labels.jsonl")
    path.write_bytes(path.read_bytes()[:-40])
    opened = Opened.open(Options(run, say=said.append))
    assert opened.labels.name[3] == "horse, saddle"
    assert any("is no label and is left out" in line for line in said)
    with pytest.raises(ShardError, match=r"labels\.jsonl: is damaged"):
        _ = opened.search.labels
