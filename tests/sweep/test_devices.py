"""The same on several devices: a pack is split over them by the mesh axis `run`."""

import os
import pathlib
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_members_split_over_three_of_four_devices_end_as_they_would_alone():
    tests = pathlib.Path(__file__).with_name("test_population.py")
    forced = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(tests), "-k", "[3]"],  # packs of three
        capture_output=True,
        text=True,
        env=os.environ | forced,
        cwd=pathlib.Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout, done.stdout
