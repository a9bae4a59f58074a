"""``adascale ask``: one question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from adascale import __version__
from adascale.engine.types import Problem

from ..exit_codes import INTERRUPTED, NO_ANSWER
from ..options.flatten import with_options
from ..options.groups import AskOptions
from ..searching.one import question_text, search_one
from ..searching.server import search_on_server
from ..terminal.console import say, write_json, write_payload

if TYPE_CHECKING:
    from adascale.engine.search.record import Record
    from adascale.engine.search.settings import Settings
    from adascale.models.worker.client import Worker

_EXAMPLE = 'adascale ask "What is 17 * 23?"   or   echo "What is 17 * 23?" | adascale ask'


@with_options(AskOptions)
def ask(
    question: Annotated[
        str | None,
        typer.Argument(
            metavar="[QUESTION|-]",
            show_default=False,
            help="The question; - or nothing reads it from stdin. Put -- before one that begins with a dash.",
        ),
    ] = None,
    *,
    context: typer.Context,
    options: AskOptions,
) -> None:
    """Answer one question by searching over reasoning steps.

    adascale ask "What is 17 * 23?"
    echo "What is 17 * 23?" | adascale ask -x
    adascale ask -T -g qwen2.5-coder-0.5b --effort high '3 pens cost $2. How many for $18?'
    """
    text = question_text(question, _EXAMPLE)
    if options.server.url is None:
        record, loaded = _search_here(text, options)
    else:
        record, loaded = search_on_server(text, options, context)
    _finish(record, loaded, options)


def _search_here(question: str, options: AskOptions) -> tuple[Record, float]:
    """Search with models of this machine; as ``search_one``."""
    from ..searching.models import settings_for

    search = options.search
    strategy = search.make_strategy()

    def settle(worker: Worker) -> Settings:
        settings = settings_for(strategy, search, options.view.terminal, worker)
        return settings.in_mode(search.mode, worker.open_models.modes)

    return search_one(Problem("1", question), strategy, options.session, options.view, settle)


def _finish(record: Record, load_seconds: float, options: AskOptions) -> None:
    """Write the payload and leave with the exit code of the outcome."""
    from ..report.answer import answer_payload, answer_record, is_sure

    result = record.result
    assert result is not None, "a search that was run to its end has a result"
    min_confidence = options.search.min_confidence
    if options.json_output:
        write_json(answer_record(record, load_seconds, __version__, min_confidence))
    elif payload := answer_payload(record, options.extract):
        write_payload(payload)
    if result.stop_reason == "interrupted":
        raise typer.Exit(INTERRUPTED)
    unsure = not is_sure(result, min_confidence)
    if unsure and not result.is_guess and not options.view.terminal.quiet:
        say(f"adascale: less sure than --min-confidence {min_confidence:g}")
    if unsure or result.best is None or (options.extract and result.answer is None):
        raise typer.Exit(NO_ANSWER)
