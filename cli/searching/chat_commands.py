"""The commands of a conversation, such as ``/model``: a table, and their completion."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import get_args

from adascale.engine.errors import UsageError
from adascale.engine.strategies import Effort

from ..render.frame import final_frame
from ..render.plain import plain_width
from ..terminal.console import may_animate, say, stderr_console
from .conversation import Conversation

_COMMAND = re.compile(r"/([a-z]+)(?:\s+(\S.*))?")
"""A command with its argument; a path such as ``/etc/hosts`` is none."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a conversation.

    Attributes:
        run: Gets the conversation and the argument, which may be empty.
        help: Sentence for ``/help``.
        argument: Name of its argument, for the help; empty if it takes none.
        choices: What the argument can be, for completion.
    """

    run: Callable[[Conversation, str], None]
    help: str
    argument: str = ""
    choices: tuple[str, ...] = ()


def _use_model(conversation: Conversation, name: str) -> None:
    if name:
        conversation.use_model(name)
    say(f"model: {conversation.model}")


def _use_effort(conversation: Conversation, name: str) -> None:
    if name:
        conversation.effort = name
    say(f"effort: {conversation.effort}")


def _show_tree(conversation: Conversation, _: str) -> None:
    searched = conversation.searched
    if searched is None:
        say("nothing was searched yet: a plain reply has no tree")
        return
    console = stderr_console()
    for line in final_frame(searched, console.width if may_animate() else plain_width()):
        console.print(line, no_wrap=True, overflow="ignore", crop=False)


def _clear(conversation: Conversation, _: str) -> None:
    conversation.turns = ()
    say("forgotten: a new conversation begins")


def _end(conversation: Conversation, _: str) -> None:
    raise EOFError


def _help(conversation: Conversation, _: str) -> None:
    commands = {f"/{name} {command.argument}": command.help for name, command in COMMANDS.items()}
    rows = {**commands, **_KEYS}
    width = max(map(len, rows))
    for what, help_text in rows.items():
        say(f"  {what:{width}}  {help_text}")


COMMANDS: Mapping[str, Command] = {
    "model": Command(_use_model, "Go on with another model.", "NAME"),
    "effort": Command(
        _use_effort,
        "How sure to be before a search stops: low, medium, high, max.",
        "LEVEL",
        get_args(Effort),
    ),
    "tree": Command(_show_tree, "Show the tree of the last search."),
    "clear": Command(_clear, "Forget what was said."),
    "help": Command(_help, "Show this."),
    "bye": Command(_end, "End; so does Ctrl-D."),
}

_ENDS = ("exit", "quit")
"""Messages that end a conversation too, as in a shell."""

_KEYS: Mapping[str, str] = {
    "Alt-Enter": 'Begin another line; so does Enter behind an opening """, up to the closing one.',
    "Ctrl-C": "Stop a reply, or clear what was typed.",
    "Tab": "Complete a command.",
}


def run_command(conversation: Conversation, message: str) -> bool:
    """Run a message that is a command; False if it is none.

    Raises:
        AdascaleError: there is no such command, or it failed.
        EOFError: the conversation is to end.
    """
    match = _COMMAND.fullmatch("/bye" if message in _ENDS else message)
    if match is None:
        return False
    name = match[1]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        raise UsageError(f"there is no command /{name}", hint=f"/{near[0]}" if near else "/help lists them")
    COMMANDS[name].run(conversation, match[2] or "")
    return True


def complete(line: str) -> list[str]:
    """Lines that an incomplete command can become."""
    name, space, argument = line.removeprefix("/").partition(" ")
    if not line.startswith("/"):
        return []
    if not space:
        lines = (f"/{each} " if command.argument else f"/{each}" for each, command in COMMANDS.items())
        return [each for each in lines if each.startswith(line)]
    choices = COMMANDS[name].choices if name in COMMANDS else ()
    return [f"/{name} {each}" for each in choices if each.startswith(argument.lstrip())]
