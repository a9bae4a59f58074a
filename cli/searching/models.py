"""Opening the models that a command's options name, with progress on stderr, and what they are asked."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from adascale.engine.search.settings import Request, Settings
from adascale.engine.strategies import Strategy
from adascale.engine.types import Problem
from adascale.models.options import Reporting, SessionOptions

from ..options.parts import CodeSearchOptions, SearchOptions, TerminalOptions
from ..terminal.console import clean, say
from ..terminal.signals import SIGNALS, graceful
from ..terminal.transfer import TransferView, announce, ask_consent

if TYPE_CHECKING:
    from adascale.engine.search.driver import Driver
    from adascale.models.files.progress import DownloadPlan, Transfer
    from adascale.models.session import OpenSession
    from adascale.models.worker.client import Worker
    from adascale.models.worker.messages import ModelsOpened
    from adascale.models.worker.ray import Cluster


def say_status(terminal: TerminalOptions) -> Callable[[str], None]:
    """A function that writes each status as a line on stderr, unless -q was given."""

    def say_line(text: str) -> None:
        if text and not terminal.quiet:
            say(f"adascale: {text}")

    return say_line


@contextmanager
def open_worker(
    options: SessionOptions, terminal: TerminalOptions, status: Callable[[str], None]
) -> Iterator[Worker]:
    """Open the models of a run in a process of their own.

    Args:
        options: The models and their settings.
        terminal: Options of messages and questions on the terminal.
        status: Shows a status line; an empty one frees the terminal.
    """
    set_offline(options.offline)
    from adascale.models.worker.client import Worker

    with _reporting(terminal, status) as reporting, Worker(options, reporting) as worker:
        _say_files(terminal, worker.open_models.files)
        yield worker


@contextmanager
def open_cluster(
    options: SessionOptions, terminal: TerminalOptions, status: Callable[[str], None], address: str
) -> Iterator[Cluster]:
    """Open the models of a run on every node of a Ray cluster; as ``open_worker``."""
    set_offline(options.offline)
    from adascale.models.worker.ray import Cluster

    with Cluster(address, options, status) as cluster:
        _say_files(terminal, cluster.open_models.files)
        yield cluster


@contextmanager
def open_session(options: SessionOptions, terminal: TerminalOptions) -> Iterator[OpenSession]:
    """Fetch, check and load the models of an evaluation or a calibration, in this process."""
    set_offline(options.offline)
    from adascale.models.session import Session

    with _reporting(terminal, say_status(terminal)) as reporting, ExitStack() as stack:
        models = Session(options, reporting)
        models.fetch()
        # A signal in the middle of loading waits for the call into llama.cpp; a measurement is cut short.
        with graceful(models.abort.set, ends=SIGNALS):
            session = stack.enter_context(models)
        _say_files(terminal, session.files.listing())
        yield session


def fetch_model(reference: str, terminal: TerminalOptions, *, offline: bool) -> None:
    """Find and check the file of a model, after a download if need be, and open nothing.

    Raises:
        ModelError, DiskFullError: it is not available.
    """
    from adascale.models.files.library import resolve

    with _reporting(terminal, say_status(terminal)) as reporting:
        resolve(reference, offline=offline, on_progress=reporting.on_progress, confirm=reporting.confirm)


def set_offline(offline: bool) -> None:
    """Keep huggingface_hub off the network if ``offline``; call it before the import."""
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"  # huggingface_hub reads it once, when it is imported


@contextmanager
def _reporting(terminal: TerminalOptions, status: Callable[[str], None]) -> Iterator[Reporting]:
    """Callbacks of a session. The bars of downloads end at the first status: one of both has the terminal."""
    with ExitStack() as transferring:
        transfers = transferring.enter_context(TransferView())

        def tell(text: str) -> None:
            transferring.close()
            status(text)

        def consent(plan: DownloadPlan) -> bool:
            status("")
            return (announce if terminal.yes else ask_consent)(plan)

        def show(transfer: Transfer) -> None:
            status("")
            transfers.on_progress(transfer)

        log = (lambda text: print(clean(text), end="", file=sys.stderr)) if terminal.verbose > 1 else None
        yield Reporting(tell, None if terminal.quiet else show, consent, log)


def _say_files(terminal: TerminalOptions, files: Sequence[tuple[str, Path, str]]) -> None:
    if terminal.verbose:
        for label, path, sha256 in files:
            say(f"{label} {path} sha256 {sha256[:12]}")


def choose_seed(search: SearchOptions | CodeSearchOptions, terminal: TerminalOptions) -> int:
    """The seed of a run, a random one if none is given; with -v it is shown."""
    seed = secrets.randbits(31) if search.seed is None else search.seed
    if terminal.verbose:
        say(f"seed {seed}")
    return seed


def request_for(
    problem: Problem,
    strategy: Strategy,
    search: SearchOptions | CodeSearchOptions,
    seed: int,
    opened: ModelsOpened,
) -> Request:
    """A problem, and how open models search it.

    Args:
        problem: The problem.
        strategy: Strategy made from ``search`` before the models were opened, so that an error in it costs no
            download.
        search: Budget, mode, and what is saved.
        seed: From ``choose_seed``.
        opened: The open models.
    """
    settings = Settings(strategy, search.budget, seed, width=search.width)
    settings = settings.under(opened.conditions[problem.kind])
    return Request(problem, settings.for_problem(problem, search.mode, opened.modes))


@contextmanager
def stoppable(session: OpenSession, driver: Driver) -> Iterator[Driver]:
    """The driver; the first Ctrl-C stops it in the middle of a decode batch."""

    def stop() -> None:
        driver.interrupt()
        session.abort.set()

    with graceful(stop):
        yield driver
