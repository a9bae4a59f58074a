"""The process that hosts the models, controlled by messages (``client.py`` is the other side).

llama.cpp may abort, and the OOM killer may end it; in a process of its own, that costs the parent no answer.
A worker ends with its stdin, even in the middle of a batch, so a killed parent leaves none behind; with
``keep_alive`` it then waits at a local socket for another parent.

A message is a dataclass; a line is its name and its fields in JSON (``codec``).
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal, Self

from adascale.engine.codec import OneOf, build, to_plain
from adascale.engine.errors import UsageError, explained
from adascale.engine.kinds import KINDS
from adascale.engine.request import Conditions, Request
from adascale.engine.search.events import EVENT_TYPES, Event, SearchFailed
from adascale.engine.types import KindName, Mode

from ..files.cache import DownloadPlan, Transfer
from ..options import SessionOptions
from ..storage import state_folder

if TYPE_CHECKING:
    from .. import AnySession


@dataclass(frozen=True, slots=True)
class OpenModels:
    """Parent: open these models.

    Attributes:
        options: Options of the session.
        confirm: Ask the parent before a download.
        verbose: Send llama.cpp's log.
        keep_alive: Seconds to wait, after this parent, for another one with the same options and stamps.
        stamps: Files of the options and folder of calibrations, each with the time of its last change.
    """

    options: SessionOptions
    confirm: bool
    verbose: bool
    keep_alive: float = 0.0
    stamps: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Consent:
    """Parent: the reply to a ``DownloadPlan``."""

    allows: bool


@dataclass(frozen=True, slots=True)
class StartRun:
    """Parent: search the ``Request`` messages that follow."""


@dataclass(frozen=True, slots=True)
class EndOfQuestions:
    """Parent: there are no more questions."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Parent: end the search of this question, which has begun, and take the best answer so far if asked."""

    problem: str
    takes_answer: bool = False


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Parent: stop all searches, even in the middle of a batch."""


@dataclass(frozen=True, slots=True)
class Report:
    """Worker: a text for the parent's ``Reporting``.

    Attributes:
        topic: Meaning of the text: a status line, part of llama.cpp's log, or the file to be opened next.
        text: The text.
    """

    topic: Literal["status", "log", "loading"]
    text: str


@dataclass(frozen=True, slots=True)
class ModelsOpened:
    """Worker: the models are open.

    Attributes:
        conditions: Models and warnings of a search, by kind of problem.
        modes: Modes that ``auto`` may choose.
        files: Label, path and sha256 of each model.
    """

    conditions: Mapping[KindName, Conditions]
    modes: tuple[Mode, ...]
    files: tuple[tuple[str, Path, str], ...]

    @classmethod
    def of(cls, session: AnySession) -> Self:
        """The message for an open session."""
        conditions = {kind: session.conditions(kind) for kind in KINDS}
        return cls(conditions, session.modes, tuple(session.listing()))


@dataclass(frozen=True, slots=True)
class SearchEvent:
    """Worker: an event of a question's search, without hidden states."""

    problem: str
    event: Annotated[Event, OneOf(EVENT_TYPES, "kind")]


@dataclass(frozen=True, slots=True)
class RunEnded:
    """Worker: all searches of the run have ended."""


FromParent = OpenModels | Consent | StartRun | Request | EndOfQuestions | Cancel | Interrupt
FromWorker = Report | Transfer | DownloadPlan | ModelsOpened | SearchEvent | RunEnded | SearchFailed
"""``SearchFailed`` is an error that ends the worker and all its searches."""
Message = FromParent | FromWorker

_MESSAGES: Mapping[str, type[Any]] = {
    cls.__name__: cls for cls in (*typing.get_args(FromParent), *typing.get_args(FromWorker))
}


def encode(message: Message) -> bytes:
    """One line.

    Raises:
        UsageError: the name of a file is not UTF-8; Python decodes it with surrogates.
    """
    fields = json.dumps(to_plain(message), ensure_ascii=False, separators=(",", ":"))
    try:
        return f"{type(message).__name__} {fields}\n".encode()
    except UnicodeEncodeError as exc:
        raise UsageError("the name of a file is not UTF-8", hint="rename the file") from exc


def decode(line: bytes) -> Any:
    """The message of a line."""
    name, _, fields = line.decode().partition(" ")
    return build(_MESSAGES[name], fields)


if TYPE_CHECKING:
    from adascale.engine.search.driver import Driver

    from ..llama.model import AbortFlag

_STACK = 1 << 30
"""Stack of the thread that tokenizes, in bytes of address space.

llama.cpp splits a text by recursion, with some 400 bytes for each character of a run without letters and
blanks: the usual 8 MB overflow at 20,000 characters.
"""


def kept_socket() -> Path:
    """Socket at which a worker waits for another parent, in a folder of this user only; it may be stale."""
    return state_folder() / "worker" / "socket"


def _sender(out: IO[bytes]) -> Callable[[FromWorker], None]:
    """A function that sends messages to one parent; if the parent has ended, they are lost."""
    lock = threading.Lock()  # llama.cpp may log from its own threads

    def send(message: FromWorker) -> None:
        with lock, suppress(OSError):
            out.write(encode(message))
            out.flush()

    return send


