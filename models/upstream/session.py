"""The session over a server, in the place of ``models.session.Session``."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from adascale.engine.calibration.posterior import Posterior
from adascale.engine.errors import UsageError, setting
from adascale.engine.kinds import KINDS, prompt_of
from adascale.engine.ports import Clock, Policy, SequenceLogprob
from adascale.engine.request import Conditions
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import GeneratorDescription, ModelDescription
from adascale.engine.types import KindName, Mode, Notice, Schedule

from ..calibration.artefact import (
    Fingerprint,
    InstalledCalibrations,
    describe,
    describe_prior,
    mismatches,
    read_installed,
)
from ..options import Reporting, SamplingParams, SessionOptions, check_idle, samplers, with_own
from ..programs.executor import ProgramExecutor
from .address import Address
from .client import Client
from .policy import UpstreamPolicy
from .probe import probe
from .servers import Server

ASSUMED_SIZE = 1.5e9
"""Parameters of a model whose size neither the server nor the user says."""

WIDEST = 16
"""Solutions of one question that run side by side at a server with more places than that."""


class UpstreamSession:
    """A server that is open for searches, in the place of a ``Session``; a context manager.

    Args:
        options: Address of the model, and settings.
        reporting: Shows status.

    Attributes:
        abort: Ends what waits for the server; safe to set from any thread or signal handler.
        options: Options of the session.
        server: The server, and its limits.
        size: Parameters of the model, as far as anybody says.
        policy: The server's model as the engine sees it.
        executor: Runs programs.

    Raises:
        UsageError: an option needs a model in this process.
        AdascaleError: on entry: the server cannot be used.
    """

    server: Server
    size: float
    policy: UpstreamPolicy
    executor: ProgramExecutor

    def __init__(self, options: SessionOptions, reporting: Reporting = Reporting()) -> None:
        self.abort = threading.Event()
        self.options, self._reporting = options, reporting
        self._address = Address.of(options.generator)
        self._stack = ExitStack()
        for name, value, usual in (
            ("prm", options.prm, ("probe", "none")),
            ("calibration", options.calibration, ("auto", "none")),
            ("think", options.think, (0,)),
        ):
            if value not in usual:
                text = f"{setting(name)} is for a model in this process, not for a server"
                raise UsageError(text, hint="leave it out, or name a model or a file")

    def __enter__(self) -> Self:
        options = self.options
        self._reporting.status(f"Asking {self._address.server}...")
        self.server = server = probe(self._address, options.patience)
        usual = SamplingParams() if "top_k" in server.filters else SamplingParams(top_k=0)
        self._sampling = samplers(options, usual=usual)
        self.size = size = options.size or server.parameters or ASSUMED_SIZE
        self.executor = self._stack.enter_context(ProgramExecutor(unsandboxed=options.unsandboxed))
        client = self._stack.enter_context(closing(Client(self._address, self._reporting.status)))
        self.policy = UpstreamPolicy(client, server, size, self._sampling, options, self.abort)
        is_judged = options.calibration == "auto" and options.prm != "none"
        installed = read_installed() if is_judged else InstalledCalibrations()
        self._notices = [Notice("calibration-unreadable", each.message) for each in installed.errors]
        fit = installed.find(self.fingerprint)
        self._fit = None if fit is None or mismatches(fit.card, self.fingerprint) else fit
        votes = None if self._fit is None else self._fit.card.votes
        self._posteriors = {
            kind: Posterior.of_model(kind, size, fitted=votes if entry.is_fitted else None)
            for kind, entry in KINDS.items()
            if is_judged and entry.is_compared
            if server.logprobs or not entry.has_options
        }
        return self

    def __exit__(self, *exc: object) -> None:
        self.abort.set()  # whoever goes on reading events reads the last one
        self._stack.close()
        del self.policy

    @property
    def is_open(self) -> bool:
        """True from entry to exit."""
        return hasattr(self, "policy")

    @property
    def name(self) -> str:
        """Address of the model, with the name that the server gives it."""
        return str(replace(self._address, name=self.server.model))

    @property
    def fingerprint(self) -> Fingerprint:
        """All that a fit of values belongs to."""
        asked = _digest(json.dumps(self.drawn_with("value")))
        return Fingerprint(self.name, "", "votes", asked, self._sampling["prose"].record(), 0)

    def listing(self) -> list[tuple[str, Path, str]]:
        """Files of the session: none."""
        return []

    def drawn_with(self, kind: KindName) -> list[Any]:
        """All that a draw for a kind of problem depends on but its prefix and seed, as JSON."""
        names, own = (prompt_of(kind, mode) for mode in KINDS[kind].modes), self.options.system
        prompts = [[with_own(name, own), self._sampling[name].record()] for name in names]
        return [self.name, self.server.name, prompts]

    def driver(self, clock: Clock, policy: Policy | None = None) -> Driver:
        """A driver over the server, or a policy in its place, after clearing an earlier abort.

        Raises:
            UsageError: a search of the session has not ended.
        """
        check_idle(self.policy.is_busy)
        self.abort.clear()
        return Driver(policy or self.policy, SequenceLogprob(), self._posteriors, clock, self.executor)

    @property
    def modes(self) -> tuple[Mode, ...]:
        """Modes that ``auto`` may use for a value, as those of a ``Session`` without a fit."""
        return ("program", "prose") if self._posteriors else ("prose",)

    @property
    def schedule(self) -> Schedule:
        """Branches of a search that run side by side: one for each place of the server, up to a bound."""
        return Schedule.even(min(WIDEST, self.server.places))

    def conditions(self, kind: KindName) -> Conditions:
        """Model and warnings of the searches of one kind of problem."""
        server, name = self.server, KINDS[kind].prompt
        judge, fit = self._posteriors.get(kind), self._fit if KINDS[kind].is_fitted else None
        card = describe_prior(judge) if judge is not None else None
        unfitted = None if fit is None or card is None else {**card, "level": "prior"}
        models = ModelDescription(
            GeneratorDescription(server.model, n_ctx=server.context or 0),
            None,
            card if fit is None else describe(fit),
            {**self._sampling[name].record(), "prompt": _digest(with_own(name, self.options.system))},
        )
        found, set_odds = tuple(self._warnings(kind)), tuple(self.options.sampling.odds)
        return Conditions(models, found, self.schedule, unfitted, server.continues, set_odds)

    def _warnings(self, kind: KindName) -> Iterator[Notice]:
        server = self.server
        yield from self._notices
        if server.places == 1 and self.options.places is None:
            text = f"{self._address.server} writes one solution at a time"
            yield Notice("upstream-serial", text, hint=server.more_places)
        is_fitted = KINDS[kind].is_fitted and self._fit is not None
        if kind in self._posteriors and not (self.options.size or server.parameters or is_fitted):
            yield Notice(
                "size-assumed",
                f"{self._address.server} does not say how large {server.model} is: 1.5B is assumed",
                hint=f"{setting('size', '4B')} says it, and makes the number better",
            )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
