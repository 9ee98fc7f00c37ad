"""Data flows one way: a file imports from its own folder and from earlier ones."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "sae_jax"
LAYERS = (
    "errors", "config", "data", "embed", "model", "train", "notebook", "analysis", "sweep",
    "search", "explorer", "cli",
)  # fmt: skip
HEAVY = (
    "tensorflow",
    "tensorflow_datasets",
    "pyarrow",
    "tokenizers",
    "httpx",
    "openai",
    "usearch",
)
FILES = sorted(PACKAGE.rglob("*.py"))


def layer(parts):
    return LAYERS.index(parts[0]) if parts and parts[0] in LAYERS else None


def imports(path, *, everywhere):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_from_earlier_layers_only(path):
    own = layer(path.relative_to(PACKAGE).with_suffix("").parts)
    if own is None:
        return  # the package's own __init__
    for name in imports(path, everywhere=True):
        parts = name.split(".")
        if parts[0] == "sae_jax" and layer(parts[1:]) is not None:
            assert layer(parts[1:]) <= own, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_packages_are_imported_where_they_are_used(path):
    for name in imports(path, everywhere=False):
        assert name.split(".")[0] not in HEAVY, f"{path.name} imports {name} at its top"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_stay_small(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            most = 90 if (path.name, node.name) == ("loop.py", "train") else 50
            assert node.end_lineno - node.lineno < most, node.name
            assert len(node.args.args) <= 5, node.name
