"""What stands on a screen, and what goes down a pipe, when a search has ended."""

import pytest
from sample_log import Log, programs

from adascale.cli.render import ending
from adascale.cli.render.ending import say_end, write_answer
from adascale.engine.types import ROOT

LONG = "a = 17\nb = 23\n# the product\nc = a * b\nd = c + 0\ne = d - 0\nprint(e)"


@pytest.fixture
def on_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "is_one_screen", lambda: True)


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
@pytest.mark.parametrize("verbose", [0, 1])
def test_a_long_program_is_folded_unless_all_is_asked_for(
    verbose: int, capsys: pytest.CaptureFixture[str]
) -> None:
    write_answer(program(LONG).state(), verbose=verbose)
    shown = capsys.readouterr().out
    assert ("print(e)" in shown) == ("→ 391" in shown) == (verbose == 1)
    assert ("… 3 more lines" in shown) == (verbose == 0)


@pytest.mark.usefixtures("on_screen")
def test_prose_is_shown_before_a_program_that_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    log = programs(running=False)
    log.program("print(27)", 0.99, output="27\n", answer="27")
    log.end()
    write_answer(log.state())
    assert "One pen costs" in capsys.readouterr().out


@pytest.mark.usefixtures("on_screen")
def test_markdown_and_latex_are_rendered_on_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log()
    log.finish_path(ROOT, "## Sum\n\n- **one**: $2*3*4$\n- two\n\nSo \\boxed{24}.", 0.9, "24")
    log.end()
    write_answer(log.state())
    shown = capsys.readouterr().out
    assert "Sum\n" in shown
    assert " • one: 2*3*4\n • two\n" in shown
    assert "So 24.\n" in shown


@pytest.mark.usefixtures("on_screen")
@pytest.mark.parametrize(("more", "out"), [({"extract": True}, "391\n"), ({"quiet": 1}, None)])
def test_the_answer_alone_and_without_a_line_below_it(
    more: dict[str, int], out: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    write_answer(program("print(17 * 23)").state(), **more)  # type: ignore[arg-type]
    assert capsys.readouterr().out == (out or "print(17 * 23)\n→ 391\nAnswer: 391\n")


def test_a_pipe_gets_the_solution_and_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    state = program("print(17 * 23)").state()
    write_answer(state)
    say_end(state)
    said = capsys.readouterr()
    assert said.out == "print(17 * 23)\n→ 391\nAnswer: 391\n"
    assert said.err == "391 · 90 % sure · 1 solution · 0.0 s\n"
