"""What a command asks: the words of the question, the schema of an object, the conversation before it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adascale.engine.codec import encodable
from adascale.engine.errors import UsageError
from adascale.engine.types import Turn

from .disk.files import read_text
from .terminal.streams import read_piped, read_stdin, say
from .terminal.text import plural


def question_text(words: Sequence[str] | None, example: str, *, quiet: bool = False) -> str:
    """The question: the typed words, and below them the piped text; without words, stdin alone.

    Args:
        words: As they were typed, without quotes or as one; ``-`` stands for stdin.
        example: A command that works, for the hint of an error.
        quiet: Say neither that a silent pipe is waited for, nor what was piped in.

    Raises:
        UsageError: the question is empty, or stdin is a terminal.
    """
    if not words and sys.stdin.isatty():
        raise UsageError("no question given", hint=example)
    is_typed = (argument := " ".join(words or ())) not in ("", "-") or words == [""]
    text = argument.strip() if is_typed else read_stdin().strip()
    if not text:
        raise UsageError("the question is empty", hint=example, slug="empty-question")
    piped = read_piped(quiet=quiet) if is_typed else ""
    if piped and not quiet:  # a loop over lines of stdin would lose all that follow
        lines = plural(len(piped.splitlines()), "line")
        say(f"adascale: put {lines} of stdin below the question (< /dev/null leaves stdin alone)")
    return encodable(f"{text}\n\n{piped}" if piped else text)  # type: ignore[no-any-return]


def read_schema(path: Path | None) -> dict[str, Any] | None:
    """The JSON schema of an object in a file; None without a file.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    if path is None:
        return None
    from adascale.engine.tools.schema import object_schema

    try:
        schema = json.loads(read_text(path))
        json.dumps(schema, allow_nan=False)  # NaN and infinity are Python's, and no trace could hold them
        if not isinstance(schema, dict):
            raise ValueError("it is no object")
        object_schema(schema)
    except (ValueError, RecursionError, UsageError) as error:
        example = '{"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}'
        text = f"{path} is no schema of an object: {error}"
        raise UsageError(text, hint=f"for example {example}", slug="bad-schema") from error
    return schema


def last_conversation() -> tuple[Turn, ...]:
    """The conversation of the last run that can be continued, its question and reply included.

    Raises:
        TraceError: no kept run can be continued.
    """
    from adascale.engine.answer import turns_after

    from .disk.runs import last_finished

    return turns_after(last_finished())
