"""The views of a batch: a bar over the searches in flight, and plain lines."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from rich.cells import cell_len
from scripted import searched
from terminal import environment, on_terminal

from adascale.cli.render import views
from adascale.cli.render.display import LiveDisplay
from adascale.cli.render.views import LiveBatch, PlainBatch
from adascale.cli.report.batch_counts import BatchCounts

SHOW = "\x1b[?25h"


def flying(view: LiveBatch, *names: str) -> None:
    """Searches that have not come to their end."""
    for seed, name in enumerate(names):
        for event in searched("vote", seed, None)[:-1]:
            view.on(name, event)


@pytest.fixture
def view(monkeypatch: pytest.MonkeyPatch) -> LiveBatch:
    """Of twelve questions; nothing is drawn unless it is asked for."""
    monkeypatch.setattr(LiveDisplay, "show", lambda self, picture: None)
    return LiveBatch(LiveDisplay(), BatchCounts(done=3, skipped=1, graded=3, right=2, tokens=300), 12)


def test_a_bar_tells_the_whole_and_a_line_each_search(view: LiveBatch) -> None:
    flying(view, "first", "second")
    head, one, two = view.draw(100, 24, 0).plain.split("\n")
    assert "4 of 12" in head
    assert "67 % correct" in head
    assert "100 tokens a question" in head
    assert one[2:].startswith("first ")
    assert two[2:].startswith("second ")
    assert "6 of up to 6 solutions" in one


def test_more_searches_than_lines_are_counted(view: LiveBatch) -> None:
    flying(view, *(f"q{n}" for n in range(20)))
    lines = view.draw(80, 10, 0).plain.split("\n")
    assert len(lines) == 9
    assert lines[-1] == "  and 13 more"


@pytest.mark.parametrize("width", [20, 80])
def test_no_line_is_wider_than_the_terminal(view: LiveBatch, width: int) -> None:
    flying(view, "短い名前の問題" * 4, "[bold]second\x1b[2J")
    lines = view.draw(width, 30, 0).plain.split("\n")
    assert max(map(cell_len, lines)) <= width
    assert not any("\x1b" in line for line in lines)


def test_the_time_left_counts_searches_in_flight_as_half_done(
    view: LiveBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    flying(view, "first", "second")
    begun = view._begun or 0.0
    monkeypatch.setattr(views.time, "monotonic", lambda: begun + 40.0)
    # (3 + 1) done in 40 s; of the 8 that are left one counts as done.
    assert "about 1:10 left" in view.draw(120, 24, 0).plain


def test_plain_lines_come_every_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, log = BatchCounts(done=1, tokens=70), searched("vote", 0, None)
    for quiet in (0, 1):
        moments = iter((0.0, 4.0, 10.0, 12.0, 20.5))
        monkeypatch.setattr(views.time, "monotonic", lambda moments=moments: next(moments))
        view = PlainBatch(counts, quiet)
        for _ in range(4):
            for event in log:
                view.on("q", event)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"adascale: 1 done, 70 tokens a question, {n} s" for n in (10, 20)]


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
