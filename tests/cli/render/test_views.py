"""Views of running searches: live on a terminal, plain lines elsewhere, warnings alone when quiet."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from commands import Home
from rich.text import Text
from sample_log import Log, pens
from terminal import environment, on_terminal

from adascale.cli.render import picture, views
from adascale.cli.render.views import SearchView
from adascale.cli.terminal.console import new_console
from adascale.engine.search.events import SearchFailed
from adascale.engine.types import ROOT, Notice

CLEAR, HIDE, SHOW = "\x1b[2K", "\x1b[?25l", "\x1b[?25h"


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """The text on a terminal of 80 columns without colour."""
    file = io.StringIO()
    console = new_console(file=file, force_terminal=True, width=80, height=24, color_system=None)
    monkeypatch.setattr(views, "may_animate", lambda: True)
    monkeypatch.setattr(views, "stderr_console", lambda: console)
    return file


def finished(**more: float) -> Log:
    log = pens(running=False, **more)  # type: ignore[arg-type]
    log.end("confident")
    return log


def test_something_shows_at_once_and_makes_room_for_a_question(screen: io.StringIO) -> None:
    with SearchView() as view:
        assert "Loading..." in screen.getvalue()
        view.status("")
        assert screen.getvalue().endswith(CLEAR)
        view.status("Loading tiny (0.1 GB, CPU)...")
        assert "Loading tiny (0.1 GB, CPU)..." in screen.getvalue()
    assert screen.getvalue().endswith(CLEAR)


def test_a_picture_leaves_the_last_line_of_the_screen_free(
    screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        picture, "search_frame", lambda state, console, height, show_tree: Text("\n".join(["x"] * height))
    )
    with SearchView() as view:
        view.on(pens().events[0])
    assert screen.getvalue().rpartition("x")[0].rpartition(CLEAR)[2].count("x") == 22


@pytest.mark.parametrize("show_tree", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_only_the_tree_of_a_search_that_ends_stays(screen: io.StringIO, show_tree: bool, fails: bool) -> None:
    log = finished(pace=0.3)
    if fails:
        log.events.pop()
        log.add(SearchFailed, notice=Notice("no-memory", "too big"), error_type="MemoryOverflowError")
    with SearchView(show_tree=show_tree) as view:
        for event in log.events:
            view.on(event)
    rest = screen.getvalue().rpartition(CLEAR)[2]
    stays = show_tree and not fails
    assert ("★ = 27 · = 27. So you can buy 27 pens." in rest) == stays
    assert "Ctrl-C" not in rest
    assert stays or rest == ""


def test_one_search_after_another_gives_the_cursor_back(screen: io.StringIO) -> None:
    with SearchView() as view:
        for event in [*finished().events, *finished().events]:
            view.on(event)
    assert screen.getvalue().count(HIDE) == screen.getvalue().count(SHOW) == 2


def lines(log: Log, view: SearchView, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of a view of a log; stdout must stay empty."""
    for event in log.events:
        view.on(event)
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_a_line_has_the_leading_answer_and_the_progress_every_ten_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    facts = "27 · very likely (93 %) · 1 solution · 7 s · 213 of 2,048 tokens · 37 tokens/s"
    assert lines(finished(pace=0.3), SearchView(), capsys) == [f"adascale: {facts}"]
    log = Log(calibrated=False, pace=2.0)
    for n in range(5):
        log.step(ROOT, f"idea {n}\n", 0.5)
    assert lines(log, SearchView(), capsys) == [
        f"adascale: writing a solution · {seconds} s · {rate} tokens/s"
        for rate, seconds in (("5", 10), ("3.3", 20), ("3.6", 30))
    ]


@pytest.mark.parametrize(("columns", "width"), [("", 100), ("72", 72), ("nonsense", 100)])
@pytest.mark.parametrize("quiet", [0, 1])
def test_the_tree_follows_once_at_columns_or_100(
    columns: str,
    width: int,
    quiet: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    tree = lines(finished(), SearchView(quiet, show_tree=True), capsys)[1 - quiet :]
    assert tree[0] == "Q  3 pens cost $2. How many can you buy for $18?"
    assert max(map(len, tree)) == width
    assert sum("question" in line for line in tree) == 1


def test_warnings_come_once(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log()
    log.warn("slow", "this takes long")
    log.warn("slow", "this takes long")
    assert lines(log, SearchView(1), capsys) == ["warning[slow]: this takes long"]


@pytest.mark.slow
def test_a_batch_on_a_terminal_leaves_its_summary_alone(chain_gguf: Path, tmp_path: Path) -> None:
    home = Home.asking(tmp_path, chain_gguf, 8)
    words = ["-m", "adascale", "batch", str(home.data), "-m", str(home.model)]
    shown = on_terminal(words, environment(HOME=str(tmp_path), HF_HOME=str(tmp_path / "hf"))).stderr
    assert "/8" in shown
    assert shown.rstrip().rpartition(SHOW)[2].count("\n") <= 6
