"""``adascale ask``: one question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from adascale.engine.types import Notice

from ..asking import last_conversation, question_text, read_schema
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
from ..options.settings import FALLBACK, SEARCH, SESSION, read_settings
from ..searching import finish, search_one
from ..terminal.errors import show_warning
from ..terminal.streams import say

if TYPE_CHECKING:
    from adascale.engine.answer import FallbackAnswer

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
    finish(record, settings, handed_on, json_output=json_output)
