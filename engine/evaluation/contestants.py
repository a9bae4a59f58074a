"""The strategies of an evaluation as typed: ``greedy,vote:4,best-of-n:16+n,beam,adaptive@low/prose``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import UsageError, setting
from ..strategies import InstanceAdaptive, Passing, Preset, Strategy, effort_named
from ..strategies.agreement import Agreement
from ..strategies.presets import effort_numbers
from ..strategies.redraws import REDRAWS
from ..types import KindName, Mode
from .evaluate import Contestant

MODES_BY_NAME: Mapping[str, tuple[Mode, ...]] = {
    "prose": ("prose",),
    "program": ("program",),
    "both": ("prose", "program"),
}

_CONTESTANT = re.compile(
    r"([a-z-]+?)(?::(\d+))?(?:@([a-z]+))?(?:\+(?!redraw$)([a-z]+))?(?:/([a-z]+))?(\+redraw)?"
)


def parse_contestants(text: str, preset: Preset = Preset(), kind: KindName = "value") -> list[Contestant]:
    """Contestants of a comma-separated list; the preset holds for what one does not say itself.

    An effort has its numbers for the kind of problem that they will search.

    ``NAME:N`` fixes the samples, or what else a strategy counts (``Strategy.size``); of a beam, N is beams
    times branching, both the same. ``NAME@low`` has the numbers of an effort. ``+n``, ``+k``, ``+m`` and
    ``+km`` are the paper's rules (``InstanceAdaptive``). ``NAME/prose``, ``/program`` and ``/both`` say how
    trajectories reason; without one, they reason as those of ``ask`` do. ``+redraw`` at the end draws steps
    with a wrong sum again, as ``adaptive`` does.

    Raises:
        UsageError: one of them is not a strategy, or takes part twice.
    """
    contestants = [_contestant(name.strip(), preset, kind) for name in text.split(",") if name.strip()]
    names = [contestant.name for contestant in contestants]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{name} takes part twice")
    if not contestants:
        raise UsageError("no strategy takes part", hint="for example vote:4,vote:16,adaptive")
    return contestants


def for_kind(contestants: Sequence[Contestant], kind: KindName) -> list[Contestant]:
    """The contestants as they search problems of a kind.

    Raises:
        UsageError: one of them cannot search this kind.
    """
    if kind == "code":
        return [replace(each, strategy=each.strategy.changed(modes=("code",))) for each in contestants]
    others: dict[type[Strategy], str] = {Passing: "passing searches for programs that pass tests"}
    if kind != "call":
        others[Agreement] = "agreement searches for calls of tools"
    for each in contestants:
        if (said := others.get(type(each.strategy))) is not None:
            raise UsageError(f"{said}, and these are questions", hint=setting("strategies", "adaptive"))
    return list(contestants)


def _contestant(name: str, preset: Preset, kind: KindName) -> Contestant:
    match = _CONTESTANT.fullmatch(name)
    if match is None:
        raise UsageError(f'"{name}" is not a strategy', hint="for example vote:16, beam or best-of-n:16+n")
    named, size, effort, rule, modes, redraw = match.groups()
    strategy = Preset().strategy(named, kind)
    own: dict[str, Any] = effort_numbers(strategy, effort_named(effort), kind) if effort else {}
    if size:
        own |= _sized(name, strategy, int(size))
    if rule:
        rules = strategy.rules if isinstance(strategy, InstanceAdaptive) else ()
        if rule not in rules:
            allowed = ", ".join(f"+{each}" for each in rules)
            raise UsageError(f'"{name}": no such rule', hint=f"{named} has {allowed or 'none'}")
        own["adapt"] = rule
    if modes:
        if modes not in MODES_BY_NAME:
            raise UsageError(f'"{name}": no such mode', hint=f"use one of /{', /'.join(MODES_BY_NAME)}")
        own["modes"] = MODES_BY_NAME[modes]
    if redraw:
        own["redraws"] = REDRAWS
    return Contestant(name, preset.strategy(named, kind, **own), is_auto=not modes)


def _sized(name: str, strategy: Strategy, n: int) -> dict[str, int]:
    if n < 1:
        raise UsageError(f'"{name}": at least one sample', hint=f"{strategy.name}:8 has eight")
    if strategy.has(strategy.size):
        return {strategy.size: n}
    side = math.isqrt(n)
    if not strategy.has("beams") or side * side != n:
        raise UsageError(
            f'"{name}": {n} samples do not fit it', hint="beam:16 keeps 4 prefixes with 4 children"
        )
    return {"beams": side, "branching": side}
