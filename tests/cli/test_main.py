"""The program itself: help, and each command's help, fit a screen and can be copied."""

import pytest

from sae_jax.cli import main


def test_help_lists_every_command_with_a_line(capsys):
    assert main.dispatch(["--help"]) == 0
    shown = capsys.readouterr().out
    for command in main.COMMANDS:
        assert f"  {command} " in shown
    assert len(shown.splitlines()) < 24


@pytest.mark.parametrize("command", main.COMMANDS)
def test_a_commands_help_has_examples_and_every_flag(command, capsys):
    assert main.dispatch([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.count(f"sae-jax {command} ") >= 2
    assert len(shown.splitlines()) <= 50
    assert max(len(line) for line in shown.splitlines()) <= 100
