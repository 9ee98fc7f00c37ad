import gc
import threading
import time

import pytest

from sae_jax.data.prefetch import prefetch


def n_threads():
    return sum(thread.name == "prefetch" for thread in threading.enumerate())


def test_batches_come_in_the_order_of_the_steps():
    assert list(prefetch(lambda step: step * step, steps=[3, 1, 2])) == [9, 1, 4]


def test_no_steps_are_no_batches():
    assert list(prefetch(lambda step: step, steps=[])) == []


def test_it_works_ahead_by_its_depth_and_no_more():
    made = []
    batches = prefetch(made.append, steps=range(100), depth=2)
    next(batches)
    deadline = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert made == [0, 1, 2, 3]  # one taken, two waiting, one in hand
    batches.close()


def test_an_error_arrives_in_its_turn_with_its_own_traceback():
    def make(step):
        return 1 / (2 - step)

    batches = prefetch(make, steps=range(5))
    assert [next(batches), next(batches)] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError) as caught:
        next(batches)
    assert caught.traceback[-1].name == "make"
    with pytest.raises(StopIteration):
        next(batches)


def test_an_error_in_the_steps_themselves_arrives_too():
    def steps():
        yield 0
        raise RuntimeError("no more")

    batches = prefetch(lambda step: step, steps=steps())
    assert next(batches) == 0
    with pytest.raises(RuntimeError, match="no more"):
        next(batches)


def test_the_thread_ends_with_close_with_the_block_and_with_its_reader():
    batches = prefetch(lambda step: step, steps=iter(int, 1))
    next(batches)
    batches.close()
    batches.close()
    with prefetch(lambda step: step, steps=iter(int, 1)) as others:
        next(others)
    forgotten = prefetch(lambda step: step, steps=iter(int, 1))
    next(forgotten)
    del forgotten
    gc.collect()
    deadline = time.monotonic() + 5
    while n_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert n_threads() == 0


def test_it_counts_how_long_the_reader_waited():
    def slow(step):
        time.sleep(0.05)
        return step

    batches = prefetch(slow, steps=range(3))
    list(batches)
    assert 0.1 <= batches.starved_seconds < 5

    quick = prefetch(lambda step: step, steps=range(3))
    time.sleep(0.2)
    next(quick)
    assert quick.starved_seconds < 0.1
    quick.close()


@pytest.mark.parametrize(("reading", "working"), [(0.01, 0.04), (0.04, 0.01), (0.03, 0.03)])
def test_reading_hides_behind_the_work_and_what_does_not_is_counted(reading, working):
    """Who takes batches either works or waits for one: both add up to the whole time."""

    def make(step):
        time.sleep(reading)
        return step

    worked = 0.0
    with prefetch(make, steps=range(20)) as batches:
        next(batches)  # which nothing can hide
        first, began = batches.starved_seconds, time.perf_counter()
        for _ in batches:
            before = time.perf_counter()
            time.sleep(working)
            worked += time.perf_counter() - before
        total = time.perf_counter() - began
    starved = batches.starved_seconds - first
    assert abs(starved + worked - total) < 0.02 * total
    if working > 2 * reading:
        assert starved < 0.1 * total
    if reading > 2 * working:
        assert starved > 0.5 * total
