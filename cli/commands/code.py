"""``adascale code``: a program that passes tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from adascale.engine.types import Execution, Notice

from ..disk.files import check_apart, check_output, read_text, write_file
from ..exit_codes import INTERRUPTED, NO_ANSWER
from ..options.by_command import CodeOptions
from ..options.settings import with_options
from ..searching import question_text, search_one
from ..terminal.errors import show_warning
from ..terminal.streams import write_json, write_payload

if TYPE_CHECKING:
    from adascale.codetasks.task import CodeTest

    from ..render.state import ViewState

_EXAMPLE = 'adascale code "Write is_prime(n)." --test "assert is_prime(7)" --test "assert not is_prime(1)"'


@with_options(CodeOptions)
def code(
    task: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TASK|-",
            show_default=False,
            help="What the program should do; - or nothing reads it from stdin; piped text goes below it.",
        ),
    ] = None,
    *,
    options: CodeOptions,
) -> None:
    """Write a program that passes your tests: stdout has the program alone.

    adascale code "Write is_prime(n)." --test "assert is_prime(7)" --test "assert not is_prime(1)"
    cat problem.md | adascale code -
    adascale code "Write a class Stack." --tests test_stack.py --output stack.py

    Programs run in a sandbox. Without --test and --tests nothing is tested.

    Exit code 0: every test passes, 3: none of the programs passes them all.
    """
    from adascale.codetasks.task import CodeTask, suite_of

    if str(options.output) == "-":
        options = replace(options, output=None)
    question = question_text(task, _EXAMPLE, quiet=options.view.terminal.quiet > 0)
    problem = CodeTask(suite_of(list(_given_tests(options)))).problem("1", question)
    if options.output is not None:
        read = [*options.session.references(), str(options.tests or "")]
        check_apart(options.output, read, "--output another-name.py")
        check_output(options.output, "--overwrite, or another name", overwrite=options.overwrite)
    record = search_one(problem, options.search, options.session, options.view)
    _finish(record, options)


def _given_tests(options: CodeOptions) -> Iterator[CodeTest]:
    """The tests of --test and --tests.

    Raises:
        UsageError: one of them cannot be read.
    """
    from adascale.codetasks.reading import read_tests

    for source in options.test:
        yield from read_tests(source, "the test")
    if options.tests is not None:
        yield from read_tests(read_text(options.tests), options.tests.name)


def _finish(record: ViewState, options: CodeOptions) -> None:
    """Write the program, what its tests say, and leave with the exit code of that."""
    from adascale.engine.answer import Answer

    from ..render.solution import say_end
    from ..report import answer_record

    answer = Answer.of(record)
    program = answer.answer
    if options.output is not None and program:
        write_file(options.output, f"{program}\n".encode())
    if options.json_output:
        write_json(answer_record(answer))
    elif options.output is None and program:
        write_payload(program)
    if not options.view.terminal.quiet:
        say_end(record, options.view.terminal.verbose)
    if answer.execution is not None:
        _warn_of_monty(answer.execution, options)
    if answer.status == "interrupted":
        raise typer.Exit(INTERRUPTED)
    if answer.status != "answered":
        raise typer.Exit(NO_ANSWER)


def _warn_of_monty(execution: Execution, options: CodeOptions) -> None:
    """Say so where an error may be that of monty alone, which knows a part of Python."""
    from adascale.models.programs.executor import runs_in_cpython

    has_errors = any(verdict.outcome == "error" for verdict in execution.verdicts)
    if has_errors and not options.session.unsandboxed and not runs_in_cpython():
        show_warning(
            Notice(
                "part-of-python",
                "programs ran in monty, which knows a part of Python, so an error may be its own",
                hint="--unsandboxed runs them in CPython, with limits of time and memory only",
            )
        )
