"""A message of a user as a problem, and how it is searched: ``ask`` and ``chat`` take the same way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adascale.engine.errors import UsageError, excerpt
from adascale.engine.strategies import Strategy, Vote
from adascale.engine.types import Problem, Turn

from ..disk.files import read_text
from ..terminal.console import say
from ..terminal.text import plural

if TYPE_CHECKING:
    from ..options.parts import SearchOptions, TerminalOptions


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
    from adascale.engine.tools.inlining import object_schema

    if path is None:
        return None
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
