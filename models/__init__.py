"""The outside: GGUF files, llama.cpp, process reward models, model sources, other servers.

``open_session`` opens a model: a ``Session`` over files or an ``UpstreamSession`` over a server, both of
which are an ``AnySession``. ``options`` has their options, prompts and samplers; ``worker`` hosts one in a
process of its own. ``files`` finds and verifies model files, ``llama`` runs a generator, ``prm`` scores
steps, ``calibration`` keeps what turns scores into probabilities, ``programs`` runs programs in a sandbox.
``machine`` measures free memory, and ``sizing`` plans a session by it. ``rows`` reads CSV and JSON Lines, and
``questions`` makes questions of them. ``lines`` are files that only grow, and ``storage`` has the folders of
files that outlive a run. ``limited_child`` compares answers by computer algebra in a child process.
``fallback`` asks another server.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

from adascale.engine.answers.equality import use_verifier

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack
    from pathlib import Path
    from threading import Event

    from adascale.engine.calibration.posterior import Posterior
    from adascale.engine.ports import Clock, Executor, Policy, RewardModel
    from adascale.engine.request import Conditions
    from adascale.engine.search.driver import Driver
    from adascale.engine.search.events import GeneratorDescription, PRMDescription
    from adascale.engine.types import KindName, Mode, Notice, Schedule

    from .calibration.artefact import Artefact, Fingerprint
    from .llama.model import AbortFlag
    from .llama.policy import LlamaPolicy
    from .options import Reporting, SessionOptions
    from .upstream.policy import UpstreamPolicy


class AnySession(ABC):
    """A model that is open for searches, in this process or behind a server; a context manager.

    Attributes:
        abort: Stops what runs; safe to set from any thread or signal handler.
        options: Options of the session.
        is_open: True from entry to exit.
        policy: The generator as the engine sees it.
        reward_model: Scores steps.
        executor: Runs programs.
        posteriors: Judges of the answers of each kind; empty if scores are shown as scores.
        calibrations: Calibrations of these very models, by kind of problem.
        continues: The generator can continue a solution from any step.
    """

    abort: AbortFlag | Event
    options: SessionOptions
    is_open = False
    policy: LlamaPolicy | UpstreamPolicy
    reward_model: RewardModel
    executor: Executor
    posteriors: Mapping[KindName, Posterior]
    calibrations: Mapping[KindName, Artefact]
    continues = True
    _stack: ExitStack

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        self.is_open = True
        return self

    def __exit__(self, *exc: object) -> None:
        self.is_open = False
        self._stack.close()

    @abstractmethod
    def _open(self) -> None: ...

    @property
    @abstractmethod
    def name(self) -> str:
        """The model as a calibration's card names it."""

    @property
    @abstractmethod
    def fingerprint(self) -> Fingerprint:
        """All that a fit of values belongs to."""

    @property
    @abstractmethod
    def schedule(self) -> Schedule:
        """Branches of a search that run side by side."""

    def listing(self) -> list[tuple[str, Path, str]]:
        """Label, path and sha256 of each file; a missing file is downloaded first."""
        return []

    @property
    def modes(self) -> tuple[Mode, ...]:
        """Modes that ``auto`` may use for a value, in the order of drawing.

        A calibration has its own; without one, programs and prose vote.
        """
        judge = self.posteriors.get("value")
        if judge is None:
            return ("prose",)
        return ("program", "prose") if judge.head is None else tuple(judge.modes)

    def conditions(self, kind: KindName) -> Conditions:
        """Models and warnings of the searches of one kind of problem."""
        from adascale.engine.request import Conditions
        from adascale.engine.search.events import ModelDescription

        from .calibration.artefact import describe, describe_prior

        fit, judge = self.calibrations.get(kind), self.posteriors.get(kind)
        prior = None if judge is None else {**describe_prior(judge.unfitted), "level": "prior"}
        card = None if judge is None else describe(fit) if fit else describe_prior(judge)
        generator, prm, sampling = self._describe(kind)
        return Conditions(
            ModelDescription(generator, prm, card, sampling),
            tuple(self._warnings(kind)),
            self.schedule,
            prior if fit else None,
            self.continues,
            tuple(self.options.sampling.odds),
        )

    @abstractmethod
    def _describe(
        self, kind: KindName
    ) -> tuple[GeneratorDescription, PRMDescription | None, Mapping[str, Any]]:
        """Generator, PRM, and the numbers of the sampler with the digest of the prompt."""

    @abstractmethod
    def _warnings(self, kind: KindName) -> list[Notice]:
        """Options without effect, mismatches with the calibration, and unreadable calibrations."""

    def driver(self, clock: Clock, policy: Policy | None = None) -> Driver:
        """A driver over the model, or over a policy in its place, after clearing an earlier abort.

        Raises:
            UsageError: a search of the session has not ended: both would use the same branches.
        """
        from adascale.engine.errors import UsageError
        from adascale.engine.search.driver import Driver

        if self.policy.is_busy:
            raise UsageError(
                "another search of this session has not ended",
                hint="read its events to their end, or close their iterator",
                slug="session-busy",
            )
        self.abort.clear()
        return Driver(policy or self.policy, self.reward_model, self.posteriors, clock, self.executor)


def _ask_math_verify(gold: str, answer: str) -> bool | None:
    from .limited_child import ask_math_verify

    return ask_math_verify(gold, answer)


def open_session(options: SessionOptions, reporting: Reporting | None = None) -> AnySession:
    """The session of a model: over a server if its name is an address, else over files.

    Raises:
        UsageError: an option is not for a server.
    """
    from .options import Reporting
    from .upstream.address import is_address

    if is_address(options.generator):
        from .upstream.session import UpstreamSession

        return UpstreamSession(options, reporting or Reporting())
    from .llama.templates import prepare

    prepare()  # while this process loads libraries and models
    from .session import Session

    return Session(options, reporting or Reporting())


# Whoever compares answers imports this package, in whichever process; a search hands no verifier around.
use_verifier(_ask_math_verify)
