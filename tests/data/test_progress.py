import io

from sae_jax.data import progress


def test_lines_without_a_terminal_give_rate_and_time_left(monkeypatch, capsys):
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with progress.Progress("ingest", total=5_000, done=1_000) as counter:
        now = 9.0
        counter.add(1_000)  # too early for a line
        now = 10.0
        counter.add(1_000)
    expected = "ingest: 3,000 of 5,000 rows, 200 rows/s, 10 s left\n"
    assert capsys.readouterr().err == expected


def test_a_slow_rate_is_not_rounded_to_nothing(monkeypatch, capsys):
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with progress.Progress("label", total=10, unit="latents") as counter:
        now = 20.0
        counter.add(5)
    expected = "label: 5 of 10 latents, 0.25 latents/s, 20 s left\n"
    assert capsys.readouterr().err == expected


def test_a_terminal_gets_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr(progress.sys, "stderr", screen)
    with progress.Progress("ingest", total=50) as counter:
        counter.add(50)
    assert "100%" in screen.getvalue()
