"""The content of a request: the question, its schema, the conversation before it, the fallback."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adascale.engine.codec import encodable
from adascale.engine.errors import UsageError, excerpt
from adascale.engine.strategies import Strategy, Vote
from adascale.engine.types import Problem, Turn
from adascale.models.options import FallbackOptions

from ..disk.files import read_text
from ..options.declare import env, read_api_key
from ..terminal.console import read_piped, read_stdin, say
from ..terminal.text import plural

if TYPE_CHECKING:
    from adascale.engine.search.record import Record
    from adascale.engine.types import Notice
    from adascale.models.fallback import Fallback, FallbackAnswer

    from ..options.parts import SearchOptions, TerminalOptions

_KEY = env("fallback_key")


def question_text(argument: str | None, example: str, *, quiet: bool = False) -> str:
    """The question: the argument, and below it what is piped in; without an argument, stdin alone.

    Args:
        argument: As it was typed; ``-`` stands for stdin.
        example: A command that works, for the hint of an error.
        quiet: Say neither that a silent pipe is waited for, nor what was piped in.

    Raises:
        UsageError: the question is empty, or stdin is a terminal.
    """
    if argument is None and sys.stdin.isatty():
        raise UsageError("no question given", hint=example)
    text = read_stdin().strip() if argument is None or argument == "-" else argument.strip()
    if not text:
        raise UsageError("the question is empty", hint=example, slug="empty-question")
    piped = "" if argument in (None, "-") else read_piped(quiet=quiet)
    if piped and not quiet:  # a loop over lines of stdin would lose all that follow
        lines = plural(len(piped.splitlines()), "line")
        say(f"adascale: put {lines} of stdin below the question (< /dev/null leaves stdin alone)")
    return encodable(f"{text}\n\n{piped}" if piped else text)  # type: ignore[no-any-return]


def strategy_of(problem: Problem, search: SearchOptions) -> Strategy:
    """The strategy of a problem: a text has a single reply.

    Raises:
        UsageError: as ``SearchOptions.make_strategy``.
    """
    return Vote(samples=1) if problem.is_chat else search.make_strategy(problem.kind)


def read_schema(path: Path | None) -> dict[str, Any] | None:
    """The JSON schema of an object in a file; None without a file.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    if path is None:
        return None
    from adascale.engine.tools.inlining import object_schema

    hint = 'for example {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}'
    try:
        schema = json.loads(read_text(path))
        json.dumps(schema, allow_nan=False)  # NaN and infinity are Python's, and no trace could hold them
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not valid JSON: {error}", hint=hint, slug="bad-schema") from error
    if not isinstance(schema, dict):
        raise UsageError(f"{path} is no schema of an object", hint=hint, slug="bad-schema")
    try:
        object_schema(schema)
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", hint=hint, slug="bad-schema") from error
    return schema


def last_conversation(terminal: TerminalOptions) -> tuple[Turn, ...]:
    """The conversation of the last run that has a result, its question and reply included.

    Raises:
        TraceError: no kept run can be continued.
    """
    from adascale.engine.search.conversation import turns_after

    from ..disk.history import last_finished, run_name
    from ..disk.trace import read_record

    path = last_finished()
    turns = turns_after(read_record(path))
    if terminal.verbose:
        said = excerpt(turns[-2].content, 60) if turns else "nothing"
        say(f"adascale: continues {run_name(path)}, {plural(len(turns) // 2, 'question')}: {said}")
    return turns


def open_fallback(options: FallbackOptions) -> Fallback | None:
    """The server that was chosen; None without one.

    Raises:
        UsageError: its URL or key cannot be used.
    """
    key = os.environ.pop(_KEY, None)  # no process of ours inherits it
    if options.url is None:
        return None
    from adascale.models.fallback import Fallback

    key = read_text(options.key_file) if options.key_file is not None else key
    known = None if key is None else read_api_key(key, f"-o fallback_key_file FILE, or {_KEY},")
    return Fallback(options, known)


def hand_on(fallback: Fallback | None, record: Record) -> FallbackAnswer | Notice | None:
    """The answer of the other server, or why there is none; None where the question is not for it."""
    if fallback is None or not fallback.is_for(record):
        return None
    import asyncio

    return asyncio.run(fallback.ask(record.started.problem))
