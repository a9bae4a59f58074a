"""The end of a search on a screen, and in a pipe."""

import io
import json

import pytest
from sample_log import Log

from adascale.cli.render import solution
from adascale.cli.render.solution import say_end, search_frame, write_answer
from adascale.cli.render.state import ViewState
from adascale.engine.answers.choosing import SearchResult, Standing
from adascale.engine.kinds.recognising import problem_of
from adascale.engine.search.events import (
    AnswersJudged,
    Event,
    ModelDescription,
    SearchFinished,
    SearchStarted,
)
from adascale.engine.types import ROOT, Budget, Estimate, Problem, Usage


@pytest.fixture
def on_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solution, "is_one_screen", lambda: True)


def program(code: str) -> Log:
    log = Log("What is 17 * 23?")
    log.program(code, 0.9, output="391\n", answer="391")
    log.end()
    return log


@pytest.mark.usefixtures("on_screen")
def test_on_a_screen_the_answer_stands_once(capsys: pytest.CaptureFixture[str]) -> None:
    state = program("print(17 * 23)").state()
    write_answer(state)
    say_end(state)
    said = capsys.readouterr()
    assert said.out == "print(17 * 23)\n\n"
    assert said.err == "391 · 90 % sure · 1 solution · 0.0 s\n"


@pytest.mark.usefixtures("on_screen")
@pytest.mark.parametrize(("more", "out"), [({"extract": True}, "391\n"), ({"says_end": False}, None)])
def test_the_answer_alone_and_without_a_line_below_it(
    more: dict[str, bool], out: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    write_answer(program("print(17 * 23)").state(), **more)  # type: ignore[arg-type]
    assert capsys.readouterr().out == (out or "print(17 * 23)\n→ 391\nAnswer: 391\n")


def looked(problem: Problem, p: float) -> list[Event]:
    """A search that has read its options, and stopped there."""
    started = SearchStarted(
        problem=problem,
        strategy="adaptive",
        params={"samples": 16},
        models=ModelDescription(),
        budget=Budget(),
        seed=1,
        width=4,
        calibrated=True,
    )
    first, second = ("A", "B") if problem.kind == "choice" else ("yes", "no")
    options, sure = {first: 1 - p, second: p}, Estimate(p, p, p, calibrated=True)
    result = SearchResult(second, sure, (), None, stop_reason="confident", options=options)
    standing = Standing(second, sure, 0, 0, 0, 0, options=options)
    judged = AnswersJudged(seq=1, t=1.0, standing=standing, groups=())
    return [started, judged, SearchFinished(seq=2, t=2.0, result=result, usage=Usage())]


def look(problem: Problem, p: float) -> ViewState:
    return ViewState.of(looked(problem, p))


CHOICE = problem_of("1", "Where do fish live?\nA. in a tree\nB. in the sea")
PRIME = problem_of("1", "Is 91 prime?")


@pytest.mark.usefixtures("on_screen")
@pytest.mark.parametrize(
    ("problem", "bars", "line"),
    [
        (
            CHOICE,
            ["A. in a tree", "B. in the sea"],
            "B. in the sea · 88 % sure · read from the options · 2 s\n",
        ),
        (PRIME, ["Yes", "No"], "No · 88 % sure · read from the options · 2 s\n"),
    ],
)
def test_options_that_were_read_have_a_bar_each(
    problem: Problem, bars: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    state = look(problem, 0.88)
    write_answer(state)
    say_end(state)
    said = capsys.readouterr()
    drawn = said.out.splitlines()[:2]
    assert [text[: len(bar)] for text, bar in zip(drawn, bars, strict=True)] == bars
    assert [text.rpartition("  ")[2].strip() for text in drawn] == ["12 %", "88 %"]
    assert drawn[0].count("━") < drawn[1].count("━")
    assert said.err == line


@pytest.mark.parametrize(("height", "bars"), [(24, 2), (5, 2), (4, 0), (1, 0)])
def test_the_bars_stand_above_the_line_while_it_searches_if_there_is_room(height: int, bars: int) -> None:
    state = ViewState.of(looked(CHOICE, 0.88)[:2])
    *above, _ = [line.plain for line in search_frame(state, 80, height)]
    assert sum("━" in line for line in above) == bars
    assert len(above) < height


def test_an_option_that_was_read_goes_down_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    write_answer(look(CHOICE, 0.88))
    assert capsys.readouterr().out == "Answer: B. in the sea\n"


@pytest.mark.parametrize("on_a_screen", [True, False])
@pytest.mark.parametrize("extract", [True, False])
def test_an_object_is_whole_where_a_stream_has_no_unicode(
    on_a_screen: bool, extract: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log("Who?", kind="json")
    log.finish_path(ROOT, "{}", 0.9, '{"name": "Zo\u00eb \u4e09"}')
    log.end()
    monkeypatch.setattr(solution, "is_one_screen", lambda: on_a_screen)
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr("sys.stdout", stdout)
    write_answer(log.state(), extract=extract)
    written = stdout.buffer.getvalue()  # type: ignore[attr-defined]
    assert json.loads(written) == {"name": "Zo\u00eb \u4e09"}
