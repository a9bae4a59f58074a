"""What takes part in an evaluation, as typed: ``greedy,vote:4,best-of-n:16+n,beam,adaptive@low/prose``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import UsageError
from ..strategies import EFFORTS, InstanceAdaptive, Strategy, effort_named, strategy_named
from ..types import Kind, Mode
from .evaluate import Contestant

MODES_BY_NAME: Mapping[str, tuple[Mode, ...]] = {
    "prose": ("prose",),
    "program": ("program",),
    "both": ("prose", "program"),
}

_CONTESTANT = re.compile(r"([a-z-]+?)(?::(\d+))?(?:@([a-z]+))?(?:\+([a-z]+))?(?:/([a-z]+))?")


def parse_contestants(
    text: str, parameters: Mapping[str, Any], of_tasks: Mapping[str, Any] | None = None
) -> list[Contestant]:
    """Contestants of a comma-separated list; ``parameters`` hold for what one does not say itself.

    Strategies of code tasks have ``of_tasks`` instead, where it is given.

    ``NAME:N`` fixes the samples, or what else a strategy counts (``Strategy.size``); of a beam, N is width
    times branching, both the same. ``NAME@low`` has the numbers of an effort. ``+n``, ``+k``, ``+m`` and
    ``+km`` are the paper's rules (``InstanceAdaptive``). ``NAME/prose``, ``/program`` and ``/both`` say how
    trajectories reason.

    Raises:
        UsageError: one that is none, or stands there twice.
    """
    of_tasks = parameters if of_tasks is None else of_tasks
    by_kind: Mapping[Kind, Mapping[str, Any]] = {"question": parameters, "task": of_tasks}
    contestants = [_contestant(name.strip(), by_kind) for name in text.split(",") if name.strip()]
    names = [contestant.name for contestant in contestants]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{name} takes part twice")
    if not contestants:
        raise UsageError("no strategy takes part", hint="for example vote:4,vote:16,adaptive")
    return contestants


def in_code(contestants: Sequence[Contestant]) -> list[Contestant]:
    """The contestants as they search code tasks.

    Raises:
        UsageError: one of them grows trees of steps, or compares modes.
    """
    return [replace(each, strategy=replace(each.strategy, modes=("code",))) for each in contestants]


def _contestant(name: str, by_kind: Mapping[Kind, Mapping[str, Any]]) -> Contestant:
    match = _CONTESTANT.fullmatch(name)
    if match is None:
        raise UsageError(f'"{name}" is no strategy', hint="for example vote:16, beam or best-of-n:16+n")
    strategy, size, effort, rule, modes = match.groups()
    default = strategy_named(strategy)
    own = dict(by_kind[default.kind])
    if effort:
        own |= EFFORTS[default.kind][effort_named(effort)].parameters()
    if size:
        own |= _sized(name, default, int(size))
    if rule:
        rules = default.rules if isinstance(default, InstanceAdaptive) else ()
        if rule not in rules:
            allowed = ", ".join(f"+{each}" for each in rules)
            raise UsageError(f'"{name}": no such rule', hint=f"{strategy} has {allowed or 'none'}")
        own["adapt"] = rule
    if modes:
        if modes not in MODES_BY_NAME:
            raise UsageError(f'"{name}": no such mode', hint=f"use one of /{', /'.join(MODES_BY_NAME)}")
        own["modes"] = MODES_BY_NAME[modes]
    return Contestant(name, strategy_named(strategy, **own))


def _sized(name: str, strategy: Strategy, n: int) -> dict[str, int]:
    if n < 1:
        raise UsageError(f'"{name}": at least one sample')
    parameters = strategy.parameters()
    if strategy.size in parameters:
        return {strategy.size: n}
    side = math.isqrt(n)
    if "width" not in parameters or side * side != n:
        raise UsageError(
            f'"{name}": {n} samples do not fit it', hint="beam:16 keeps 4 prefixes with 4 children"
        )
    return {"width": side, "branching": side}
