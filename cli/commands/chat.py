"""``adascale chat``: a conversation in the terminal, whose models stay open."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import typer

from adascale.engine.answer import turns_after
from adascale.engine.errors import AdascaleError, ContextOverflowError, UsageError
from adascale.engine.kind_table import entry_of
from adascale.engine.strategies import effort_named
from adascale.engine.types import Turn
from adascale.models.storage import data_folder
from adascale.models.upstream.address import is_address

from ..asking import last_conversation
from ..exit_codes import INTERRUPTED
from ..opening import fetch, open_worker
from ..options.flags import (
    CalibrationFlag,
    ContinueFlag,
    EffortFlag,
    KindFlag,
    ModeFlag,
    ModelFlag,
    OfflineFlag,
    PairsFlag,
    PrmFlag,
    QuietFlag,
    SaveFlag,
    SeedFlag,
    ShowTreeFlag,
    StrategyFlag,
    SystemFlag,
    ThinkFlag,
    TimeLimitFlag,
    VerboseFlag,
    YesFlag,
)
from ..options.settings import SEARCH, SESSION, Settings, read_settings
from ..render.views import SearchView
from ..searching import ended, follow_search
from ..terminal.console import draws_replies
from ..terminal.errors import show_error
from ..terminal.streams import say, stdin_stream
from ..terminal.text import columns

if TYPE_CHECKING:
    from adascale.models.worker.client import Worker

    from ..render.state import ViewState

_EXAMPLE = "printf 'hi\\nWhat is 17 * 23?\\n' | adascale chat"


def chat(
    context: typer.Context,
    model: ModelFlag = None,
    prm: PrmFlag = None,
    calibration: CalibrationFlag = None,
    system: SystemFlag = "",
    think: ThinkFlag = None,
    offline: OfflineFlag = None,
    kind: KindFlag = None,
    strategy: StrategyFlag = None,
    effort: EffortFlag = None,
    mode: ModeFlag = None,
    time_limit: TimeLimitFlag = None,
    seed: SeedFlag = None,
    goes_on: ContinueFlag = False,
    show_tree: ShowTreeFlag = None,
    save: SaveFlag = None,
    option: PairsFlag = None,
    quiet: QuietFlag = 0,
    verbose: VerboseFlag = 0,
    yes: YesFlag = None,
) -> None:
    r"""Talk with a model that stays loaded; questions are searched, other messages get a plain reply.

    adascale chat
    adascale chat -m qwen2.5-coder-0.5b --effort high
    printf 'hi\nWhat is 17 * 23?\n' | adascale chat

    /help lists the commands of a conversation. Ctrl-C stops a reply, Ctrl-D ends. In a pipe each line is a
    message.
    """
    settings = read_settings(context, *SESSION, *(set(SEARCH) - {"min_confidence"}), "keep_alive")
    turns = last_conversation() if goes_on else ()
    with (
        SearchView(settings.quiet, show_tree=settings.show_tree) as renderer,
        Conversation(settings, renderer, turns) as conversation,
    ):
        _talk(conversation, is_typed=sys.stdin.isatty())


def _talk(conversation: Conversation, *, is_typed: bool) -> None:
    """Answer each message until Ctrl-D, and show errors; or each line of stdin, up to the first error.

    Raises:
        AdascaleError: a line of stdin cannot be answered.
        Exit: the answer to one was interrupted.
    """
    messages = _lines()
    if is_typed:
        from ..terminal.messages import typed_messages

        history = data_folder() / "chat-history" if conversation.settings.save else None
        messages = typed_messages(_COMPLETIONS, history, "Ask anything (/help for help)")
    for message in messages:
        try:
            if run_command(conversation, message):
                continue
            is_whole = _answer(conversation, message)
            if not (is_whole or is_typed):
                raise typer.Exit(INTERRUPTED)
        except EOFError:
            return
        except AdascaleError as error:
            if not is_typed:
                raise
            show_error(_with_way_out(error, conversation))
        finally:
            if is_typed:
                say("")


def _answer(conversation: Conversation, message: str) -> bool:
    """Answer a message, and show the text that was not streamed; False if it was interrupted."""
    from ..render.closing import say_end, write_answer

    record, settings = conversation.answer(message), conversation.settings
    if record is None:
        say("stopped")
        return False
    if not entry_of(record.started.problem).is_reply or draws_replies(settings.quiet):
        write_answer(record, says_end=not settings.quiet, verbose=settings.verbose)
    if not settings.quiet:
        say_end(record, settings.verbose)
    return record.result is not None and record.result.stop_reason != "interrupted"


def _with_way_out(error: AdascaleError, conversation: Conversation) -> AdascaleError:
    """The error; of a conversation that has become too long with a way out of it."""
    if not (isinstance(error, ContextOverflowError) and conversation.turns):
        return error
    hint = f"/clear forgets the conversation; adascale chat -c goes on with {error.hint}"
    return ContextOverflowError(error.message, *error.facts, hint=hint)


def _lines() -> Iterator[str]:
    """The lines of stdin that are not empty, as they come.

    Raises:
        UsageError: a line is not UTF-8.
    """
    for number, line in enumerate(stdin_stream(_EXAMPLE), 1):
        try:
            message = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise UsageError(f"line {number} of stdin is not UTF-8", slug="not-utf8") from error
        if message:
            yield message


class Conversation:
    """A conversation with models of this machine; use it as a context manager, which opens them.

    Args:
        settings: The models, and how messages are searched and shown.
        renderer: Shows what happens.
        turns: Messages and replies before the first one.

    Attributes:
        settings: Those of the command.
        turns: All messages and replies.
    """

    def __init__(self, settings: Settings, renderer: SearchView, turns: tuple[Turn, ...] = ()) -> None:
        self.settings = settings
        self.turns = turns
        self._search = settings.search()
        self._session = settings.session(purpose="conversation")
        self._renderer = renderer
        self._stack = ExitStack()
        self._worker: Worker
        self._asked = 0

    def __enter__(self) -> Self:
        session = self._session.for_one(self._search.strategy_for(), self._search)
        self._worker = self._stack.enter_context(open_worker(session, self.settings, self._renderer.status))
        self._renderer.status("")
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def use_model(self, reference: str) -> str:
        """Go on with another model, if one is named; after an error with the one before. Returns its name.

        Raises:
            AdascaleError: it is not available, or cannot be opened.
        """
        before = self._session
        if reference:
            if not is_address(reference):
                fetch(reference, yes=self.settings.yes, offline=before.offline)
            self._session = replace(before, generator=reference)
            self._stack.close()
            try:
                self.__enter__()
            except AdascaleError:
                self._session = before
                self.__enter__()
                raise
        return self._session.generator

    def use_effort(self, name: str) -> str:
        """Search from now on as hard as this, if it is named; returns the effort."""
        if name:
            self._search = replace(self._search, effort=effort_named(name))
        return self._search.effort

    def answer(self, message: str) -> ViewState | None:
        """Answer a message, and show it: a text is printed as it is written.

        Returns:
            The search, as far as it came; None if it was interrupted before it began.

        Raises:
            AdascaleError: it cannot be answered; the conversation is as it was.
        """
        self._asked += 1
        search = replace(self._search, question=message, history=self.turns)
        problem = search.problem(str(self._asked))
        record = follow_search(
            self._worker, problem, search, self._renderer, self.settings, prints_reply=True
        )
        self._renderer.status("")  # a worker that has died was started again
        if record is None or record.started.problem.id != problem.id:
            return None
        record = ended(record)
        self.turns = turns_after(record)
        return record


_COMMAND = re.compile(r"/([a-z]+)(?:\s+(\S.*))?")
"""A command with its argument; a path such as ``/etc/hosts`` is none."""

_COMMANDS: Mapping[str, str] = {
    "model NAME": "Go on with another model.",
    "effort LEVEL": "How sure to be before a search stops: low, medium, high, max.",
    "clear": "Forget the conversation.",
    "help": "Show this.",
    "bye": "End; so does Ctrl-D.",
}
"""Commands of a conversation with their arguments, and the line of ``/help`` for each."""

_ENDS = ("exit", "quit")
"""Messages that end a conversation too, as in a shell."""

_COMPLETIONS = [f"/{typed.partition(' ')[0]}" for typed in _COMMANDS]
"""Commands that Tab completes."""

_KEYS = [
    ("  Alt-Enter", "Begin another line."),
    ("  Ctrl-C", "Stop a reply, or clear the line."),
    ("  Tab", "Complete a command."),
]


def run_command(conversation: Conversation, message: str) -> bool:
    """Run a message that is a command; False if it is none.

    Raises:
        AdascaleError: there is no such command, or it failed.
        EOFError: the conversation is to end.
    """
    command = _COMMAND.fullmatch("/bye" if message in _ENDS else message)
    if command is None:
        return False
    name, argument = command[1], command[2] or ""
    match name:
        case "model":
            say(f"model: {conversation.use_model(argument)}")
        case "effort":
            say(f"effort: {conversation.use_effort(argument)}")
        case "clear":
            conversation.turns = ()
            say("forgotten: a new conversation begins")
        case "help":
            say(columns([*((f"  /{typed}", text) for typed, text in _COMMANDS.items()), *_KEYS], "<<"))
        case "bye":
            raise EOFError
        case _:
            raise UsageError(f"there is no command /{name}", hint="/help lists them")
    return True
