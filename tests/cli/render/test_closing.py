"""The end of a search on the streams: payload, bars, and the lines about a doubtful answer."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import pytest
from sample_log import Log
from terminal import frame

from adascale.cli.render import closing
from adascale.cli.render.closing import doubt_lines, say_end, write_answer
from adascale.cli.render.state import ViewState
from adascale.engine.answers.choosing import SearchResult
from adascale.engine.kinds.recognising import problem_of
from adascale.engine.search.events import (
    AnswersJudged,
    Event,
    ModelDescription,
    SearchFinished,
    SearchStarted,
)
from adascale.engine.types import ROOT, Budget, Estimate, Problem, Schedule, Usage


@pytest.fixture
def one_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "is_one_screen", lambda: True)


def options_read(problem: Problem, p: float) -> list[Event]:
    """A search that has read its options, and stopped there."""
    started = SearchStarted(
        problem=problem,
        strategy="adaptive",
        params={"samples": 16},
        models=ModelDescription(),
        budget=Budget(),
        seed=1,
        schedule=Schedule.even(4),
        calibrated=True,
    )
    names = "ABC" if problem.kind == "choice" else ("yes", "no")
    estimate = Estimate(p, p, p, calibrated=True)
    options = dict.fromkeys(names, (1 - p) / (len(names) - 1)) | {names[1]: p}
    result = SearchResult(names[1], estimate, (), None, stop_reason="confident", options=options)
    judged = AnswersJudged(seq=1, t=1.0, result=replace(result, stop_reason=None))
    return [started, judged, SearchFinished(seq=2, t=2.0, result=result, usage=Usage())]


CHOICE = problem_of("1", "Where do fish live?\nA. in a tree\nB. in the sea\nC. in the air")
PRIME = problem_of("1", "Is 91 prime?")


@pytest.mark.usefixtures("one_screen")
@pytest.mark.parametrize(
    ("problem", "answer", "bars"),
    [
        (CHOICE, "B. in the sea", ["A. in a tree, 6 %", "B. in the sea, 88 %", "C. in the air, 6 %"]),
        (PRIME, "No", []),
    ],
)
def test_each_of_several_options_has_a_bar(
    problem: Problem, answer: str, bars: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    events = options_read(problem, 0.88)
    assert frame(ViewState.of(events[:2]), 80, 24).count("━━") >= len(bars) > 0 or not bars
    write_answer(ViewState.of(events))
    say_end(ViewState.of(events))
    out, err = capsys.readouterr()
    drawn = [re.split("  +", text.strip()) for text in out.splitlines() if text.strip()]
    assert [f"{cells[0]}, {cells[-1]}" for cells in drawn] == bars
    assert err == f"{answer} · very likely (88 %) · read from the options · 2 s\n"


@pytest.mark.usefixtures("one_screen")
def test_on_a_screen_the_answer_stands_once(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log("What is 17 * 23?")
    log.program("print(17 * 23)", 0.9, output="391\n", answer="391")
    log.end()
    write_answer(log.state())
    say_end(log.state())
    assert capsys.readouterr() == ("", "391 · very likely (90 %) · 1 solution · 0.0 s\n")
    write_answer(log.state(), says_end=False)
    assert capsys.readouterr().out == "391\n"
    write_answer(log.state(), says_end=False, verbose=1)
    assert capsys.readouterr().out == "print(17 * 23)\n→ 391\nAnswer: 391\n"


@pytest.mark.usefixtures("one_screen")
def test_the_written_part_of_a_stopped_reply_stays(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log("hi", kind="text")
    log.prune(log.step(ROOT, "**Hello**, world", 0.5))
    log.end("interrupted")
    write_answer(log.state())
    assert capsys.readouterr().out.strip() == "Hello, world"


@pytest.mark.usefixtures("one_screen")
def test_an_object_is_whole_on_a_stream_without_unicode(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log("Who?", kind="json")
    log.finish_path(ROOT, "{}", 0.9, '{"name": "Zo\u00eb \u4e09"}')
    log.end()
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr("sys.stdout", stdout)
    write_answer(log.state())
    written = stdout.buffer.getvalue()  # type: ignore[attr-defined]
    assert json.loads(written) == {"name": "Zo\u00eb \u4e09"}


@pytest.mark.parametrize("p", [0.9, 0.4])
def test_a_doubtful_answer_has_both_readings_and_advice(p: float, capsys: pytest.CaptureFixture[str]) -> None:
    log = Log(params={"samples": 4}, pace=1.0)
    log.finish_path(ROOT, "Packs first.\n9 * 3 = 27\nThe answer is \\boxed{27}.", p, "27")
    log.program("pens = 18 // 3\nprint(pens)", 0.2, output="6\n", answer="6")
    log.end()
    *readings, _ = doubt_lines(log.state())
    assert readings == ["27: 9 * 3 = 27", "6: pens = 18 // 3"]
    say_end(log.state(), advises=True)
    assert ("-e high" in capsys.readouterr().err) is (p < 0.5)
