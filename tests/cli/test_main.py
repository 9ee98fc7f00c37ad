"""The program itself: help, and each command's help, fit a screen and can be copied."""

import subprocess
import sys

import pytest
from tiny import run_here

from sae_jax.cli import main


def test_help_lists_every_command_with_a_line(capsys):
    assert main.dispatch(["--help"]) == 0
    shown = capsys.readouterr().out
    for command in main.COMMANDS:
        first = main.load(command).__doc__.splitlines()[0]
        assert f"  {command:<15} {first}\n" in shown
    assert len(shown.splitlines()) < 24


def test_help_waits_for_no_package():
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from sae_jax.cli import main\n"
         "main.dispatch(['--help'])\n"
         "print({'numpy', 'jax', 'ml_collections'}.intersection(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.endswith("\nset()\n")


@pytest.mark.parametrize("command", main.COMMANDS)
def test_a_commands_help_has_examples_and_every_flag(command, capsys):
    assert main.dispatch([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.count(f"sae-jax {command} ") >= 2
    assert len(shown.splitlines()) <= 50
    assert max(len(line) for line in shown.splitlines()) <= 100


def test_a_reader_that_has_seen_enough_is_no_error():
    done = subprocess.Popen(
        [sys.executable, "-c", "from sae_jax.cli import main\n"
         "main.dispatch = lambda argv: [print('x' * 80, flush=True) for _ in range(99_999)]\n"
         "main.main()"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert done.stdout.readline() == "x" * 80 + "\n"
    done.stdout.close()
    assert done.wait(timeout=60) == 141
    assert done.stderr.read() == ""
    done.stderr.close()


@pytest.mark.parametrize("command", ["evaluate", "evaluate-search"])
def test_a_seed_below_0_is_refused_with_the_range(command):
    done = run_here(command, "a run", "--seed=-1")
    assert done.returncode != 0
    assert "lower bound of 0" in done.stderr or "non-negative" in done.stderr
    assert "Traceback" not in done.stderr
