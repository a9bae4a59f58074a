"""``adascale code``: a program that passes tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adascale.engine.answer import Answer

from ..asking import question_text
from ..disk.files import check_apart, check_output, read_text, write_file
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
from ..options.settings import SESSION, read_settings
from ..searching import finish, search_one

if TYPE_CHECKING:
    from adascale.codetasks.task import CodeTest

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
    if output is not None and (program := Answer.of(record).answer):
        write_file(output, f"{program}\n")
    finish(record, settings, json_output=json_output, prints=output is None)


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
