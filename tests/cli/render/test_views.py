"""Views of a search and of a batch: live on a terminal, and plain lines."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from commands import Home
from sample_log import Log, pens
from terminal import environment, on_terminal

from adascale.cli.render import solution, views
from adascale.cli.render.views import PlainView, SearchView, new_view
from adascale.cli.terminal.console import new_console
from adascale.engine.search.events import SearchFailed
from adascale.engine.types import ROOT, Notice

CLEAR, HIDE, SHOW = "\x1b[2K", "\x1b[?25l", "\x1b[?25h"


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is written to a terminal of 80 columns that knows no colour."""
    file = io.StringIO()
    console = new_console(file=file, force_terminal=True, width=80, height=24, color_system=None)
    monkeypatch.setattr(views, "may_animate", lambda: True)
    monkeypatch.setattr(views, "stderr_console", lambda: console)
    monkeypatch.setattr("adascale.cli.terminal.errors.stderr_console", lambda: console)
    return file


def finished(**more: float) -> Log:
    log = pens(running=False, **more)  # type: ignore[arg-type]
    log.end("confident")
    return log


def test_something_shows_at_once_and_makes_room_for_a_question(screen: io.StringIO) -> None:
    with new_view(0) as view:
        assert "Loading..." in screen.getvalue()
        view.status("")
        assert screen.getvalue().endswith(CLEAR)
        view.status("Loading tiny (0.1 GB, CPU)...")
        assert "Loading tiny (0.1 GB, CPU)..." in screen.getvalue()
    assert screen.getvalue().endswith(CLEAR)


def test_a_picture_leaves_the_last_line_of_the_screen_free(
    screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(solution, "search_frame", lambda state, height: "\n".join(["x"] * height))
    with new_view(0) as view:
        view.on(pens().events[0])
    assert screen.getvalue().rpartition("x")[0].rpartition(CLEAR)[2].count("x") == 22


@pytest.mark.parametrize("show_tree", [True, False])
def test_a_tree_that_was_asked_for_stays_and_nothing_else(screen: io.StringIO, show_tree: bool) -> None:
    with new_view(0, show_tree=show_tree) as view:
        for event in finished(pace=0.3).events:
            view.on(event)
    left = screen.getvalue().rpartition(CLEAR)[2]
    assert ("★ =27 · = 27. So you can buy 27 pens." in left) == show_tree
    assert "Ctrl-C" not in left
    assert show_tree or left == ""


def test_a_failed_search_leaves_nothing(screen: io.StringIO) -> None:
    log = pens()
    log.add(SearchFailed, notice=Notice("no-memory", "too big"), error_type="MemoryOverflowError")
    with new_view(0, show_tree=True) as view:
        for event in log.events:
            view.on(event)
    assert screen.getvalue().endswith(CLEAR)


def test_one_search_after_another_gives_the_cursor_back(screen: io.StringIO) -> None:
    with new_view(0) as view:
        for event in [*finished().events, *finished().events]:
            view.on(event)
    assert screen.getvalue().count(HIDE) == screen.getvalue().count(SHOW) == 2


def lines(log: Log, view: SearchView, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a view says about a log; stdout must stay empty."""
    for event in log.events:
        view.on(event)
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_a_line_says_which_answer_leads_and_how_far_it_is_every_ten_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = lines(finished(pace=0.3), PlainView(), capsys)
    facts = "27 · very likely (93 %) · 1 solution · 7 s · 213 of 2,048 tokens · 37 tokens/s"
    assert said == [f"adascale: {facts}"]
    log = Log(calibrated=False, pace=2.0)
    for n in range(5):
        log.step(ROOT, f"idea {n}\n", 0.5)
    assert lines(log, PlainView(), capsys) == [
        f"adascale: writing a solution · {seconds} s · {rate} tokens/s"
        for rate, seconds in (("5", 10), ("3.3", 20), ("3.6", 30))
    ]


@pytest.mark.parametrize(("columns", "width"), [("", 100), ("72", 72), ("nonsense", 100)])
def test_the_tree_follows_once_at_columns_or_100(
    columns: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for view in (PlainView(show_tree=True), SearchView(show_tree=True)):
        tree = lines(finished(), view, capsys)[isinstance(view, PlainView) :]
        assert tree[0] == "Q  3 pens cost $2. How many can you buy for $18?"
        assert max(map(len, tree)) == width
        assert sum("question" in line for line in tree) == 1


def test_warnings_come_once(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log()
    log.warn("slow", "this takes long")
    log.warn("slow", "this takes long")
    assert lines(log, SearchView(), capsys) == ["warning[slow]: this takes long"]


@pytest.mark.slow
def test_a_batch_on_a_terminal_leaves_its_summary_alone(chain_gguf: Path, tmp_path: Path) -> None:
    home = Home.asking(tmp_path, chain_gguf, 8)
    words = ["-m", "adascale", "batch", str(home.data), "-m", str(home.model)]
    shown = on_terminal(words, environment(HOME=str(tmp_path), HF_HOME=str(tmp_path / "hf"))).stderr
    assert "/8" in shown
    assert shown.rstrip().rpartition(SHOW)[2].count("\n") <= 6
