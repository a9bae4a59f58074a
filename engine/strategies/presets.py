"""The choice of a strategy by its name, the numbers of an effort or of the paper, and a mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Literal

from ..errors import UsageError
from ..kind_table import KINDS
from ..types import KindName
from .adaptive import Adaptive
from .base import Strategy
from .beam import Beam
from .sampling import Agreement, BestOfN, Greedy, Passing, Readings, Vote

ModeChoice = Literal["auto", "prose", "program"]
"""Mode of reasoning; ``auto`` leaves it to the strategy and the calibration."""

STRATEGIES: dict[str, type[Strategy]] = {
    cls.name: cls for cls in (Greedy, Vote, BestOfN, Beam, Adaptive, Passing, Agreement, Readings)
}
"""The strategies by name; a program may add its own, which evaluations then find."""

Effort = Literal["low", "medium", "high", "max"]

_ADAPTIVE: Mapping[Effort, Adaptive] = {
    "low": Adaptive(8, lead=2),
    "medium": Adaptive(),
    "high": Adaptive(32, lead=4, hopeless=0.01),
    "max": Adaptive(64, lead=5, hopeless=0.0),
}

_OF_OPTIONS: Mapping[Effort, Adaptive] = {
    "low": Adaptive(4, lead=2, programs=4),
    "medium": Adaptive(8, lead=2, programs=8),
    "high": Adaptive(16, lead=3, programs=16),
    "max": Adaptive(32, lead=4, programs=32),
}
"""Questions with options: programs settle yes or no; prose is drawn if they fail (docs/research.md)."""

_AGREEING: Mapping[Effort, tuple[int, int]] = {
    "low": (2, 2),
    "medium": (6, 2),
    "high": (9, 3),
    "max": (16, 4),
}
"""Calls or readings at most, and how many of them have to agree."""

PRESETS: Mapping[str, Mapping[Effort, Strategy]] = {
    "values": _ADAPTIVE,
    # As many solutions in prose follow the programs: every program that asks for today's date fails.
    "dates": {effort: replace(each, samples=2 * each.programs) for effort, each in _OF_OPTIONS.items()},
    "options": _OF_OPTIONS,
    # The likeliest answer is right as often as a vote's; three others measure how sure it is.
    "facts": dict.fromkeys(_ADAPTIVE, Readings(4, 4)),
    # The limit of ``medium`` is measured on fitting tasks (docs/research.md), and the others
    # follow it: the fewer programs are left, the sooner a task is given up.
    "passing": {
        "low": Passing(4, hopeless=0.3),
        "medium": Passing(),
        "high": Passing(16, hopeless=0.05),
        "max": Passing(32, hopeless=0.0),
    },
    "calls": {effort: Agreement(*numbers) for effort, numbers in _AGREEING.items()},
    "objects": {effort: Readings(*numbers) for effort, numbers in _AGREEING.items()},
}
"""Strategies for each effort, by the name of a row (``Entry.efforts``)."""


def strategy_named(name: str, **parameters: Any) -> Strategy:
    """The strategy of a name with these parameters.

    Raises:
        UsageError: no strategy has this name, it lacks a parameter, or could not run with its value.
    """
    if name not in STRATEGIES:
        raise UsageError(f'no strategy called "{name}"', hint=f"use one of {', '.join(STRATEGIES)}")
    return STRATEGIES[name]().changed(**parameters)


def effort_named(name: str) -> Effort:
    """The effort of a name.

    Raises:
        UsageError: no effort has this name.
    """
    for effort in _ADAPTIVE:
        if effort == name:
            return effort
    raise UsageError(f'no effort called "{name}"', hint=f"use one of {', '.join(_ADAPTIVE)}")


def preset(kind: KindName, effort: Effort) -> Strategy:
    """The strategy of an effort for a kind of problem; a text gets one reply with any effort."""
    return PRESETS[KINDS[kind].efforts][effort]


def effort_numbers(strategy: Strategy, effort: Effort, kind: KindName = "value") -> dict[str, Any]:
    """Parameters that an effort sets in a strategy for a kind of problem.

    It sets all of the strategy that suits the kind, and the number of samples of any other.
    """
    usual = PRESETS[strategy.name][effort] if strategy.name in PRESETS else preset(kind, effort)
    numbers = {each.name: getattr(usual, each.name) for each in fields(usual) if each.name != "modes"}
    if type(usual) is type(strategy):
        return numbers
    return {"samples": numbers["samples"]} if strategy.has("samples") else {}
