"""The composition root: options to an open session, with its progress on stderr."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from adascale.engine.search.settings import Settings

from .options.model_options import ModelOptions
from .options.run_options import RunOptions
from .options.values import parse_gpu_layers
from .terminal.console import clean, say
from .terminal.signals import SIGNALS, graceful
from .terminal.transfer import TransferView, announce, ask_consent

if TYPE_CHECKING:
    from adascale.engine.search.driver import Driver
    from adascale.models.files.progress import DownloadPlan, Transfer
    from adascale.models.options import Purpose, Reporting, SessionOptions
    from adascale.models.session import Session
    from adascale.models.worker.client import Worker
    from adascale.models.worker.ray_cluster import Cluster

MAX_BRANCHES = 32
"""Branches that run at once; more samples wait for a free one."""


@contextmanager
def open_worker(options: RunOptions, branches: int, status: Callable[[str], None]) -> Iterator[Worker]:
    """Open the models of a run in a process of their own."""
    from adascale.models.worker.client import Worker

    with ExitStack() as transferring:
        transfers = transferring.enter_context(TransferView())

        def tell(text: str) -> None:
            transferring.close()  # its bars and a renderer cannot have the terminal both
            status(text)

        reporting = _reporting(options, tell, transfers, free=lambda: status(""))
        with Worker(_session_options(options, options.calibration, branches), reporting) as worker:
            transferring.close()
            _say_files(options, worker.opened.files)
            yield worker


@contextmanager
def open_cluster(
    options: RunOptions, address: str, branches: int, status: Callable[[str], None]
) -> Iterator[Cluster]:
    """Open the models of a run on every node of a Ray cluster."""
    from adascale.models.options import Reporting
    from adascale.models.worker.ray_cluster import Cluster

    reporting = Reporting(status, log=_write_log if options.verbose > 1 else None)
    opening = _session_options(options, options.calibration, branches)
    with Cluster(address, opening, reporting) as cluster:
        _say_files(options, cluster.opened.files)
        yield cluster


@contextmanager
def open_session(options: ModelOptions, calibration: str, *, purpose: Purpose) -> Iterator[Session]:
    """Fetch, check and load the models of an evaluation or a calibration, in this process."""
    _set_offline(options)
    from adascale.models.session import Session

    def status(text: str) -> None:
        if not options.quiet:
            say(f"adascale: {clean(text)}")

    with TransferView() as transfers:
        opening = _session_options(options, calibration, MAX_BRANCHES, purpose)
        session = Session(opening, _reporting(options, status, transfers))
        session.fetch()
    with ExitStack() as opened:
        # A signal in the middle of loading waits for the call into llama.cpp; a measurement is cut short.
        with graceful(session.abort.set, ends=SIGNALS):
            opened.enter_context(session)
        _say_files(options, session.files.listed())
        yield session


def _session_options(
    options: ModelOptions, calibration: str, branches: int, purpose: Purpose = "search"
) -> SessionOptions:
    _set_offline(options)
    from adascale.models.options import SamplingOverrides, SessionOptions

    return SessionOptions(
        generator=options.generator,
        prm=options.prm,
        branches=min(branches, MAX_BRANCHES),
        ctx_size=options.ctx_size,
        threads=options.threads,
        gpu_layers=parse_gpu_layers(options.gpu_layers),
        sampling=SamplingOverrides(options.heat(), options.top_p, options.max_tokens),
        system=options.system,
        offline=options.offline,
        force=options.force,
        calibration=calibration,
        purpose=purpose,
    )


def _set_offline(options: ModelOptions) -> None:
    if options.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"  # huggingface_hub reads it once, when it is imported


def _reporting(
    options: ModelOptions,
    status: Callable[[str], None],
    transfers: TransferView,
    free: Callable[[], None] = lambda: None,
) -> Reporting:
    """``free`` frees the terminal for a question or for the bars of a download."""
    from adascale.models.options import Reporting

    def consent(plan: DownloadPlan) -> bool:
        free()
        return announce(plan) if options.yes else ask_consent(plan)

    def show(transfer: Transfer) -> None:
        free()
        transfers.on_progress(transfer)

    log = _write_log if options.verbose > 1 else None
    return Reporting(status, None if options.quiet else show, consent, log)


def _write_log(text: str) -> None:
    sys.stderr.write(clean(text))


def _say_files(options: ModelOptions, files: Sequence[tuple[str, Path, str]]) -> None:
    if options.verbose:
        for label, path, sha256 in files:
            say(f"{label} {path} sha256 {sha256[:12]}")


def settings_for(options: RunOptions, worker: Worker | Cluster) -> Settings:
    """What the driver needs to know of a run; a seed is drawn if none was given."""
    seed = secrets.randbits(31) if options.seed is None else options.seed
    if options.verbose:
        say(f"seed {seed}")
    return Settings(
        strategy=options.chosen(),
        budget=options.limits(),
        seed=seed,
        models=worker.opened.models,
        warnings=worker.opened.warnings,
    )


@contextmanager
def stoppable(session: Session, driver: Driver) -> Iterator[Driver]:
    """The driver, which the first Ctrl-C stops in the middle of a batch."""

    def stop() -> None:
        driver.interrupt()
        session.abort.set()

    with graceful(stop):
        yield driver
