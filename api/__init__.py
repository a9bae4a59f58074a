"""adascale: ask a small local model, and spend as much search as the question deserves.

    import adascale

    result = adascale.ask("What is 17 * 23?")
    print(result.answer, result.confidence)

Names are imported when they are first used, so that ``import adascale`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adascale.engine.budget import Budget, Usage
    from adascale.engine.errors import AdascaleError
    from adascale.engine.search.driver import Driver
    from adascale.engine.search.events import Event, SearchFinished, SearchStarted
    from adascale.engine.search.replay import replay
    from adascale.engine.search.settings import Settings
    from adascale.engine.search.tree import Tree
    from adascale.engine.strategies import Cut, Expand, Plan, SearchParams, Strategy, gather, strategy_named
    from adascale.engine.types import ROOT, Estimate, Problem, SearchResult, Step
    from adascale.models.options import SamplingOverrides, SessionOptions
    from adascale.models.session import Session

    from .asking import ask, search

__version__ = "0.1.0"

_HOMES = {
    "AdascaleError": "adascale.engine.errors",
    "Budget": "adascale.engine.budget",
    "Cut": "adascale.engine.strategies",
    "Driver": "adascale.engine.search.driver",
    "Estimate": "adascale.engine.types",
    "Event": "adascale.engine.search.events",
    "Expand": "adascale.engine.strategies",
    "Plan": "adascale.engine.strategies",
    "Problem": "adascale.engine.types",
    "ROOT": "adascale.engine.types",
    "SamplingOverrides": "adascale.models.options",
    "SearchFinished": "adascale.engine.search.events",
    "SearchParams": "adascale.engine.strategies",
    "SearchResult": "adascale.engine.types",
    "SearchStarted": "adascale.engine.search.events",
    "Session": "adascale.models.session",
    "SessionOptions": "adascale.models.options",
    "Settings": "adascale.engine.search.settings",
    "Step": "adascale.engine.types",
    "Strategy": "adascale.engine.strategies",
    "Tree": "adascale.engine.search.tree",
    "Usage": "adascale.engine.budget",
    "ask": "adascale.asking",
    "gather": "adascale.engine.strategies",
    "replay": "adascale.engine.search.replay",
    "search": "adascale.asking",
    "strategy_named": "adascale.engine.strategies",
}

__all__ = [
    "ROOT",
    "AdascaleError",
    "Budget",
    "Cut",
    "Driver",
    "Estimate",
    "Event",
    "Expand",
    "Plan",
    "Problem",
    "SamplingOverrides",
    "SearchFinished",
    "SearchParams",
    "SearchResult",
    "SearchStarted",
    "Session",
    "SessionOptions",
    "Settings",
    "Step",
    "Strategy",
    "Tree",
    "Usage",
    "__version__",
    "ask",
    "gather",
    "replay",
    "search",
    "strategy_named",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'adascale' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
