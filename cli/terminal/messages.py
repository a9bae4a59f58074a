"""The messages that a user types into a conversation, with prompt_toolkit."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import create_output
from prompt_toolkit.shortcuts import CompleteStyle

_PROMPT, _CONTINUATION = ">>> ", "... "


def typed_messages(lines: list[str], history: Path | None, hint: str) -> Iterator[str]:
    """Read messages until Ctrl-D; the prompt is written to stderr.

    Enter sends a message. Alt-Enter and a pasted line end begin another line. Ctrl-C clears the input.

    Args:
        lines: Lines to which the Tab key completes.
        history: File of earlier messages; without it, or if it is no regular file, none are stored.
        hint: Text in an empty prompt.
    """
    is_stored = history is not None and (history.is_file() or not history.exists())
    # Only a menu would need the position of the cursor.
    os.environ.setdefault("PROMPT_TOOLKIT_NO_CPR", "1")
    session: PromptSession[str] = PromptSession(
        _PROMPT,
        multiline=True,
        prompt_continuation=lambda width, _, wraps: " " * width if wraps else _CONTINUATION,
        key_bindings=_key_bindings(),
        completer=WordCompleter(lines, sentence=True),
        complete_while_typing=False,
        complete_style=CompleteStyle.READLINE_LIKE,
        history=_History(history) if history is not None and is_stored else InMemoryHistory(),
        placeholder=lambda: FormattedText([] if get_app().is_done else [("ansibrightblack", hint)]),
        output=create_output(sys.stderr),
    )
    while True:
        try:
            text = session.prompt()
        except EOFError:
            return
        if message := text.strip():
            yield message


def _key_bindings() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def begin_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-c")
    def clear(event: KeyPressEvent) -> None:
        event.current_buffer.reset()

    @keys.add(Keys.Vt100MouseEvent)
    def ignore(event: KeyPressEvent) -> None:
        """A colour in pasted text looks like a mouse event, which prompt_toolkit fails to read."""

    return keys


class _History(FileHistory):
    """A file of messages that only its owner can read; errors of writing are ignored."""

    def store_string(self, string: str) -> None:
        """Append a message, if that is possible."""
        with contextlib.suppress(OSError):
            path = Path(os.fsdecode(self.filename))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(0o600)
            path.chmod(0o600)
            super().store_string(string)
