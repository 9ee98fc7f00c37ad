"""Every experiment and every member of every sweep of the lab notebook can be started."""

import pathlib
import runpy

import pytest

from sae_jax.sweep import grid

FILES = sorted((pathlib.Path(__file__).parents[1] / "experiments").glob("*.py"))
SWEEPS = [path for path in FILES if "BASE" in path.read_text()]


@pytest.mark.parametrize("path", sorted(set(FILES) - set(SWEEPS)), ids=lambda path: path.stem)
def test_an_experiment_is_valid_and_says_how_to_run_it(path):
    found = runpy.run_path(str(path))
    found["get_config"]().validate()
    assert f"sae-jax train --config=experiments/{path.name}" in found["__doc__"]


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_member_of_a_sweep_is_valid(path):
    found = grid.read_sweep_file(path)
    base = runpy.run_path(str(found.base))["get_config"]()
    for member in grid.make_members(base, found.overrides):
        member.config.validate()
    assert f"sae-jax sweep --config=experiments/{path.name}" in path.read_text()
