"""Model text for people: rendered on a screen, prose without its marks elsewhere."""

from __future__ import annotations

import io
import time

import pytest
from terminal import shown

from adascale.cli.terminal.console import new_console
from adascale.cli.terminal.markdown import Program, last_line, plain, rendered, verdict_text
from adascale.engine.types import Execution, Verdict


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("2*3*4 and a_1_b and 2 * 3", ["2*3*4 and a_1_b and 2 * 3"]),
        ("<b>x</b> a < b & c", ["<b>x</b> a < b & c"]),
        ("    not code", ["not code"]),
        ("12\n+ 7\n= 19", ["12", "+ 7", "= 19"]),
        ("27\n---\nnext", ["27", "", "-" * 60, "", "next"]),
        ("1. one\n2. two", [" 1 one", " 2 two"]),
        ("costs $5 and $6, $x = 5$", ["costs $5 and $6, x = 5"]),
        (r"So $\boxed{24}$.", ["So 24."]),
        ("2**3 is 8, x**2 and 3**2", ["2**3 is 8, x**2 and 3**2"]),
        ("```python\nprint('\\frac{1}{2}')\n```", [" print('\\frac{1}{2}')"]),
        ("```python\nfor x in y:", [" for x in y:"]),
        ("\x1b[2J\u202eturned [bold]", ["[2Jturned [bold]"]),
        ("&#27;[2J &#x202e;x &lt;", ["&#27;[2J &#x202e;x &lt;"]),
    ],
)
def test_a_screen_shows_rendered_markdown(text: str, lines: list[str]) -> None:
    found = shown(rendered(text), 60).strip("\n").splitlines()
    assert found == lines


def test_a_boxed_answer_is_bold() -> None:
    file = io.StringIO()
    new_console(file=file, force_terminal=True, color_system="standard").print(rendered(r"So \boxed{24}."))
    assert "\x1b[1m24\x1b[0m" in file.getvalue()


@pytest.mark.parametrize(
    ("markdown", "read"),
    [
        ("**Determine** the *total number* of `eggs`.", "Determine the total number of eggs."),
        ("### Step 1: **Add**\nthen 2", "Step 1: Add\n\nthen 2"),
        ("a\n---\nb", "a\n\nb"),
        ("Do:\n```python\n# add\nf(**kw)\n```\nSo **8**.", "Do:\n\n# add\nf(**kw)\n\nSo 8."),
        ("```\nx = 'a\\frac'\n# open", "x = 'a\\frac'\n# open"),
        ("2 * 3 * 4 = 24, x*y*z and 2 ** 3", "2 * 3 * 4 = 24, x*y*z and 2 ** 3"),
        ("- one\n* two\n1. three", "- one\n* two\n1. three"),
        (r"**16** \text{ eggs/day} and \(\frac{1}{2}\)", "16 eggs/day and 1/2"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "| a | b |\n|---|---|\n| 1 | 2 |"),
    ],
)
def test_prose_has_no_marks(markdown: str, read: str) -> None:
    assert plain(markdown) == read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("**So** it is\n\n1. **27**", "1. 27"),
        ("so\nit is\n- ", "it is"),
        ("```python\na = 2", "a = 2"),
        ("\n", ""),
    ],
)
def test_the_last_line_has_content(text: str, read: str) -> None:
    assert last_line(text) == read


@pytest.mark.parametrize("piece", ["**a ", "*a ", "`a", "\n \n", "# ", "```\n"])
def test_a_degenerate_text_takes_time_in_proportion_to_its_length(piece: str) -> None:
    def seconds(length: int) -> float:
        started = time.process_time()
        plain(piece * (length // len(piece)))
        return time.process_time() - started

    assert seconds(96_000) < 40 * seconds(8_000) + 0.2  # in proportion: 12; with the square: 144


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
def test_the_output_of_a_program(execution: Execution | None, output: str, failed: bool) -> None:
    program = Program.of("print(18)", execution)
    assert (program.output, program.failed) == (output, failed)


def test_the_gist_of_a_program_is_one_line() -> None:
    code = "total = 0\nfor pack in range(9):\n    # three pens a pack\n    total += 3\n\nprint(total)"
    assert Program(code).gist == "total = 0; for pack in range(9): total += 3; print(total)"


TESTS = ("assert f(2) == 4", "def test_f():\n    assert f(3)\ntest_f()")
SOURCE = "import math\ndef f(n):\n    return n"


@pytest.mark.parametrize(
    ("verdicts", "text"),
    [
        ((Verdict("passed"), Verdict("passed")), "passes 2 of 2 tests"),
        (
            (Verdict("passed"), Verdict("failed", "0")),
            "passes 1 of 2 tests: def test_f(): assert f(3) test_f() gave 0",
        ),
        (
            (Verdict("error", "NameError: n"), Verdict("not-run")),
            "passes 0 of 2 tests: assert f(2) == 4 raised NameError: n",
        ),
        ((), "nothing was tested"),
    ],
)
def test_a_program_of_a_task_has_its_verdict(verdicts: tuple[Verdict, ...], text: str) -> None:
    program = Program.of("```python\ndef f(n):", Execution("", "", 0.0, SOURCE, verdicts=verdicts), TESTS)
    assert program.code == SOURCE  # as it was repaired and run
    assert program.output == text
    assert program.failed == (len(verdicts) > 0 and text != "passes 2 of 2 tests")
    missing = Execution("", "", 0.0, verdicts=verdicts)
    assert Program.of("I cannot.", missing, TESTS).code == "I cannot."
    assert verdict_text(missing, TESTS) == "there is no program in the text"
