"""Views of a search and of a batch: live on a terminal, and plain lines."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path

import pytest
from rich.cells import cell_len
from sample_log import Log, pens
from scripted import searched
from terminal import environment, on_terminal, shown

from adascale.cli.render import display, views
from adascale.cli.render.display import LiveDisplay, open_renderer
from adascale.cli.render.views import LiveBatch, PlainBatch, PlainView, SearchView
from adascale.cli.report import BatchCounts
from adascale.cli.terminal.console import new_console
from adascale.engine.search.events import SearchFailed
from adascale.engine.types import ROOT, Notice

CLEAR, HIDE, SHOW = "\x1b[2K", "\x1b[?25l", "\x1b[?25h"


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is written to a terminal of 80 columns that knows no colour."""
    file = io.StringIO()
    console = new_console(file=file, force_terminal=True, width=80, height=24, color_system=None)
    monkeypatch.setattr(display, "may_animate", lambda: True)
    monkeypatch.setattr(display, "stderr_console", lambda: console)
    monkeypatch.setattr("adascale.cli.terminal.console.stderr_console", lambda: console)
    return file


def finished(**more: float) -> Log:
    log = pens(running=False, **more)  # type: ignore[arg-type]
    log.end("confident")
    return log


def test_something_shows_at_once_and_makes_room_for_a_question(screen: io.StringIO) -> None:
    with open_renderer(0) as view:
        assert "Loading..." in screen.getvalue()
        view.status("")
        assert screen.getvalue().endswith(CLEAR)
        view.status("Loading tiny (0.1 GB, CPU)...")
        assert "Loading tiny (0.1 GB, CPU)..." in screen.getvalue()
    assert screen.getvalue().endswith(CLEAR)


@pytest.mark.parametrize("show_tree", [True, False])
def test_a_tree_that_was_asked_for_stays_and_nothing_else(screen: io.StringIO, show_tree: bool) -> None:
    with open_renderer(0, show_tree=show_tree) as view:
        for event in finished(pace=0.3).events:
            view.on(event)
    left = screen.getvalue().rpartition(CLEAR)[2]
    assert ("★ 1.1.1 = 27. So you can buy 27 pens." in left) == show_tree
    assert "Ctrl-C" not in left
    assert show_tree or left == ""


def test_a_failed_search_leaves_nothing(screen: io.StringIO) -> None:
    log = pens()
    log.add(SearchFailed, notice=Notice("no-memory", "too big"), error_type="MemoryOverflowError")
    with open_renderer(0, show_tree=True) as view:
        for event in log.events:
            view.on(event)
    assert screen.getvalue().endswith(CLEAR)


def test_one_search_after_another_gives_the_cursor_back(screen: io.StringIO) -> None:
    with open_renderer(0) as view:
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
    assert said == ["adascale: 1 solution · 27 leads, 93 % sure · 213 tokens · 8 s"]
    log = Log(calibrated=False, pace=2.0)
    for n in range(5):
        log.step(ROOT, f"idea {n}\n", 0.5)
    assert lines(log, PlainView(), capsys) == [
        f"adascale: writing a solution · {tokens} tokens · {seconds} s"
        for tokens, seconds in ((40, 10), (60, 20), (100, 30))
    ]


