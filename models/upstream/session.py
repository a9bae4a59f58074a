"""The session over a server, in the place of ``models.session.Session``."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

from adascale.engine.calibration.posterior import Posterior
from adascale.engine.errors import UsageError, setting
from adascale.engine.kinds import KINDS, prompt_of
from adascale.engine.ports import SequenceLogprob
from adascale.engine.search.events import GeneratorDescription, PRMDescription
from adascale.engine.types import KindName, Notice, Schedule

from .. import AnySession
from ..calibration.artefact import (
    Fingerprint,
    InstalledCalibrations,
    mismatches,
    read_installed,
)
from ..options import Reporting, SamplingParams, SessionOptions, samplers, with_own
from ..programs.executor import ProgramExecutor
from .address import Address
from .client import Client
from .policy import UpstreamPolicy
from .probe import probe
from .servers import Server

ASSUMED_SIZE = 1.5e9
"""Parameters of a model of unknown size."""

WIDEST = 16
"""Solutions of one question that run side by side at a server with more places than that."""


class UpstreamSession(AnySession):
    """A server that is open for searches; a context manager.

    Args:
        options: Address of the model, and settings.
        reporting: Shows status.

    Attributes:
        server: The server, and its limits.
        size: Parameters of the model, by the user, the server, or the default.

    Raises:
        UsageError: an option needs a model in this process.
        AdascaleError: on entry: the server cannot be used.
    """

    abort: threading.Event
    server: Server
    size: float

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

    def _open(self) -> None:
        options = self.options
        self._reporting.status(f"Asking {self._address.server}...")
        self.server = server = probe(self._address, options.patience)
        self.continues = server.continues
        usual = SamplingParams() if "top_k" in server.filters else SamplingParams(top_k=0)
        self._sampling = samplers(options, usual=usual)
        self.size = size = options.size or server.parameters or ASSUMED_SIZE
        self.executor = self._stack.enter_context(ProgramExecutor(unsandboxed=options.unsandboxed))
        client = self._stack.enter_context(closing(Client(self._address, self._reporting.status)))
        self._stack.callback(self.abort.set)  # a reader of events gets the last one
        self.policy = UpstreamPolicy(client, server, size, self._sampling, options, self.abort)
        self.reward_model = SequenceLogprob()
        is_judged = options.calibration == "auto" and options.prm != "none"
        installed = read_installed() if is_judged else InstalledCalibrations()
        self._unreadable = [Notice("calibration-unreadable", each.message) for each in installed.errors]
        fit = installed.find(self.fingerprint)
        if fit is not None and mismatches(fit.card, self.fingerprint):
            fit = None
        self.calibrations = {kind: fit for kind, entry in KINDS.items() if fit and entry.is_fitted}
        self.posteriors = {
            kind: Posterior.of_model(kind, size, fitted=fit.card.votes if fit and entry.is_fitted else None)
            for kind, entry in KINDS.items()
            if is_judged and entry.is_compared
            if server.logprobs or not entry.has_options
        }

    @property
    def name(self) -> str:
        """Address of the model, with the name that the server gives it."""
        return str(replace(self._address, name=self.server.model))

    @property
    def fingerprint(self) -> Fingerprint:
        """All that a fit of values belongs to."""
        prompts = _digest(json.dumps(self.drawn_with("value")))
        return Fingerprint(self.name, "", "votes", prompts, self._sampling["prose"].record(), 0)

    def drawn_with(self, kind: KindName) -> list[Any]:
        """All that a draw for a kind of problem depends on but its prefix and seed, as JSON."""
        names, own = (prompt_of(kind, mode) for mode in KINDS[kind].modes), self.options.system
        prompts = [[with_own(name, own), self._sampling[name].record()] for name in names]
        return [self.name, self.server.name, prompts]

    @property
    def schedule(self) -> Schedule:
        """Branches of a search that run side by side: one for each place of the server, up to a bound."""
        return Schedule.even(min(WIDEST, self.server.places))

    def _describe(
        self, kind: KindName
    ) -> tuple[GeneratorDescription, PRMDescription | None, Mapping[str, Any]]:
        name = KINDS[kind].prompt
        prompt = _digest(with_own(name, self.options.system))
        generator = GeneratorDescription(self.server.model, n_ctx=self.server.context or 0)
        return generator, None, {**self._sampling[name].record(), "prompt": prompt}

    def _warnings(self, kind: KindName) -> list[Notice]:
        server, notices = self.server, [*self._unreadable]
        if server.places == 1 and self.options.places is None:
            text = f"{self._address.server} writes one solution at a time"
            notices.append(Notice("upstream-serial", text, hint=server.more_places))
        is_sized = self.options.size or server.parameters or kind in self.calibrations
        if kind in self.posteriors and not is_sized:
            text = f"{self._address.server} does not report the size of {server.model}: 1.5B is assumed"
            hint = f"{setting('size', '4B')} sets it, and makes the number better"
            notices.append(Notice("size-assumed", text, hint=hint))
        return notices


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
