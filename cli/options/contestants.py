"""What takes part in an evaluation, as typed: ``greedy,vote:4,best-of-n:16+n,beam,adaptive@low``."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import cast, get_args

from adascale.engine.errors import UsageError
from adascale.engine.evaluation.evaluate import Entry
from adascale.engine.strategies import SearchParams, strategy_named
from adascale.engine.strategies.base import Adapt
from adascale.engine.strategies.effort import EFFORTS, Effort

_ENTRY = re.compile(r"([a-z-]+?)(?::(\d+))?(?:@([a-z]+))?(?:\+([a-z]+))?")


def parse_entries(text: str, params: SearchParams) -> list[Entry]:
    """Entries of a comma-separated list; ``params`` holds for what an entry does not say.

    ``NAME:N`` fixes the samples; of a beam, N is width times branching, both the same. ``NAME@low`` has the
    numbers of an effort, whatever ``params`` say. ``+n``, ``+k``, ``+m`` and ``+km`` are the paper's rules
    (``SearchParams.adapt``).

    Raises:
        UsageError: an entry that is none, or stands there twice.
    """
    entries = [_entry(name.strip(), params) for name in text.split(",") if name.strip()]
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--strategies names {name} twice")
    if not entries:
        raise UsageError("--strategies is empty", hint="--strategies vote:4,vote:16,adaptive")
    return entries


def _entry(name: str, params: SearchParams) -> Entry:
    match = _ENTRY.fullmatch(name)
    if match is None:
        raise UsageError(f'"{name}" is no strategy', hint="for example vote:16, beam or best-of-n:16+n")
    strategy = strategy_named(match[1])
    if match[3]:
        if match[3] not in EFFORTS:
            raise UsageError(f'"{name}": no such effort', hint=f"use one of @{', @'.join(EFFORTS)}")
        params = replace(EFFORTS[cast(Effort, match[3])], adapt=params.adapt, confidence=params.confidence)
    if match[2]:
        params = _sized(name, strategy.used, int(match[2]), params)
    if match[4]:
        if match[4] not in get_args(Adapt) or match[4] not in strategy.adapts:
            allowed = ", ".join(f"+{rule}" for rule in strategy.adapts)
            raise UsageError(f'"{name}": no such rule', hint=f"{match[1]} has {allowed or 'none'}")
        params = replace(params, adapt=match[4])
    return Entry(name, strategy, params)


def _sized(name: str, used: tuple[str, ...], n: int, params: SearchParams) -> SearchParams:
    if n < 1:
        raise UsageError(f'"{name}": at least one sample')
    if "samples" in used:
        return replace(params, samples=n)
    side = math.isqrt(n)
    if "beam_width" not in used or side * side != n:
        raise UsageError(
            f'"{name}": {n} samples do not fit it', hint="beam:16 keeps 4 prefixes with 4 children"
        )
    return replace(params, beam_width=side, branching=side)
