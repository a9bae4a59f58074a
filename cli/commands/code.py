"""``adascale code``: a program that passes tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adascale.engine.types import Execution, Notice

from ..asking import question_text
from ..disk.files import check_apart, check_output, read_text, write_file
from ..exit_codes import INTERRUPTED, NO_ANSWER
from ..options.flags import (
    EffortFlag,
    JsonFlag,
    ModelFlag,
    OfflineFlag,
    OverwriteFlag,
    PairsFlag,
    QuietFlag,
    SaveFlag,
    SeedFlag,
    ShowTreeFlag,
    SystemFlag,
    ThinkFlag,
    TimeLimitFlag,
    UnsandboxedFlag,
    VerboseFlag,
    YesFlag,
    flag,
)
from ..options.settings import SESSION, Settings, read_settings
from ..searching import search_one
from ..terminal.errors import show_warning
from ..terminal.streams import write_json, write_payload

if TYPE_CHECKING:
    from adascale.codetasks.task import CodeTest

    from ..render.state import ViewState

_EXAMPLE = 'adascale code "Write is_prime(n)." --test "assert is_prime(7)" --test "assert not is_prime(1)"'


def code(
    context: typer.Context,
    task: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TASK|-",
            show_default=False,
            help="What the program should do; - or nothing reads it from stdin; piped text goes below it.",
        ),
    ] = None,
    test: Annotated[
        list[str] | None,
        flag("--test", "Code that fails if the program is wrong; repeatable.", "ASSERT"),
    ] = None,
    tests: Annotated[
        Path | None, flag("--tests", "File of asserts, or of test functions as for pytest.", "FILE")
    ] = None,
    output: Annotated[
        Path | None, flag("--output", "File for the program, instead of stdout.", "FILE")
    ] = None,
    overwrite: OverwriteFlag = False,
    model: ModelFlag = None,
    system: SystemFlag = "",
    think: ThinkFlag = None,
    offline: OfflineFlag = None,
    unsandboxed: UnsandboxedFlag = False,
    effort: EffortFlag = None,
    time_limit: TimeLimitFlag = None,
    seed: SeedFlag = None,
    json_output: JsonFlag = False,
    show_tree: ShowTreeFlag = None,
    save: SaveFlag = None,
    option: PairsFlag = None,
    quiet: QuietFlag = 0,
    verbose: VerboseFlag = 0,
    yes: YesFlag = None,
) -> None:
    """Write a program that passes your tests: stdout has the program alone.

    adascale code "Write is_prime(n)." --test "assert is_prime(7)" --test "assert not is_prime(1)"
    cat problem.md | adascale code -
    adascale code "Write a class Stack." --tests test_stack.py --output stack.py

    Programs run in a sandbox. Without --test and --tests nothing is tested.

    Exit code 0: every test passes, 3: none of the programs passes them all.
    """
    from adascale.codetasks.task import CodeTask, suite_of

    settings = read_settings(context, *SESSION, "budget", "samples", "width", "keep_alive")
    output = None if str(output) == "-" else output
    question = question_text(task, _EXAMPLE, quiet=settings.quiet > 0)
    problem = CodeTask(suite_of(list(_given_tests(test or (), tests)))).problem("1", question)
    session = settings.session()
    if output is not None:
        check_apart(output, [*session.references(), str(tests or "")], "--output another-name.py")
        check_output(output, "--overwrite, or another name", overwrite=overwrite)
    record = search_one(problem, settings.search(), session, settings)
    _finish(record, settings, output, json_output=json_output)


def _given_tests(sources: Iterable[str], file: Path | None) -> Iterator[CodeTest]:
    """The tests of --test and --tests.

    Raises:
        UsageError: one of them cannot be read.
    """
    from adascale.codetasks.reading import read_tests

    for source in sources:
        yield from read_tests(source, "the test")
    if file is not None:
        yield from read_tests(read_text(file), file.name)


def _finish(record: ViewState, settings: Settings, output: Path | None, *, json_output: bool) -> None:
    """Write the program, what its tests say, and leave with the exit code of that."""
    from adascale.engine.answer import Answer

    from ..render.closing import say_end
    from ..report import answer_record

    answer = Answer.of(record)
    program = answer.answer
    if output is not None and program:
        write_file(output, f"{program}\n")
    if json_output:
        write_json(answer_record(answer))
    elif output is None and program:
        write_payload(program)
    if not settings.quiet:
        say_end(record, settings.verbose)
    if answer.execution is not None and not settings.unsandboxed:
        _warn_of_monty(answer.execution)
    if answer.status == "interrupted":
        raise typer.Exit(INTERRUPTED)
    if answer.status != "answered":
        raise typer.Exit(NO_ANSWER)


def _warn_of_monty(execution: Execution) -> None:
    """Say so where an error may be that of monty alone, which knows a part of Python."""
    from adascale.models.programs.executor import runs_in_cpython

    has_errors = any(verdict.outcome == "error" for verdict in execution.verdicts)
    if has_errors and not runs_in_cpython():
        show_warning(
            Notice(
                "part-of-python",
                "programs ran in monty, which knows a part of Python, so an error may be its own",
                hint="--unsandboxed runs them in CPython, with limits of time and memory only",
            )
        )
