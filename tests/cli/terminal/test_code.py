"""Programs as a person reads them: what ran, what it gave, in lines of a known width."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from adascale.cli.terminal.markdown import Program, verdict_text, wrap_line
from adascale.engine.types import Execution, Verdict


@pytest.mark.parametrize(
    ("text", "ran", "written"),
    [
        ("Here it is:\n```python\nprint(2)\n```", "print(2)", "Here it is:\nprint(2)"),
        ("```python\nx = 2\nx\n```", "x = 2\nprint(x)", "x = 2\nx"),
        ("```python\nprint(2", "print(2", "print(2"),
    ],
)
def test_the_code_is_what_ran_or_all_that_was_written(text: str, ran: str, written: str) -> None:
    assert Program.of(text, Execution("2\n", "", 0.1)).code == ran
    assert Program.of(text, None).code == written


@pytest.mark.parametrize(
    ("execution", "output", "failed"),
    [
        (Execution("one\n18\n", "", 0.1), "one\n18", False),
        (Execution("17\n", "Traceback:\n  x\nValueError: no", 0.1), "ValueError: no", True),
        (Execution(" \n", "", 0.1), "nothing printed", True),
        (None, "", False),
    ],
)
def test_what_running_it_gave(execution: Execution | None, output: str, failed: bool) -> None:
    program = Program("print(18)", execution)
    assert (program.output, program.failed) == (output, failed)


def test_the_gist_of_a_program_is_one_line() -> None:
    code = "total = 0\nfor pack in range(9):\n    # three pens a pack\n    total += 3\n\nprint(total)"
    assert Program(code).single_line == "total = 0; for pack in range(9): total += 3; print(total)"


@given(st.text("ab 支é", max_size=30), st.integers(2, 9))
def test_a_wrapped_line_loses_nothing(text: str, width: int) -> None:
    parts = wrap_line(Text(text), width)
    assert "".join(part.plain for part in parts) == text
    assert all(cell_len(part.plain) <= width for part in parts)


TESTS = ("assert f(2) == 4", "def test_f():\n    assert f(3)\ntest_f()")
SOURCE = "import math\ndef f(n):\n    return n"


@pytest.mark.parametrize(
    ("verdicts", "text"),
    [
        ((Verdict("passed"), Verdict("passed")), "passes 2 of 2 tests"),
        ((Verdict("passed"), Verdict("failed", "0")), "passes 1 of 2 tests: test_f() gave 0"),
        ((Verdict("failed"), Verdict("passed")), "passes 1 of 2 tests: assert f(2) == 4 failed"),
        (
            (Verdict("error", "NameError: n"), Verdict("not-run")),
            "passes 0 of 2 tests: assert f(2) == 4 raised NameError: n",
        ),
        (
            (Verdict("time-limit"), Verdict("not-run")),
            "passes 0 of 2 tests: assert f(2) == 4 ran into the time limit",
        ),
        ((), "nothing was tested"),
    ],
)
def test_the_program_of_a_task_stands_above_what_its_tests_say(
    verdicts: tuple[Verdict, ...], text: str
) -> None:
    shown = Program.of_task("```python\ndef f(n):", Execution("", "", 0.0, SOURCE, verdicts=verdicts), TESTS)
    assert shown.code == SOURCE  # as it was repaired and run
    assert shown.output == text
    assert shown.failed == (len(verdicts) > 0 and text != "passes 2 of 2 tests")


def test_a_text_without_a_program_is_shown_as_it_is() -> None:
    missing = Execution("", "", 0.0, verdicts=(Verdict("not-run"),) * 2)
    assert Program.of_task("I cannot.", missing, TESTS).code == "I cannot."
    assert verdict_text(missing, TESTS) == "there is no program in the text"


@pytest.mark.parametrize(
    ("test", "asked"),
    [
        ("assert f('a  b') == 4", "assert f('a  b') == 4"),
        ("assert f([1,\n  2]) == [\n 3]", "assert f([1, 2]) == [3]"),
        ("def test_f(n):\n    assert f(n)\ntest_f(n=2)", "test_f(n=2)"),
        ("try:\n    f(-1)\nexcept ValueError:\n    pass\nelse:\n    assert False, 'no'", "f(-1)"),
        ("s = Stack()\nassert len(s) == 0\nassert s.pop() is None", "one of its steps"),
    ],
)
def test_a_test_that_fails_is_named_by_what_it_asks(test: str, asked: str) -> None:
    execution = Execution("", "", 0.1, "f = 1", (Verdict("failed", "9"),))
    assert verdict_text(execution, [test]) == f"passes 0 of 1 test: {asked} gave 9"
