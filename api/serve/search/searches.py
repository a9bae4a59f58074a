"""What clients ask for, whatever protocol they speak, and its search in the server's worker."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from adascale.engine.errors import UsageError
from adascale.engine.search.events import Event
from adascale.engine.search.settings import Request, Settings
from adascale.engine.strategies import EFFORTS, Greedy, ModeChoice, Strategy, Vote
from adascale.engine.types import Budget, Notice, Problem

from ..http.errors import Refusal
from .hub import Hub
from .request import ServedEffort

PATIENCE = 2.0
"""Seconds without an event after which there is a None in the place of one."""

_AS_ASK = "1"
"""Name that seeds the draws: with the same seed they are those of ``adascale ask``."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a client asks for, and how it is searched.

    Attributes:
        problem: The question; its id is unique.
        strategy: How to search.
        mode: How to reason; ``auto`` goes by the strategy and the open models.
        limits: The client's own.
        seed: None draws one.
        client: Address, by which waiting searches take turns.
    """

    problem: Problem
    strategy: Strategy
    mode: ModeChoice = "auto"
    limits: Budget = Budget()
    seed: int | None = None
    client: str = ""


@dataclass(frozen=True, slots=True)
class Searches:
    """Runs searches in a hub.

    Attributes:
        hub: Has the worker.
        limits: Limits of every search; a client may only lower them.
    """

    hub: Hub
    limits: Budget = Budget()

    def run(self, asked: Ask) -> AbstractContextManager[AsyncIterator[Event | None]]:
        """Search while the block lasts; as ``Hub.search``.

        Raises:
            Refusal: the models are not open, too many searches wait, or the mode is none of the strategy's.
        """
        self.hub.check_open()
        opened = self.hub.worker.open_models
        conditions = opened.conditions[asked.problem.kind]
        settings = Settings(
            asked.strategy,
            lower(self.limits, asked.limits),
            secrets.randbits(31) if asked.seed is None else asked.seed,
            seeded_as=_AS_ASK,
        ).under(replace(conditions, warnings=_public(conditions.warnings)))
        try:
            settings = settings.in_mode(asked.mode, opened.modes)
        except UsageError as error:
            raise Refusal.of(error) from error
        return self.hub.search(Request(asked.problem, settings), asked.client, PATIENCE)


def _public(warnings: Iterable[Notice]) -> tuple[Notice, ...]:
    """Those that are for clients: the files of this machine are not."""
    return tuple(warning for warning in warnings if warning.code != "calibration-unreadable")


def strategy_of(effort: ServedEffort) -> Strategy:
    """How hard to try as a strategy."""
    match effort:
        case "none":
            return Greedy()
        case "chat":
            return Vote(samples=1)
        case _:
            return EFFORTS["value"][effort]


def lower(a: Budget, b: Budget) -> Budget:
    """The lower one of each limit."""
    tokens = [limit for limit in (a.max_tokens, b.max_tokens) if limit is not None]
    seconds = [limit for limit in (a.max_seconds, b.max_seconds) if limit is not None]
    return Budget(min(tokens, default=None), min(seconds, default=None))
