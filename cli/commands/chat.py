"""``adascale chat``: a conversation in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import typer

from adascale.engine.errors import AdascaleError, ContextOverflowError, UsageError

from ..exit_codes import INTERRUPTED
from ..options.by_command import ChatOptions
from ..options.flatten import with_options
from ..options.parts import ViewOptions
from ..render.renderer import choose_progress, open_renderer
from ..searching.asking import last_conversation
from ..searching.chat_commands import complete, run_command
from ..searching.conversation import Conversation
from ..terminal.console import may_animate, say, show_error, stdin_stream

_EXAMPLE = "printf 'hi\\nWhat is 17 * 23?\\n' | adascale chat"


@with_options(ChatOptions)
def chat(*, options: ChatOptions) -> None:
    r"""Talk with a model that stays loaded; questions are searched, other messages get a plain reply.

    adascale chat
    adascale chat -m qwen2.5-coder-0.5b --effort high
    printf 'hi\nWhat is 17 * 23?\n' | adascale chat

    /help lists the commands of a conversation. Ctrl-C stops a reply, Ctrl-D ends. In a pipe each line is a
    message.
    """
    is_typed = sys.stdin.isatty()
    terminal = options.view.terminal
    turns = last_conversation(terminal) if options.goes_on else ()
    kind = choose_progress(terminal.quiet, may_animate())
    with (
        open_renderer(kind, show_tree=options.view.show_tree) as renderer,
        Conversation(options, renderer) as conversation,
    ):
        conversation.turns = turns
        if is_typed:
            _talk(conversation, options.view)
        else:
            _answer_lines(conversation, options.view)


def _talk(conversation: Conversation, view: ViewOptions) -> None:
    """Answer what is typed, until Ctrl-D; an error is shown, and the conversation goes on."""
    from adascale.models.storage import data_folder

    from ..terminal.messages import typed_messages, unechoed

    history = data_folder() / "chat-history" if view.save else None
    for message in typed_messages(complete, history, "Ask anything (/help for help)"):
        try:
            if run_command(conversation, message):
                continue
            with unechoed():
                _answer(conversation, message, view)
        except EOFError:
            return
        except AdascaleError as error:
            show_error(_with_way_out(error, conversation))
        finally:
            say("")


def _answer(conversation: Conversation, message: str, view: ViewOptions) -> bool:
    """Answer a message, and show what was not shown as it was written; False if it was interrupted."""
    from ..render.ending import say_end, write_answer

    record, terminal = conversation.answer(message), view.terminal
    if record is None:
        say("stopped")
        return False
    if not record.started.problem.is_chat:
        write_answer(record, says_end=not terminal.quiet, verbose=terminal.verbose)
    if not terminal.quiet:
        say_end(record, terminal.verbose)
    return record.result is not None and record.result.stop_reason != "interrupted"


def _with_way_out(error: AdascaleError, conversation: Conversation) -> AdascaleError:
    """The error; of a conversation that has become too long with a way out of it."""
    if not (isinstance(error, ContextOverflowError) and conversation.turns):
        return error
    larger = f", or Ctrl-D, and then adascale chat -c {error.hint}" if "`ctx_size" in error.hint else ""
    return ContextOverflowError(error.message, *error.facts, hint=f"/clear forgets what was said{larger}")


def _answer_lines(conversation: Conversation, view: ViewOptions) -> None:
    """Answer each line of stdin; the first error ends it.

    Raises:
        AdascaleError: a message cannot be answered.
        Exit: it was interrupted.
    """
    for message in _lines():
        try:
            if run_command(conversation, message):
                continue
        except EOFError:
            return
        if not _answer(conversation, message, view):
            raise typer.Exit(INTERRUPTED)


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
