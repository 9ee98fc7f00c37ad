"""The server as a process: started by the command, asked, and ended by Ctrl-C."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from tiny import run_here

from sae_jax.errors import UsageError
from sae_jax.explorer import serve

COMMAND = [sys.executable, "-m", "sae_jax.cli.main", "explore"]


def test_the_command_prints_an_address_that_answers_and_ctrl_c_ends_it(explorable):
    process = subprocess.Popen(
        [*COMMAND, str(explorable), "--port=0"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        line = next(line for line in process.stdout if "http" in line)
        address = re.search(r"http://127\.0\.0\.1:\d+", line).group()
        with urllib.request.urlopen(f"{address}/api/meta") as answer:
            assert json.load(answer)["n_rows"] == 1_500
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode in (0, 130)
    assert "Traceback" not in said


def test_a_port_that_is_taken_is_said_and_the_next_is_used():
    with socket.socket() as first:
        first.bind(("127.0.0.1", 0))
        first.listen()
        port = first.getsockname()[1]
        second = serve.listen("127.0.0.1", port)
        assert port < second.getsockname()[1] < port + serve.PORTS_TRIED
        second.close()


def test_ports_that_are_all_taken_are_an_error(monkeypatch):
    monkeypatch.setattr(serve, "PORTS_TRIED", 1)
    with socket.socket() as first:
        first.bind(("127.0.0.1", 0))
        first.listen()
        with pytest.raises(UsageError, match="choose another with --port"):
            serve.listen("127.0.0.1", first.getsockname()[1])


def test_an_empty_address_is_not_taken_for_all_of_them():
    with pytest.raises(UsageError, match="--host is empty"):
        serve.listen("", 0)


def test_an_address_that_is_not_this_machine_s_is_an_error():
    with pytest.raises(UsageError, match=r"--host=192\.0\.2\.1"):
        serve.listen("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected one run folder"),
        (["nowhere"], "has no config.json"),
        (["nowhere", "--model=m"], "--model is of --encoder=openai"),
    ],
)
def test_a_mistake_is_said_before_anything_is_served(arguments, said):
    done = run_here("explore", *arguments)
    assert done.returncode != 0
    assert said in done.stderr


def test_help_says_where_questions_are_sent():
    assert "questions that you type are sent there" in run_here("explore", "--help").stdout
