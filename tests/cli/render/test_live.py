import io

import pytest
from rich.console import Console
from sample_log import pens

from adascale.cli.render import display
from adascale.cli.render.display import open_renderer
from adascale.engine.search.events import SearchFailed
from adascale.engine.types import Notice


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is written to a terminal of 80 columns that knows no colour."""
    console = Console(
        file=io.StringIO(), force_terminal=True, width=80, height=24, color_system=None, markup=False
    )
    monkeypatch.setattr(display, "stderr_console", lambda: console)
    monkeypatch.setattr("adascale.cli.terminal.console.stderr_console", lambda: console)
    assert isinstance(console.file, io.StringIO)
    return console.file


def test_something_shows_at_once_and_makes_room_for_a_question(screen: io.StringIO) -> None:
    with open_renderer("live") as renderer:
        assert "Loading..." in screen.getvalue()
        renderer.status("")
        assert screen.getvalue().endswith("\x1b[2K")
        renderer.status("Loading tiny (0.1 GB, CPU)...")
        assert "Loading tiny (0.1 GB, CPU)..." in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[2K")


def test_the_tree_stays(screen: io.StringIO) -> None:
    log = pens(running=False, pace=0.3)
    log.end()
    with open_renderer("live", show_tree=True) as renderer:
        for event in log.events:
            renderer.on(event)

    after = screen.getvalue().rpartition("\x1b[2K")[2]
    assert "★ 1.1.1 = 27. So you can buy 27 pens." in after
    assert "Ctrl-C" not in after


def test_without_the_tree_nothing_stays(screen: io.StringIO) -> None:
    log = pens(running=False, pace=0.3)
    log.end()
    with open_renderer("live") as renderer:
        for event in log.events:
            renderer.on(event)
        assert "So you can buy 27 pens." in screen.getvalue()

    assert screen.getvalue().endswith("\x1b[2K")


def test_a_failed_search_ends_the_display_without_a_summary(screen: io.StringIO) -> None:
    log = pens()
    log.add(SearchFailed, notice=Notice("no-memory", "too big"), error_type="MemoryOverflowError")
    with open_renderer("live", show_tree=True) as renderer:
        for event in log.events:
            renderer.on(event)
        ended = screen.getvalue()

    assert ended.endswith("\x1b[2K")
    assert screen.getvalue() == ended


def test_one_search_after_another(screen: io.StringIO) -> None:
    log = pens(running=False)
    log.end()
    with open_renderer("live") as renderer:
        for event in [*log.events, *log.events]:
            renderer.on(event)

    assert screen.getvalue().count("\x1b[?25l") == screen.getvalue().count("\x1b[?25h") == 2
