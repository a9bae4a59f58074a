"""adascale: ask a small local model, and spend as much search as the question deserves.

    import adascale

    result = adascale.ask("What is 17 * 23?")
    print(result.answer, result.confidence)

Names are imported when they are first used, so that ``import adascale`` costs nothing. ``asking`` answers in
this process; ``codetasks``, ``export`` and ``serve`` are satellites, which a search of a question never
loads.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adascale.engine.answers.result import SearchResult
    from adascale.engine.errors import AdascaleError
    from adascale.engine.search.driver import Driver
    from adascale.engine.search.events import Event, SearchFinished, SearchStarted
    from adascale.engine.search.record import replay
    from adascale.engine.search.settings import Settings
    from adascale.engine.search.tree import Tree
    from adascale.engine.strategies import (
        DVTS,
        Adaptive,
        AdaptiveConsistency,
        Beam,
        BestOfN,
        Cut,
        Expand,
        Greedy,
        Margin,
        Passing,
        Plan,
        Strategy,
        Vote,
        gather,
    )
    from adascale.engine.types import ROOT, Budget, Estimate, Problem, Step, Usage
    from adascale.models.options import SamplingOverrides, SessionOptions
    from adascale.models.session import OpenSession, Session

    from .asking import Answer, ask, search
    from .codetasks.coding import CodeResult, code

__version__ = "0.2.0"

_NAMES = {
    "adascale.asking": "Answer ask search",
    "adascale.codetasks.coding": "CodeResult code",
    "adascale.engine.answers.result": "SearchResult",
    "adascale.engine.errors": "AdascaleError",
    "adascale.engine.search.driver": "Driver",
    "adascale.engine.search.events": "Event SearchFinished SearchStarted",
    "adascale.engine.search.record": "replay",
    "adascale.engine.search.settings": "Settings",
    "adascale.engine.search.tree": "Tree",
    "adascale.engine.strategies": "DVTS Adaptive AdaptiveConsistency Beam BestOfN Cut Expand "
    "Greedy Margin Passing Plan Strategy Vote gather",
    "adascale.engine.types": "ROOT Budget Estimate Problem Step Usage",
    "adascale.models.options": "SamplingOverrides SessionOptions",
    "adascale.models.session": "OpenSession Session",
}
"""Public names of the package, by module."""

_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "DVTS",
    "ROOT",
    "Adaptive",
    "AdaptiveConsistency",
    "AdascaleError",
    "Answer",
    "Beam",
    "BestOfN",
    "Budget",
    "CodeResult",
    "Cut",
    "Driver",
    "Estimate",
    "Event",
    "Expand",
    "Greedy",
    "Margin",
    "OpenSession",
    "Passing",
    "Plan",
    "Problem",
    "SamplingOverrides",
    "SearchFinished",
    "SearchResult",
    "SearchStarted",
    "Session",
    "SessionOptions",
    "Settings",
    "Step",
    "Strategy",
    "Tree",
    "Usage",
    "Vote",
    "__version__",
    "ask",
    "code",
    "gather",
    "replay",
    "search",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'adascale' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
