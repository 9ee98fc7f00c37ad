"""How long a block may take, and what errors of several processes end in.

Real stalls and losses: tests/test_processes.py.
"""

import pytest

from sae_jax.errors import RunAgain
from sae_jax.train import watchdog


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(watchdog.time, "monotonic", lambda: now[0])
    return now


def test_a_block_may_take_twenty_usual_ones_or_the_setting_if_that_is_more(clock):
    watch = watchdog.Watchdog(stall_seconds=30)
    watch.progress(0)
    assert watch.limit_seconds() == 180, "the first is compiled"
    for step, seconds in enumerate((1, 1, 1), start=1):
        clock[0] += seconds
        watch.progress(step)
    assert watch.limit_seconds() == 30
    for step in range(4, 14):
        clock[0] += 5
        watch.progress(step)
    assert watch.limit_seconds() == 100


def test_a_checkpoint_or_a_rest_is_no_slow_block(clock):
    watch = watchdog.Watchdog(stall_seconds=1)
    watch.progress(0)
    for step in (1, 2):
        clock[0] += 1
        watch.progress(step)
    watch.slow()
    assert watch.limit_seconds() == 6, "a checkpoint may take longer"
    clock[0] += 100
    watch.progress(3)
    watch.rest()
    clock[0] += 1_000
    watch.progress(4)
    assert watch.limit_seconds() == 20


def test_a_process_alone_is_left_to_its_errors():
    with pytest.raises(RunAgain), watchdog.Watchdog().guard():
        raise RunAgain("stopped")
    with pytest.raises(ZeroDivisionError), watchdog.Watchdog().guard():
        raise ZeroDivisionError


class Service:
    """The key-value store, with what each process has last said."""

    def __init__(self, said):
        self.said = said

    def key_value_set(self, key, value, allow_overwrite):
        self.said[key] = value

    def key_value_dir_get(self, folder):
        return [(key, value) for key, value in self.said.items() if key.startswith(folder)]


@pytest.fixture
def peers(clock, monkeypatch):
    """Of process 0 of three; the service is a dict."""
    monkeypatch.setattr(watchdog.jax, "process_count", lambda: 3)
    service = Service({f"sae_jax/process/{i}": f"1 node{i} 40{i}" for i in range(3)})
    monkeypatch.setattr(watchdog.distributed.global_state, "client", service)
    peers = watchdog._Peers()
    assert peers.gone(silent_for=10) is None
    return peers, service.said


def test_the_silent_one_is_named(peers, clock):
    peers, said = peers
    for beat in range(2, 13):
        clock[0] += 1
        said["sae_jax/process/1"] = f"{beat} node1 401"
        gone = peers.gone(silent_for=10)
    text, code = gone
    assert "process 2 of 3 (node2, pid 402) was lost: nothing heard of it for 11 s" in text
    assert code == 75


def test_one_that_left_with_an_error_takes_the_others_with_its_exit_code(peers, clock):
    peers, said = peers
    said["sae_jax/process/1"] = "left:2 node1 401"
    assert peers.gone(silent_for=10) is None, "it may be about to say why"
    clock[0] += 1.5
    text, code = peers.gone(silent_for=10)
    assert "ends because process 1 does" in text
    assert code == 2


def test_one_that_never_spoke_is_lost_too(peers, clock):
    peers, said = peers
    del said["sae_jax/process/2"]
    peers._seen.pop(2)
    clock[0] += 11
    said["sae_jax/process/1"] = "9 node1 401"
    assert "process 2 of 3 (unknown host, pid ?)" in peers.gone(silent_for=10)[0]
