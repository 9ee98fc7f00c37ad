"""One process at a time. A second opening of the lock is as good as a second process."""

import threading

import pytest

from sae_jax.data.claim import held
from sae_jax.errors import UsageError

BUSY = UsageError("busy")


def test_a_held_folder_is_made_and_refused_until_it_is_let_go(tmp_path):
    folder = tmp_path / "new" / "folder"
    with held(folder), pytest.raises(UsageError, match="busy"), held(folder, otherwise=BUSY):
        pass
    with held(folder, otherwise=BUSY):
        pass


def test_an_error_lets_go(tmp_path):
    with pytest.raises(KeyError), held(tmp_path):
        raise KeyError
    with held(tmp_path, otherwise=BUSY):
        pass


def test_without_an_error_to_raise_the_second_waits(tmp_path):
    begun, entered = threading.Event(), threading.Event()

    def second():
        begun.set()
        with held(tmp_path):
            entered.set()

    thread = threading.Thread(target=second)
    with held(tmp_path):
        thread.start()
        assert begun.wait(10)
        assert not entered.wait(0.2)
    assert entered.wait(10)
    thread.join()
