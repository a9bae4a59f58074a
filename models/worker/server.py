"""A process that hosts the models, spoken to by messages (``remote.py`` is the other side).

llama.cpp aborts on what it did not expect, and the OOM killer asks nobody; in a process of its own that is a
message to the parent, which still has everything that was answered. Messages are pickled dataclasses, one
after another. The worker asks for questions one by one as it has room for them. It ends when its stdin does,
in the middle of a batch if need be, so that no parent that was killed leaves one behind.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, BinaryIO

from adascale.engine.description import ModelDescription
from adascale.engine.errors import AdascaleError
from adascale.engine.remedies import setting
from adascale.engine.search.events import Event
from adascale.engine.search.settings import Settings
from adascale.engine.types import Notice, Problem

from ..files.progress import DownloadPlan

if TYPE_CHECKING:
    from adascale.engine.search.driver import Driver

    from ..open_session import OpenSession
    from ..options import SessionOptions


@dataclass(frozen=True, slots=True)
class Open:
    """Parent: open these models.

    Attributes:
        options: Of the session.
        confirm: Whether the parent wants to be asked before a download.
        verbose: Whether the parent wants llama.cpp's log.
    """

    options: SessionOptions
    confirm: bool
    verbose: bool


@dataclass(frozen=True, slots=True)
class Search:
    """Parent: search what ``Wanted`` will be answered with."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Parent: stop after the current batch, or in the middle of it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Parent: there are no more questions."""


@dataclass(frozen=True, slots=True)
class Said:
    """Worker: what it is doing."""

    text: str


@dataclass(frozen=True, slots=True)
class Loading:
    """Worker: llama.cpp is about to open this file.

    Attributes:
        file: Its name.
    """

    file: str


@dataclass(frozen=True, slots=True)
class Logged:
    """Worker: what llama.cpp logs."""

    text: str


@dataclass(frozen=True, slots=True)
class Opened:
    """Worker: the models are open.

    Attributes:
        models: As ``OpenSession.describe`` tells.
        warnings: As ``OpenSession.warnings`` tells.
        files: Label, path and sha256 of each model.
    """

    models: ModelDescription
    warnings: tuple[Notice, ...]
    files: tuple[tuple[str, Path, str], ...]


@dataclass(frozen=True, slots=True)
class Happened:
    """Worker: an event of a question."""

    problem: str
    event: Event


@dataclass(frozen=True, slots=True)
class Wanted:
    """Worker: room for one more question; answered with a ``Problem`` when there is one, or ``Ended``."""


@dataclass(frozen=True, slots=True)
class Done:
    """Worker: all searches have ended."""


def main() -> None:
    """Serve the parent at the other end of stdin and stdout until it has gone."""
    # Whatever a library prints must not get between the messages.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def tell(message: Any) -> None:
        try:
            pickle.dump(message, out, protocol=pickle.HIGHEST_PROTOCOL)
            out.flush()
        except BrokenPipeError:
            os._exit(1)

    server = Server(tell)
    threading.Thread(target=_listen, args=(sys.stdin.buffer, server), daemon=True).start()
    server.serve()


def _listen(source: BinaryIO, server: Server) -> None:
    """Pass messages on; the end of the parent counts at once."""
    while True:
        try:
            server.take(pickle.load(source))
        except (EOFError, pickle.UnpicklingError):
            os._exit(0)


class Server:
    """Opens models and searches with them, as messages say.

    Args:
        tell: Sends a message to the parent.
    """

    def __init__(self, tell: Callable[[Any], None]) -> None:
        self._send = tell
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        self._session: OpenSession | None = None
        self._driver: Driver | None = None
        self._telling = threading.Lock()

    def take(self, message: Any) -> None:
        """A message of the parent; an interruption counts at once."""
        if isinstance(message, Interrupt):
            if self._driver is not None:
                self._driver.interrupt()
            if self._session is not None:
                self._session.abort.set()
            self._inbox.put(Ended())  # whoever waits for a question waits no longer
        else:
            self._inbox.put(message)

    def serve(self) -> None:
        """Do what the messages say, for ever; what fails is told."""
        try:
            self._open(self._inbox.get())
        except AdascaleError as error:
            self._tell(error)
        except Exception as error:
            if os.environ.get("ADASCALE_DEBUG"):
                raise
            text = f"something unexpected went wrong: {type(error).__name__}: {error}"
            self._tell(
                AdascaleError(
                    text, hint=f"{setting('debug')} shows where; please report it", slug="unexpected"
                )
            )

    def _open(self, wanted: Open) -> None:
        from ..options import Reporting
        from ..session import Session

        reporting = Reporting(
            status=lambda text: self._tell(Said(text)),
            on_progress=self._tell,
            confirm=self._confirm if wanted.confirm else None,
            log=(lambda text: self._tell(Logged(text))) if wanted.verbose else None,
            loading=lambda path: self._tell(Loading(path.name)),
        )
        with Session(wanted.options, reporting) as session:
            self._session = session
            self._tell(Opened(session.describe(), tuple(session.warnings), tuple(session.files.listed())))
            while True:
                message = self._inbox.get()
                if isinstance(message, Search):
                    self._search(session, message)

    def _search(self, session: OpenSession, wanted: Search) -> None:
        driver = self._driver = session.driver(time.monotonic)
        for problem, event in driver.run(self._questions(driver), wanted.settings):
            self._tell(Happened(problem.id, event))
        self._tell(Done())

    def _questions(self, driver: Driver) -> Iterator[Problem | None]:
        """What the parent has, one at a time; None while it has none yet and there is something to do."""
        while True:
            self._tell(Wanted())
            while True:
                try:
                    answer: Problem | Ended = self._inbox.get(block=not driver.busy)
                    break
                except Empty:
                    yield None
            if isinstance(answer, Ended):
                return
            yield answer

    def _confirm(self, plan: DownloadPlan) -> bool:
        self._tell(plan)
        return self._inbox.get() is True  # an interruption is no consent

    def _tell(self, message: Any) -> None:
        with self._telling:  # llama.cpp may log from a thread of its own
            self._send(message)
