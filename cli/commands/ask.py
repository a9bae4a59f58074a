"""``adascale ask``: one question."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from adascale.engine.types import Notice

from ..exit_codes import INTERRUPTED, NO_ANSWER
from ..options.by_command import AskOptions
from ..options.settings import chooses_search, with_options
from ..searching import (
    last_conversation,
    open_fallback,
    question_text,
    read_schema,
    search_one,
)
from ..terminal.console import draws_replies
from ..terminal.errors import show_warning
from ..terminal.streams import say, write_json, write_payload

if TYPE_CHECKING:
    from adascale.engine.answer import FallbackAnswer

    from ..render.state import ViewState

_EXAMPLE = 'adascale ask "What is 17 * 23?"   or   echo "What is 17 * 23?" | adascale ask'


@with_options(AskOptions)
def ask(
    question: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUESTION|-",
            show_default=False,
            help="The question; - or nothing reads it from stdin; piped text goes below it.",
        ),
    ] = None,
    *,
    context: typer.Context,
    options: AskOptions,
) -> None:
    """Answer a question, with as much search as it needs, and say how sure the answer is.

    adascale ask what is 17 times 23
    echo "What is 17 * 23?" | adascale ask
    adascale ask -c "and times two?"
    cat letter.txt | adascale ask --schema order.json
    adascale ask -m qwen2.5-coder-0.5b -e high -o samples 16 '3 pens cost $2. How many for $18?'
    """
    terminal = options.view.terminal
    search = replace(
        options.search,
        schema=read_schema(options.schema),
        question=question_text(question, _EXAMPLE, quiet=terminal.quiet > 0),
        is_searched=chooses_search(context),
    )
    fallback = open_fallback(options.fallback)
    if options.goes_on:
        search = replace(search, history=last_conversation())
    prints = not options.json_output  # while it is generated
    record = search_one(search.problem(), search, options.session, options.view, prints_reply=prints)
    handed_on: FallbackAnswer | Notice | None = None
    if fallback is not None and fallback.is_for(record):
        if not options.view.terminal.quiet:
            say(f"adascale: not sure enough, asking {fallback.server}...")
        try:
            handed_on = fallback.ask(record.started.problem, lambda: False)
        except KeyboardInterrupt:
            handed_on = Notice("no-fallback", "stopped by you; the answer is our own")
    if isinstance(handed_on, Notice):
        show_warning(handed_on)
    _finish(record, options, handed_on)


def _finish(record: ViewState, options: AskOptions, handed_on: FallbackAnswer | Notice | None) -> None:
    """Write the payload, how sure it is, and leave with the exit code of the outcome."""
    from adascale.engine.answer import Answer

    from ..render.solution import say_end, say_handed_on, write_answer
    from ..report import answer_payload, answer_record

    terminal, least = options.view.terminal, options.search.min_confidence
    answer = Answer.of(record, least, handed_on)
    if options.json_output:
        write_json(answer_record(answer, least))
    elif answer.fallback is not None:
        write_payload(answer_payload(answer, terminal.verbose))
    elif not answer.problem.is_chat or draws_replies(terminal.quiet):
        write_answer(record, says_end=not terminal.quiet, verbose=terminal.verbose)
    if not terminal.quiet:
        if answer.fallback is not None:
            say_handed_on(record, answer.fallback)
        say_end(record, terminal.verbose, advises=answer.fallback is None)
    if answer.status == "interrupted":
        raise typer.Exit(INTERRUPTED)
    if answer.status == "low_confidence" and not answer.is_guess and not terminal.quiet:
        say(f"adascale: less sure than -o min_confidence {least:g}")
    if answer.status != "answered":
        raise typer.Exit(NO_ANSWER)
