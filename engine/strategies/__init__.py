"""Strategies: each is a frozen dataclass of its parameters, with a plan that decides what to draw next.

``base`` says what a strategy is and what its plan may ask for; ``sampling`` draws whole trajectories at once,
``beam`` grows trees step by step, ``rollouts`` draws what a calibration is fitted on. The stop
rules: ``adaptive`` (the default, with its presets of effort) stops by calibrated estimates and redraws steps
with a wrong sum, ``vote_stopping`` by votes alone, ``passing`` by the tests of a code task. ``allocation``
has the paper's rules and numbers. A new strategy is a dataclass in one of these files and its name in the
table below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Literal

from ..errors import UsageError
from ..types import Kind, Mode
from . import adaptive, passing
from .adaptive import Adaptive, Effort
from .base import Adapt, Command, Cut, Expand, InstanceAdaptive, Plan, Strategy, gather
from .beam import DVTS, Beam
from .passing import Passing
from .sampling import BestOfN, Greedy, Vote
from .vote_stopping import AdaptiveConsistency, EarlyStopping, FirstTo, Margin, ProseAndProgram

__all__ = [
    "DVTS",
    "EFFORTS",
    "STRATEGIES",
    "Adapt",
    "Adaptive",
    "AdaptiveConsistency",
    "Beam",
    "BestOfN",
    "Command",
    "Cut",
    "EarlyStopping",
    "Effort",
    "Expand",
    "FirstTo",
    "Greedy",
    "InstanceAdaptive",
    "Margin",
    "ModeChoice",
    "Passing",
    "Plan",
    "ProseAndProgram",
    "Strategy",
    "Vote",
    "effort_named",
    "gather",
    "strategy_named",
    "with_mode",
]

ModeChoice = Literal["auto", "prose", "program"]
"""How trajectories are to reason; ``auto`` leaves it to the strategy and to what a calibration knows."""

STRATEGIES: dict[str, type[Strategy]] = {
    cls.name: cls
    for cls in (
        Greedy,
        Vote,
        BestOfN,
        Beam,
        DVTS,
        Adaptive,
        AdaptiveConsistency,
        FirstTo,
        Margin,
        EarlyStopping,
        ProseAndProgram,
        Passing,
    )
}


EFFORTS: Mapping[Kind, Mapping[Effort, Strategy]] = {"question": adaptive.EFFORTS, "task": passing.EFFORTS}
"""The strategy of each effort, by the kind of problem."""


def strategy_named(name: str, **parameters: Any) -> Strategy:
    """The strategy of that name, with those of the parameters that it has; others are left out.

    Raises:
        UsageError: there is none, or a parameter that no search could end with.
    """
    if name not in STRATEGIES:
        raise UsageError(f'no strategy called "{name}"', hint=f"use one of {', '.join(STRATEGIES)}")
    strategy = STRATEGIES[name]
    own = {field.name for field in fields(strategy)}
    given = {key: value for key, value in parameters.items() if key in own}
    if "modes" in given:
        given["modes"] = tuple(given["modes"])  # JSON has lists
    return strategy(**given)


def effort_named(name: str) -> Effort:
    """The effort of that name.

    Raises:
        UsageError: there is none.
    """
    for effort in adaptive.EFFORTS:
        if effort == name:
            return effort
    raise UsageError(f'no effort called "{name}"', hint=f"use one of {', '.join(adaptive.EFFORTS)}")


def with_mode(strategy: Strategy, mode: ModeChoice, among: Sequence[Mode] = ()) -> Strategy:
    """The strategy with its modes as they were chosen.

    Args:
        strategy: With its own modes.
        mode: The choice; ``auto`` gives a strategy that looks ahead, which weighs modes against each other,
            those that there are, and leaves any other as it is.
        among: Modes that open models leave to ``auto``; empty while none is open.

    Raises:
        UsageError: the strategy does not reason in that mode.
    """
    if mode != "auto":
        return replace(strategy, modes=(mode,))
    return replace(strategy, modes=tuple(among)) if among and strategy.looks_ahead else strategy
