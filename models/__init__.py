"""The outside: GGUF files, llama.cpp, process reward models, model sources, other servers.

``open_session`` is the one place that decides if a model is a file or behind a server (``upstream``).
``session`` opens files: ``options`` says how, ``session_plan`` finds files, and has the prompt, sampler and
calibration of each mode; ``worker`` does so in a process of its own. ``files`` finds and verifies model
files, ``llama`` runs a generator, ``prm`` scores steps, ``calibration`` keeps what turns scores into
probabilities, ``programs`` runs programs in a sandbox. ``machine`` measures what is free, ``sizing`` says how
long a trajectory may get and whether models fit. ``rows`` reads CSV and JSON Lines, ``questions`` makes
questions of them, and chooses those of a fit. ``lines`` are files that only grow, and ``storage`` has the
folders of what outlives a run.
``limited_child`` compares answers by computer algebra in a child process. ``fallback`` asks another server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from adascale.engine.answers.equality import use_verifier

if TYPE_CHECKING:
    from pathlib import Path
    from threading import Event

    from adascale.engine.ports import Clock, Policy
    from adascale.engine.request import Conditions
    from adascale.engine.search.driver import Driver
    from adascale.engine.types import KindName, Mode, Schedule

    from .calibration.artefact import Fingerprint
    from .llama.model import AbortFlag
    from .options import Reporting, SessionOptions


class AnySession(Protocol):
    """A model that is open for searches, in this process or behind a server; a context manager."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...

    @property
    def abort(self) -> AbortFlag | Event:
        """Stops what runs; safe to set from any thread or signal handler."""

    @property
    def options(self) -> SessionOptions:
        """Options of the session."""

    @property
    def name(self) -> str:
        """The model as a calibration's card names it."""

    @property
    def fingerprint(self) -> Fingerprint:
        """All that a fit of values belongs to."""

    @property
    def policy(self) -> Policy:
        """The model as the engine sees it."""

    @property
    def is_open(self) -> bool:
        """True from entry to exit."""

    @property
    def modes(self) -> tuple[Mode, ...]:
        """Modes that ``auto`` may use for a value, the one that is drawn first in front."""

    @property
    def schedule(self) -> Schedule:
        """Branches of a search that run side by side."""

    def listing(self) -> list[tuple[str, Path, str]]:
        """Label, path and sha256 of each file, which is downloaded if it is missing."""

    def conditions(self, kind: KindName) -> Conditions:
        """Models and warnings of the searches of one kind of problem."""

    def driver(self, clock: Clock, policy: Policy | None = None) -> Driver:
        """A driver over the model, or a policy in its place, after clearing an earlier abort."""


def _ask_math_verify(gold: str, answer: str) -> bool | None:
    from .limited_child import ask_math_verify

    return ask_math_verify(gold, answer)


def open_session(options: SessionOptions, reporting: Reporting | None = None) -> AnySession:
    """The session of a model: over a server if it is an address, else over files; a context manager.

    Raises:
        UsageError: an option is not for a server.
    """
    from .options import Reporting
    from .upstream.address import is_address

    if is_address(options.generator):
        from .upstream.session import UpstreamSession

        return UpstreamSession(options, reporting or Reporting())
    from .llama.chat import prepare

    prepare()  # while this process loads libraries and models
    from .session import Session

    return Session(options, reporting or Reporting())


# Whoever compares answers imports this package, in whichever process; a search hands no verifier around.
use_verifier(_ask_math_verify)
