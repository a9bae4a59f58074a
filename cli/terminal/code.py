"""A program as a person reads it: its code, highlighted, and its output.

Only the screen goes through here. JSON and traces have the model's text.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from adascale.engine.answers.program import read_program, try_parse
from adascale.engine.execution import Execution, Verdict

from .prose import without_fences
from .text import cells, cut, harmless, one_line, plural
from .theme import ARROW, ELLIPSIS, STYLES

if TYPE_CHECKING:
    from rich.text import Text

_TAB = 4
_KEPT = 256
"""Programs that are read and highlighted once: a live view draws each of them many times."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a model wrote.

    Attributes:
        code: Source that ran; the whole text without fences if nothing has run or there is no program.
        execution: Result of running it; None if it has not run.
    """

    code: str
    execution: Execution | None = None

    @classmethod
    def of(cls, text: str, execution: Execution | None) -> Self:
        """From the text of a node."""
        return cls(without_fences(text).strip("\n") if execution is None else _code_of(text), execution)

    @classmethod
    def of_task(cls, text: str, execution: Execution | None, tests: Sequence[str]) -> Self:
        """From the text of a node of a code task, with what its tests say in the place of what it printed."""
        if execution is None or not execution.program:
            return cls.of(text, None)
        said = verdict_text(execution, tests)
        error = "" if execution.passes or not execution.verdicts else said
        return cls(execution.program, Execution(said, error, 0.0))

    @property
    def failed(self) -> bool:
        """True if it has run and printed no result."""
        execution = self.execution
        return execution is not None and (bool(execution.error) or not execution.output.strip())

    @property
    def output(self) -> str:
        """Its output, or the last line of its error; empty if it has not run."""
        if self.execution is None:
            return ""
        if self.execution.error:
            return self.execution.error.strip().rpartition("\n")[2]
        return self.execution.output.strip() or "nothing printed"

    @property
    def single_line(self) -> str:
        """The code with semicolons, without comments that stand alone: no program any more, but its gist."""
        joined = ""
        for line in map(str.strip, self.code.splitlines()):
            if line and not line.startswith("#"):
                joined += (" " if joined.endswith(":") else "; " if joined else "") + line
        return joined

    def lines(self) -> list[Text]:
        """The code, highlighted, as lines of any width."""
        lines = (harmless(line.expandtabs(_TAB)).rstrip() for line in self.code.splitlines())
        return list(highlighted("\n".join(lines)).split("\n", allow_blank=True))

    def outcome_line(self) -> list[Text]:
        """``→ 18``, the last line of the output or of the error; no line where it has not run."""
        from rich.text import Text

        if self.execution is None:
            return []
        style = STYLES["error"] if self.failed else STYLES["faint"]
        *_, last = self.output.split("\n")
        return [Text(f"{ARROW} {one_line(last)}", style)]


def verdict_text(execution: Execution, tests: Sequence[str]) -> str:
    """``passes 1 of 2 tests: assert f(3) == 9 gave 6``; the first test that was not passed stands for all.

    Args:
        execution: Result of a program of a code task.
        tests: Sources of its tests, in the order of the verdicts.
    """
    if not execution.program:
        return "there is no program in the text"
    if not execution.verdicts:
        return "nothing was tested"
    passed = f"passes {execution.passed} of {plural(len(execution.verdicts), 'test')}"
    judged = zip(tests, execution.verdicts, strict=False)
    missed = next((_miss(test, verdict) for test, verdict in judged if verdict.outcome != "passed"), None)
    return passed if missed is None else f"{passed}: {missed}"


def _miss(test: str, verdict: Verdict) -> str:
    asked = _asked(test)
    match verdict.outcome:
        case "failed" if verdict.detail:
            return f"{asked} gave {verdict.detail}"
        case "time-limit":
            return f"{asked} ran into the time limit"
        case "error":
            return f"{asked} raised {verdict.detail}"
        case _:
            return f"{asked} failed"


@functools.lru_cache(_KEPT)
def _asked(test: str) -> str:
    """The one statement of a test, or the call at its end; of several asserts any may have failed."""
    match getattr(try_parse(test), "body", []):
        case [ast.Try(body=[*_, tried])]:
            return ast.unparse(tried)
        case [only]:
            return ast.unparse(only) if "\n" in test.strip() else test.strip()
        case [*_, ast.Expr(call)]:
            return ast.unparse(call)
    return "one of its steps"


@functools.lru_cache(_KEPT)
def _code_of(text: str) -> str:
    return (read_program(text) or without_fences(text)).strip("\n")


@functools.lru_cache(_KEPT)
def highlighted(code: str) -> Text:
    """Harmless code in colours; it is kept, so nobody may change it."""
    from rich.syntax import Syntax

    text = Syntax("", "python", theme="ansi_dark").highlight(code)
    text.rstrip()
    return text


def cut_line(line: Text, width: int) -> Text:
    """The line in at most ``width`` cells, with an ellipsis where something was cut off."""
    text = cut(line.plain, width)
    if text == line.plain:
        return line
    kept = max(0, len(text) - len(ELLIPSIS))
    return line[:kept].append(text[kept:])


def wrap_line(line: Text, width: int) -> list[Text]:
    """The line as lines of at most ``width`` cells, broken where they are full."""
    offsets, used = list[int](), 0
    for at, character in enumerate(line.plain):
        used += cells(character)
        if used > width and at:
            offsets.append(at)
            used = cells(character)
    return list(line.divide(offsets))
