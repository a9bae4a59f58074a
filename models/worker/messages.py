"""The messages between a parent and its worker, and the lines of JSON that carry them.

A message is a dataclass whose fields have a JSON form (``codec``); a line is its name and its JSON.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from adascale.engine.codec import OneOf, build, to_plain
from adascale.engine.errors import UsageError
from adascale.engine.kinds import KINDS
from adascale.engine.search.events import EVENT_TYPES, Event, SearchFailed
from adascale.engine.search.settings import Conditions, Request
from adascale.engine.types import KindName, Mode

from ..files.progress import DownloadPlan, Transfer
from ..options import SessionOptions

if TYPE_CHECKING:
    from ..session import OpenSession


@dataclass(frozen=True, slots=True)
class OpenModels:
    """Parent: open these models.

    Attributes:
        options: Options of the session.
        confirm: Ask the parent before a download.
        verbose: Send llama.cpp's log.
    """

    options: SessionOptions
    confirm: bool
    verbose: bool


@dataclass(frozen=True, slots=True)
class Consent:
    """Parent: consent to a ``DownloadPlan``, or its refusal."""

    given: bool


@dataclass(frozen=True, slots=True)
class StartRun:
    """Parent: search the ``Request`` messages that follow."""


@dataclass(frozen=True, slots=True)
class EndOfQuestions:
    """Parent: there are no more questions."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Parent: end the search of the question of this id, which has begun."""

    problem: str


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Parent: stop, in the middle of a batch if need be."""


@dataclass(frozen=True, slots=True)
class Told:
    """Worker: a text for the parent's ``Reporting``.

    Attributes:
        topic: A status line, a piece of llama.cpp's log, or the name of the file that llama.cpp opens next.
        text: The text.
    """

    topic: Literal["status", "log", "loading"]
    text: str


@dataclass(frozen=True, slots=True)
class ModelsOpened:
    """Worker: the models are open.

    Attributes:
        conditions: Models and warnings of a search, by kind of problem.
        modes: Modes that ``auto`` may use.
        files: Label, path and sha256 of each model.
    """

    conditions: Mapping[KindName, Conditions]
    modes: tuple[Mode, ...]
    files: tuple[tuple[str, Path, str], ...]

    @classmethod
    def of(cls, session: OpenSession) -> Self:
        """The message for an open session."""
        conditions = {kind: session.conditions(kind) for kind in KINDS}
        return cls(conditions, session.modes, tuple(session.files.listing()))


@dataclass(frozen=True, slots=True)
class SearchEvent:
    """Worker: an event of the question of this id, without hidden states."""

    problem: str
    event: Annotated[Event, OneOf(EVENT_TYPES, "kind")]


@dataclass(frozen=True, slots=True)
class RunEnded:
    """Worker: every question has ended, and no more are coming."""


FromParent = OpenModels | Consent | StartRun | Request | EndOfQuestions | Cancel | Interrupt
FromWorker = Told | Transfer | DownloadPlan | ModelsOpened | SearchEvent | RunEnded | SearchFailed
"""``SearchFailed`` is an error that ends the worker, and all that it searches."""
Message = FromParent | FromWorker

_MESSAGES: Mapping[str, type[Any]] = {
    cls.__name__: cls for cls in (*typing.get_args(FromParent), *typing.get_args(FromWorker))
}


def encode(message: Message) -> bytes:
    """One line.

    Raises:
        UsageError: the name of a file is not UTF-8, which Python reads as halves of surrogate pairs.
    """
    fields = json.dumps(to_plain(message), ensure_ascii=False, separators=(",", ":"))
    try:
        return f"{type(message).__name__} {fields}\n".encode()
    except UnicodeEncodeError as exc:
        raise UsageError("the name of a file is not UTF-8", hint="rename the file") from exc


def decode(line: bytes) -> Any:
    """The message of a line.

    Raises:
        ValueError: the line is no message.
    """
    name, _, fields = line.decode().partition(" ")
    try:
        return build(_MESSAGES[name], fields)
    except (KeyError, TypeError, ValueError) as exc:
        raise ValueError(f"no message: {line[:80]!r}") from exc
