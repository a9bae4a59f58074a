"""How a command opens models: callbacks of downloads and loading, a process or a cluster, another server."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from adascale.engine.errors import UsageError
from adascale.models.options import FallbackOptions, Reporting, SessionOptions

from .options.command_line import env
from .terminal.progress import TransferView, consents
from .terminal.signals import SIGNALS, graceful
from .terminal.streams import say
from .terminal.text import clean

if TYPE_CHECKING:
    from adascale.engine.search.driver import Driver
    from adascale.models import AnySession
    from adascale.models.fallback import Fallback
    from adascale.models.files.cache import DownloadPlan, Transfer
    from adascale.models.files.library import ModelFile
    from adascale.models.worker.client import Worker
    from adascale.models.worker.ray import Cluster

    from .options.settings import Settings

_FALLBACK_KEY = env("fallback_key")


def read_api_key(text: str, source: str) -> str:
    """An API key without the white space around it.

    Args:
        text: The key, perhaps the content of a file.
        source: The option or variable that sets it, as a user types it.

    Raises:
        UsageError: it is empty, or no HTTP header can carry it.
    """
    key = text.strip()
    if not key:
        raise UsageError("the API key is empty", hint=f"{source} with a key in it")
    if not (key.isascii() and key.isprintable()):
        raise UsageError(
            "the API key has characters that no HTTP header carries", hint="a key of ASCII letters and digits"
        )
    return key


def open_fallback(options: FallbackOptions) -> Fallback | None:
    """The server that was chosen; None without one.

    Raises:
        UsageError: its URL or key cannot be used.
    """
    key = os.environ.pop(_FALLBACK_KEY, None)  # no process of ours inherits it
    if options.url is None:
        return None
    from adascale.models.fallback import Fallback

    return Fallback(options, None if key is None else read_api_key(key, _FALLBACK_KEY))


def say_status(settings: Settings) -> Callable[[str], None]:
    """A function that writes each status as a line on stderr, unless -q was given."""

    def say_line(text: str) -> None:
        if text and not settings.quiet:
            say(f"adascale: {text}")

    return say_line


@contextmanager
def reporting(
    options: SessionOptions, settings: Settings, status: Callable[[str], None]
) -> Iterator[Reporting]:
    """Callbacks of a session. The bars of downloads end at the first status: one of both has the terminal."""
    set_offline(options.offline)
    with ExitStack() as transferring:
        transfers = transferring.enter_context(TransferView())

        def tell(text: str) -> None:
            transferring.close()
            status(text)

        def consent(plan: DownloadPlan) -> bool:
            status("")
            return consents(plan, asks=not settings.yes)

        def show(transfer: Transfer) -> None:
            status("")
            transfers.on_progress(transfer)

        log = (lambda text: print(clean(text), end="", file=sys.stderr)) if settings.verbose > 1 else None
        yield Reporting(tell, None if settings.quiet else show, consent, log)


def _say_files(settings: Settings, files: Sequence[tuple[str, Path, str]]) -> None:
    if settings.verbose:
        for label, path, sha256 in files:
            say(f"{label} {path} sha256 {sha256[:12]}")


@contextmanager
def open_worker(
    options: SessionOptions, settings: Settings, status: Callable[[str], None]
) -> Iterator[Worker]:
    """Open the models of a run in a process of their own.

    Args:
        options: The models.
        settings: Those of the command.
        status: Shows a status line; an empty one frees the terminal.
    """
    with reporting(options, settings, status) as report:
        from adascale.models.worker.client import Worker

        with Worker(options, report, settings.keep_alive) as worker:
            _say_files(settings, worker.open_models.files)
            yield worker


@contextmanager
def open_cluster(
    options: SessionOptions, settings: Settings, status: Callable[[str], None]
) -> Iterator[Cluster]:
    """Open the models of a run on every node of a Ray cluster; as ``open_worker``."""
    set_offline(options.offline)
    from adascale.models.worker.ray import Cluster

    with Cluster(str(settings.ray), options, status) as cluster:
        _say_files(settings, cluster.open_models.files)
        yield cluster


@contextmanager
def open_session(options: SessionOptions, settings: Settings) -> Iterator[AnySession]:
    """Fetch, check and load the models of a calibration, in this process."""
    with reporting(options, settings, say_status(settings)) as report, ExitStack() as stack:
        from adascale import models

        session = models.open_session(options, report)
        files = session.listing()  # downloads missing files
        # A signal in the middle of loading waits for the call into llama.cpp; a measurement is cut short.
        with graceful(session.abort.set, ends=SIGNALS):
            stack.enter_context(session)
        _say_files(settings, files)
        yield session


@contextmanager
def stoppable(session: AnySession, driver: Driver) -> Iterator[Driver]:
    """The driver; the first Ctrl-C stops it in the middle of a decode batch."""

    def stop() -> None:
        driver.interrupt()
        session.abort.set()

    with graceful(stop):
        yield driver


def set_offline(offline: bool) -> None:
    """Keep huggingface_hub off the network if ``offline``; call it before the import."""
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"  # huggingface_hub reads it once, when it is imported


def fetch(reference: str, *, yes: bool, offline: bool) -> ModelFile:
    """Find and check the file of a model, after a download if need be, and open nothing.

    Raises:
        ModelError, DiskFullError: it is not available.
    """
    set_offline(offline)
    from adascale.models.files.library import resolve

    with TransferView() as view:
        return resolve(reference, on_progress=view.on_progress, confirm=partial(consents, asks=not yes))
