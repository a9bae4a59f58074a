"""``adascale ask``: one question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from adascale.engine.kind_table import entry_of
from adascale.engine.types import Notice

from ..asking import last_conversation, question_text, read_schema
from ..exit_codes import INTERRUPTED, NO_ANSWER
from ..opening import open_fallback
from ..options.flags import (
    CalibrationFlag,
    ChoicesFlag,
    ContinueFlag,
    EffortFlag,
    FallbackFlag,
    JsonFlag,
    KindFlag,
    ModeFlag,
    ModelFlag,
    OfflineFlag,
    PairsFlag,
    PrmFlag,
    QuietFlag,
    SaveFlag,
    SchemaFlag,
    SeedFlag,
    ShowTreeFlag,
    StrategyFlag,
    SystemFlag,
    ThinkFlag,
    TimeLimitFlag,
    VerboseFlag,
    YesFlag,
)
from ..options.settings import FALLBACK, SEARCH, SESSION, Settings, read_settings
from ..searching import search_one
from ..terminal.console import draws_replies
from ..terminal.errors import show_warning
from ..terminal.streams import say, write_json, write_payload

if TYPE_CHECKING:
    from adascale.engine.answer import FallbackAnswer

    from ..render.state import ViewState

_EXAMPLE = 'adascale ask "What is 17 * 23?"   or   echo "What is 17 * 23?" | adascale ask'


def ask(
    context: typer.Context,
    question: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUESTION|-",
            show_default=False,
            help="The question; - or nothing reads it from stdin; piped text goes below it.",
        ),
    ] = None,
    model: ModelFlag = None,
    prm: PrmFlag = None,
    calibration: CalibrationFlag = None,
    system: SystemFlag = "",
    think: ThinkFlag = None,
    offline: OfflineFlag = None,
    kind: KindFlag = None,
    choices: ChoicesFlag = None,
    strategy: StrategyFlag = None,
    effort: EffortFlag = None,
    mode: ModeFlag = None,
    time_limit: TimeLimitFlag = None,
    seed: SeedFlag = None,
    goes_on: ContinueFlag = False,
    schema: SchemaFlag = None,
    fallback: FallbackFlag = None,
    json_output: JsonFlag = False,
    show_tree: ShowTreeFlag = None,
    save: SaveFlag = None,
    option: PairsFlag = None,
    quiet: QuietFlag = 0,
    verbose: VerboseFlag = 0,
    yes: YesFlag = None,
) -> None:
    """Answer a question, with as much search as it needs, and say how sure the answer is.

    adascale ask what is 17 times 23
    echo "What is 17 * 23?" | adascale ask
    adascale ask -c "and times two?"
    cat letter.txt | adascale ask --schema order.json
    adascale ask -m qwen2.5-coder-0.5b -e high -o samples 16 '3 pens cost $2. How many for $18?'
    """
    settings = read_settings(context, *SESSION, *SEARCH, *FALLBACK, "keep_alive")
    search = settings.search(
        schema=read_schema(schema),
        question=question_text(question, _EXAMPLE, quiet=settings.quiet > 0),
        is_searched=settings.says_how,
        history=last_conversation() if goes_on else (),
    )
    server = open_fallback(settings.other_server())
    prints = not json_output  # while it is generated
    record = search_one(search.problem(), search, settings.session(), settings, prints_reply=prints)
    handed_on: FallbackAnswer | Notice | None = None
    if server is not None and server.is_for(record):
        if not settings.quiet:
            say(f"adascale: not sure enough, asking {server.server}...")
        try:
            handed_on = server.ask(record.started.problem, lambda: False)
        except KeyboardInterrupt:
            handed_on = Notice("no-fallback", "stopped by you; the answer is our own")
    if isinstance(handed_on, Notice):
        show_warning(handed_on)
    _finish(record, settings, handed_on, json_output=json_output)


def _finish(
    record: ViewState, settings: Settings, handed_on: FallbackAnswer | Notice | None, *, json_output: bool
) -> None:
    """Write the payload, how sure it is, and leave with the exit code of the outcome."""
    from adascale.engine.answer import Answer

    from ..render.closing import say_end, say_handed_on, write_answer
    from ..report import answer_payload, answer_record

    least, verbose = settings.min_confidence, settings.verbose
    answer = Answer.of(record, least, handed_on)
    if json_output:
        write_json(answer_record(answer, least))
    elif answer.fallback is not None:
        write_payload(answer_payload(answer, verbose))
    elif not entry_of(answer.problem).is_reply or draws_replies(settings.quiet):
        write_answer(record, says_end=not settings.quiet, verbose=verbose)
    if not settings.quiet:
        if answer.fallback is not None:
            say_handed_on(record, answer.fallback)
        say_end(record, verbose, advises=answer.fallback is None)
    if answer.status == "interrupted":
        raise typer.Exit(INTERRUPTED)
    if answer.status == "low_confidence" and not answer.is_guess and not settings.quiet:
        say(f"adascale: less sure than -o min_confidence {least:g}")
    if answer.status != "answered":
        raise typer.Exit(NO_ANSWER)