@pytest.mark.parametrize(("columns", "width"), [("", 100), ("72", 72), ("nonsense", 100), ("3", 100)])
def test_the_tree_follows_once_at_columns_or_100(
    columns: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for view in (PlainView(show_tree=True), SearchView(show_tree=True)):
        tree = lines(finished(), view, capsys)[isinstance(view, PlainView) :]
        assert tree[0] == "Q  3 pens cost $2. How many pens can you buy for $18?"
        assert max(map(len, tree)) == width
        assert sum("question" in line for line in tree) == 1


def test_warnings_come_once(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log()
    log.warn("slow", "this takes long")
    log.warn("slow", "this takes long")
    assert lines(log, SearchView(), capsys) == ["warning[slow]: this takes long"]


@pytest.mark.parametrize(("quiet", "view"), [(0, PlainView), (1, SearchView)])
def test_where_the_cursor_may_not_move_there_are_lines_or_nothing(quiet: int, view: type) -> None:
    with open_renderer(quiet) as opened:
        assert type(opened) is view


@pytest.fixture
def batch(monkeypatch: pytest.MonkeyPatch) -> LiveBatch:
    """Of twelve questions; nothing is drawn unless it is asked for."""
    monkeypatch.setattr(LiveDisplay, "show", lambda self, draw: None)
    return LiveBatch(LiveDisplay(), BatchCounts(done=3, skipped=1, graded=3, right=2, tokens=300), 12)


def flying(view: LiveBatch, *names: str) -> None:
    """Searches that have not come to their end."""
    for seed, name in enumerate(names):
        for event in searched("vote", seed, None)[:-1]:
            view.on(name, event)


def test_a_bar_tells_the_whole_and_a_line_each_search(batch: LiveBatch) -> None:
    flying(batch, "first", "second")
    head, one, two = shown(batch.draw(100, 24), 100).splitlines()
    assert all(fact in head for fact in ("4 of 12", "67 % correct", "100 tokens a question"))
    assert one.startswith("◐ first ")
    assert two.startswith("◐ second ")
    assert "6 of up to 6 solutions" in one


def test_more_searches_than_lines_are_counted(batch: LiveBatch) -> None:
    flying(batch, *(f"q{n}" for n in range(20)))
    found = shown(batch.draw(80, 10), 80).splitlines()
    assert len(found) == 9
    assert found[-1] == "  and 13 more"


@pytest.mark.parametrize("width", [20, 80])
def test_no_line_is_wider_than_the_terminal(batch: LiveBatch, width: int) -> None:
    flying(batch, "短い名前の問題" * 4, "[bold]second\x1b[2J")
    found = shown(batch.draw(width, 30), width)
    assert max(map(cell_len, found.splitlines())) <= width
    assert len(found.splitlines()) == 3
    assert "\x1b" not in found


def test_the_time_left_counts_searches_in_flight_as_half_done(
    batch: LiveBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    flying(batch, "first", "second")
    begun = batch._begun or 0.0
    monkeypatch.setattr(views.time, "monotonic", lambda: begun + 40.0)
    # (3 + 1) done in 40 s; of the 8 that are left one counts as done.
    assert "about 1:10 left" in shown(batch.draw(140, 24), 140)


def test_plain_lines_of_a_batch_come_every_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, log = BatchCounts(done=1, tokens=70), searched("vote", 0, None)
    for quiet in (False, True):
        moments = iter((0.0, 4.0, 10.0, 12.0, 20.5))
        monkeypatch.setattr(views.time, "monotonic", lambda moments=moments: next(moments))
        view = PlainBatch(counts, quiet)
        for _ in range(4):
            for event in log:
                view.on("q", event)
    said = capsys.readouterr().err.splitlines()
    assert said == [f"adascale: 1 done, 70 tokens a question, {n} s" for n in (10, 20)]


@pytest.mark.slow
def test_a_batch_on_a_terminal(chain_gguf: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rng = random.Random(0)
    asked = [{"id": n, "question": f"What is {rng.random()}?", "answer": 18} for n in range(8)]
    source.write_text("\n".join(map(json.dumps, asked)))
    env = environment(HOME=str(tmp_path), HF_HOME=str(tmp_path / "hf"))
    outcome = on_terminal(
        ["-m", "adascale", "batch", str(source), "--output", str(out), "-m", str(chain_gguf)], env
    )
    assert outcome.code == 0, outcome.stderr
    assert len(out.read_text().splitlines()) == 8
    assert "of 8" in outcome.stderr
    assert outcome.stderr.rstrip().rpartition(SHOW)[2].count("\n") <= 6  # the summary alone is left
    assert "8 done" in outcome.stderr
