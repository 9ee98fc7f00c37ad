"""One process needs nobody's consent. Several: tests/test_processes.py."""

import pickle
import re
import subprocess
import sys
import threading

import pytest

from sae_jax.errors import CheckpointError
from sae_jax.train import processes, sharding
from sae_jax.train.checkpoint import DamagedError


def test_a_process_alone_makes_writes_and_stops_by_itself():
    requested = threading.Event()
    stop = processes.StopAgreement(requested, mesh=sharding.one_device())
    assert processes.is_first()
    assert processes.from_first(lambda: 7) == 7
    processes.require_same("a", what="the data")
    stop.ask()
    assert not stop.agreed()
    requested.set()
    assert stop.agreed(), "at once"
    with pytest.raises(CheckpointError), processes.together():
        raise CheckpointError("no")


def test_an_error_is_sent_as_itself_and_a_defect_as_its_text():
    damaged = pickle.loads(processes._packed(DamagedError("the file x")))
    assert type(damaged) is DamagedError
    assert str(damaged) == "the file x"
    defect = pickle.loads(processes._packed(ZeroDivisionError("oh")))
    assert str(defect) == "ZeroDivisionError: oh"


def test_half_a_set_of_flags_is_refused_with_what_to_give():
    done = in_new_process("processes.join(coordinator='a:1')")
    assert re.search(
        r"UsageError: --coordinator='a:1' --num_processes=0.*all three", done.stderr
    )


def test_others_that_do_not_come_are_said():
    alone = "coordinator='localhost:1', n_processes=2, process_id=1, join_seconds=2"
    done = in_new_process(f"processes.join({alone})")
    assert done.returncode == 75
    assert "could not meet the other processes at localhost:1 within 2 s" in done.stderr


@pytest.mark.parametrize("flags", ["", "coordinator='a:1', n_processes=1, process_id=0"])
def test_a_process_alone_starts_no_service(flags):
    done = in_new_process(
        f"processes.join({flags}); assert not processes.jax.distributed.is_initialized()"
    )
    assert done.returncode == 0, done.stderr


def in_new_process(code):
    """JAX joins others only before it has done anything else."""
    return subprocess.run(
        [sys.executable, "-c", f"from sae_jax.train import processes; {code}"],
        capture_output=True,
        text=True,
    )
