"""The composition root: options to an open session, with its progress on stderr."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from adascale.engine.settings import Settings
from adascale.engine.strategies import SearchParams

from .console import clean, say, show_warning
from .options import RunOptions
from .signals import SIGNALS, graceful
from .transfer import TransferView, announce, ask_consent
from .values import parse_gpu_layers

if TYPE_CHECKING:
    from adascale.engine.driver import Driver
    from adascale.models.sampling import SamplingParams
    from adascale.models.session import Session
    from adascale.models.session_options import Purpose

MAX_BRANCHES = 32
"""Branches that run at once; more samples wait for a free one."""


@contextmanager
def open_session(
    options: RunOptions, branches: int, status: Callable[[str], None], *, purpose: Purpose = "search"
) -> Iterator[Session]:
    """Fetch, check and load the models of a run."""
    if options.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"  # huggingface_hub reads it once, when it is imported
    from adascale.models.session import Session
    from adascale.models.session_options import Reporting, SessionOptions

    _listen_to_llama(options.verbose)
    with TransferView() as transfers:
        session = Session(
            SessionOptions(
                generator=options.generator,
                prm=options.prm,
                branches=min(branches, MAX_BRANCHES),
                ctx_size=options.ctx_size,
                threads=options.threads,
                gpu_layers=_gpu_layers(options),
                sampling=_sampling(options),
                system=options.system,
                offline=options.offline,
                force=options.force,
                calibration=options.calibration,
                purpose=purpose,
            ),
            Reporting(
                status,
                None if options.quiet else transfers.on_progress,
                announce if options.yes else ask_consent,
            ),
        )
        session.fetch()
    with ExitStack() as opened:
        # A signal in the middle of loading waits for the call into llama.cpp; a measurement is cut short.
        with graceful(session.abort.set, ends=SIGNALS):
            opened.enter_context(session)
        if options.verbose:
            say(f"generator {session.generator.path} sha256 {session.generator.sha256[:12]}")
            if session.prm is not None:
                say(f"prm {session.prm.path} sha256 {session.prm.sha256[:12]}")
        yield session


def settings_for(options: RunOptions, session: Session, *, alone: bool = True) -> Settings:
    """What the driver needs to know of a run; a seed is drawn if none was given.

    Where a question is not ``alone``, others fill the batch, and it draws one trajectory after another.
    """
    seed = secrets.randbits(31) if options.seed is None else options.seed
    if options.verbose:
        say(f"seed {seed}")
    return Settings(
        strategy=options.chosen(),
        params=_with_wave(options, session, alone),
        budget=options.limits(),
        seed=seed,
        models=session.describe(),
        warnings=tuple(session.warnings),
    )


def _with_wave(options: RunOptions, session: Session, alone: bool) -> SearchParams:
    params = options.params()
    if options.wave is not None or not alone:
        return params
    return replace(params, costs=session.step_costs.relative(options.chosen().width(params)))


@contextmanager
def stoppable(session: Session, driver: Driver | None = None) -> Iterator[Driver]:
    """A driver, the session's own unless given, that the first Ctrl-C stops in the middle of a batch."""
    driver = driver or session.driver(time.monotonic)

    def stop() -> None:
        driver.interrupt()
        session.abort.set()

    with graceful(stop):
        yield driver


def _sampling(options: RunOptions) -> SamplingParams:
    from adascale.models.sampling import SamplingParams

    heat = options.heat()
    if heat is None:
        return SamplingParams(top_p=options.top_p)
    return SamplingParams(temperature=heat, top_p=options.top_p)


def _gpu_layers(options: RunOptions) -> int:
    from llama_cpp import llama_supports_gpu_offload

    asked = parse_gpu_layers(options.gpu_layers)
    if llama_supports_gpu_offload():
        return -1 if asked is None else asked
    if asked:
        show_warning(
            "no-gpu-build",
            f"--gpu-layers {options.gpu_layers} has no effect: this llama.cpp was built without GPU support; "
            "running on CPU",
            hint="adascale doctor shows how to install a GPU build",
        )
    return 0


def _listen_to_llama(verbose: int) -> None:
    if verbose < 2:
        return
    from adascale.models import native

    def show(level: int, text: str) -> None:
        sys.stderr.write(clean(text))

    native.listen(show)
