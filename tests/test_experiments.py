"""Every experiment of the lab notebook can be started."""

import importlib.util
import pathlib

import pytest

FILES = sorted((pathlib.Path(__file__).parents[1] / "experiments").glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_experiment_is_valid_and_says_how_to_run_it(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.get_config().validate()
    assert f"--config=experiments/{path.name}" in module.__doc__
