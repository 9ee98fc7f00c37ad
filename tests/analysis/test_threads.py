"""Work in threads: all of it once, side by side, and an end at the first error."""

import threading
import time

import pytest

from sae_jax.analysis.threads import in_threads


@pytest.mark.parametrize("n_threads", [1, 5])
def test_each_item_is_worked_on_once_and_handed_over_in_this_thread(n_threads):
    made, here = [], threading.get_ident()

    def done(value):
        assert threading.get_ident() == here
        made.append(value)

    in_threads(lambda i: i * i, range(50), n_threads=n_threads, done=done)
    assert sorted(made) == [i * i for i in range(50)]


def test_work_runs_side_by_side():
    together = threading.Barrier(4, timeout=10)  # breaks unless four wait at once
    in_threads(lambda _: together.wait(), range(8), n_threads=4, done=lambda _: None)


def test_the_first_error_ends_it_and_begins_nothing_more():
    begun = []

    def work(i):
        begun.append(i)
        if i == 3:
            raise KeyError(i)
        time.sleep(0.01)

    with pytest.raises(KeyError):
        in_threads(work, range(1_000), n_threads=2, done=lambda _: None)
    time.sleep(0.1)
    assert len(begun) < 20


def test_an_error_does_not_wait_for_work_that_hangs():
    release = threading.Event()

    def work(i):
        if i:
            raise KeyError(i)
        release.wait(30)

    started = time.monotonic()
    with pytest.raises(KeyError):
        in_threads(work, range(2), n_threads=2, done=lambda _: None)
    assert time.monotonic() - started < 5
    release.set()


def test_an_error_of_the_taker_ends_it():
    def done(value):
        raise ValueError(value)

    with pytest.raises(ValueError, match="0"):
        in_threads(lambda i: i, range(100), n_threads=1, done=done)
