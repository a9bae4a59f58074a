"""Progress of long work: bars, lines every ten seconds, or nothing."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console
from terminal import environment, on_terminal

from adascale.cli.terminal import progress
from adascale.cli.terminal.progress import Progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """A terminal on which the cursor may move."""
    drawn = StringIO()
    monkeypatch.setattr(progress, "may_animate", lambda: True)
    monkeypatch.setattr(
        progress, "stderr_console", lambda: Console(file=drawn, force_terminal=True, width=90, height=20)
    )
    return drawn


def test_lines_have_the_task_the_count_the_facts_and_the_time_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress("questions", clock=clock) as shown:
        for done in range(10, 15):
            shown.show("drawing", done, 14, f"{10 * done} tokens/s")
            clock.now += 6
    assert capsys.readouterr().err.splitlines() == [
        "adascale: drawing 12/14 questions, 120 tokens/s, about 12 s left",
        "adascale: drawing 14/14 questions, 140 tokens/s",
    ]


def test_quiet_shows_nothing_at_all(
    clock: Clock, screen: StringIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for animate in (True, False):
        monkeypatch.setattr(progress, "may_animate", lambda animate=animate: animate)
        with Progress("bytes", quiet=True, clock=clock) as shown:
            shown.show("drawing", 1, 2)
    assert (screen.getvalue(), capsys.readouterr().err) == ("", "")


def test_a_bar_shows_the_note_and_leaves_when_its_task_is_complete(screen: StringIO) -> None:
    with Progress("questions") as shown:
        assert screen.getvalue() == ""
        shown.show("vote:4 (1/2):", 2, 3, "44 tokens/s")
        shown.show("vote:4 (1/2):", 3, 3, "45 tokens/s")
        shown.show("adaptive (2/2):", 1, 3, "30 tokens/s")
        assert shown._bars is not None
        assert [task.description for task in shown._bars.tasks if task.visible] == ["adaptive (2/2):"]
        shown._bars.refresh()
    assert "adaptive (2/2):" in screen.getvalue()
    assert "30 tokens/s" in screen.getvalue()


def test_bars_of_a_thread_that_is_left_behind_give_the_cursor_back() -> None:
    code = (
        "import threading, time\n"
        "from adascale.cli.terminal.progress import Progress\n"
        "drawn = threading.Event()\n"
        "def work():\n"
        "    with Progress('bytes') as shown:\n"
        "        shown.show('m', 1, 2)\n"
        "        drawn.set()\n"
        "        time.sleep(60)\n"
        "threading.Thread(target=work, daemon=True).start()\n"
        "drawn.wait()\n"
    )
    shown = on_terminal(["-c", code], environment()).stderr
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1