def main() -> None:
    """Serve the parent at the other end of stdin and stdout until it ends."""
    # Libraries print to stderr, not between the messages.
    server = Server(_sender(os.fdopen(os.dup(1), "wb")))
    os.dup2(2, 1)
    # Not sys.stdin: a thread that waits for a line holds its lock, and Python aborts at exit if it is held.
    lines = os.fdopen(os.dup(0), "rb")
    threading.Thread(target=_listen, args=(lines, server), daemon=True).start()
    threading.stack_size(_STACK)
    models = threading.Thread(target=server.serve)
    models.start()
    threading.stack_size(0)  # the usual one for all other threads
    models.join()


def _listen(lines: Iterable[bytes], server: Server) -> None:
    """Pass messages on; end this process with its parent, or at a line that is no message."""
    try:
        while True:
            for line in lines:
                server.receive(decode(line))
            server.receive(Interrupt())
            if (connection := _next_parent(server.keep_alive)) is None:
                break
            server.attend(_sender(connection.makefile("wb")))
            lines = connection.makefile("rb")
    except BaseException as error:
        print(f"the worker cannot read messages: {error!r}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def _next_parent(seconds: float) -> socket.socket | None:
    """Wait for another parent; None if none comes in time."""
    if sys.platform == "win32" or not seconds:
        return None
    path = kept_socket()
    with suppress(OSError), socket.socket(socket.AF_UNIX) as listener:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        listener.listen(1)
        listener.settimeout(seconds)
        return listener.accept()[0]
    return None


class Server:
    """Opens models and searches with them, as the parent's messages ask.

    Args:
        send: Sends a message to the parent; called from any thread.

    Attributes:
        keep_alive: Seconds to wait for another parent after this one.
    """

    def __init__(self, send: Callable[[FromWorker], None]) -> None:
        self._send = send
        self.keep_alive = 0.0
        self._inbox: SimpleQueue[FromParent | Callable[[FromWorker], None] | None] = SimpleQueue()
        self._abort: AbortFlag | threading.Event | None = None
        self._driver: Driver | None = None
        self._interrupted = False

    def receive(self, message: FromParent | None) -> None:
        """Take a message of the parent, or None to end; ``Interrupt`` and ``Cancel`` act at once."""
        match message:
            case Interrupt():
                self._interrupted = True
                if self._driver is not None:
                    self._driver.interrupt()
                if self._abort is not None:
                    self._abort.set()
                message = EndOfQuestions()  # for a run that waits for a question
            case Cancel():
                if self._driver is not None:
                    self._driver.cancel(message.problem, takes_answer=message.takes_answer)
                return
            case StartRun():
                self._interrupted = False
        self._inbox.put(message)

    def attend(self, send: Callable[[FromWorker], None]) -> None:
        """Serve another parent after the run of the last one."""
        self._inbox.put(send)

    def serve(self) -> None:
        """Open the models and search; an error is sent to the parent."""
        try:
            self._serve()
        except Exception as error:
            explanation = explained(error, "ADASCALE_DEBUG=1 shows where; please report it")
            if explanation.slug == "unexpected" and os.environ.get("ADASCALE_DEBUG"):
                raise
            self._send(SearchFailed.of(explanation))

    def _serve(self) -> None:
        from .. import open_session
        from ..options import Reporting

        opening = self._inbox.get()
        assert isinstance(opening, OpenModels), "the first message opens the models"
        reporting = Reporting(
            status=lambda text: self._send(Report("status", text)),
            on_progress=self._send,
            confirm=self._confirm if opening.confirm else None,
            log=(lambda text: self._send(Report("log", text))) if opening.verbose else None,
            loading=lambda path: self._send(Report("loading", path.name)),
        )
        with open_session(opening.options, reporting) as session:
            self._abort = session.abort
            self._send(ModelsOpened.of(session))
            self.keep_alive = opening.keep_alive
            for message in iter(self._inbox.get, None):
                if callable(message):
                    self._send = message
                if isinstance(message, OpenModels):
                    if (message.options, message.stamps) != (opening.options, opening.stamps):
                        return
                    self._send(ModelsOpened.of(session))
                if not isinstance(message, StartRun):  # a message for a run that has ended
                    continue
                driver = self._driver = session.driver(time.monotonic)
                if self._interrupted:  # before the driver existed
                    driver.interrupt()
                for problem, event in driver.serve(self._requests(driver)):
                    self._send(SearchEvent(problem.id, event))
                self._send(RunEnded())

    def _requests(self, driver: Driver) -> Iterator[Request | None]:
        """The parent's questions; None while searches are running and no question has arrived."""
        while True:
            try:
                message = self._inbox.get(block=not driver.busy)
            except Empty:
                yield None
                continue
            if not isinstance(message, Request):
                return
            yield message

    def _confirm(self, plan: DownloadPlan) -> bool:
        self._send(plan)
        return self._inbox.get() == Consent(True)  # not after an interruption
