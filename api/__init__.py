"""adascale: ask a small local model, and spend as much search as the question deserves.

    import adascale

    result = adascale.ask("What is 17 * 23?")
    print(result.answer, result.confidence)

Names are imported when they are first used, so that ``import adascale`` costs nothing. ``asking`` answers in
this process; ``codetasks``, ``export``, ``labels`` and ``serve`` are satellites, which a search of a question
never loads.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from adascale.engine.kind_table import Entry, register

if TYPE_CHECKING:
    from adascale.engine.answer import Answer as Answer
    from adascale.engine.answers.choosing import SearchResult as SearchResult
    from adascale.engine.errors import AdascaleError as AdascaleError
    from adascale.engine.request import SearchRequest as SearchRequest
    from adascale.engine.request import Settings as Settings
    from adascale.engine.search.driver import Driver as Driver
    from adascale.engine.search.events import Event as Event
    from adascale.engine.search.events import SearchFinished as SearchFinished
    from adascale.engine.search.events import SearchStarted as SearchStarted
    from adascale.engine.search.record import replay as replay
    from adascale.engine.search.tree import Tree as Tree
    from adascale.engine.strategies import Adaptive as Adaptive
    from adascale.engine.strategies import Beam as Beam
    from adascale.engine.strategies import BestOfN as BestOfN
    from adascale.engine.strategies import Cut as Cut
    from adascale.engine.strategies import Expand as Expand
    from adascale.engine.strategies import Greedy as Greedy
    from adascale.engine.strategies import Passing as Passing
    from adascale.engine.strategies import Plan as Plan
    from adascale.engine.strategies import Strategy as Strategy
    from adascale.engine.strategies import Vote as Vote
    from adascale.engine.strategies import gather as gather
    from adascale.engine.types import ROOT as ROOT
    from adascale.engine.types import Budget as Budget
    from adascale.engine.types import Estimate as Estimate
    from adascale.engine.types import Problem as Problem
    from adascale.engine.types import SamplingChange as SamplingChange
    from adascale.engine.types import Step as Step
    from adascale.engine.types import Usage as Usage
    from adascale.models import open_session as open_session
    from adascale.models.options import SessionOptions as SessionOptions
    from adascale.models.session import Session as Session

    from .asking import ask as ask
    from .asking import search as search
    from .codetasks.coding import code as code
    from .labels.labelling import label as label

__version__ = "0.4.0"

_NAMES = {
    "adascale.asking": "ask search",
    "adascale.codetasks.coding": "code",
    "adascale.labels.labelling": "label",
    "adascale.engine.answer": "Answer",
    "adascale.engine.answers.choosing": "SearchResult",
    "adascale.engine.errors": "AdascaleError",
    "adascale.engine.search.driver": "Driver",
    "adascale.engine.search.events": "Event SearchFinished SearchStarted",
    "adascale.engine.search.record": "replay",
    "adascale.engine.request": "SearchRequest Settings",
    "adascale.engine.search.tree": "Tree",
    "adascale.engine.strategies": "Adaptive Beam BestOfN Cut Expand Greedy Passing Plan Strategy Vote gather",
    "adascale.engine.types": "ROOT Budget Estimate Problem SamplingChange Step Usage",
    "adascale.models": "open_session",
    "adascale.models.options": "SessionOptions",
    "adascale.models.session": "Session",
}
"""Public names of the package, by module."""

_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [*_HOMES, "__version__"]

register(
    "code",
    Entry(
        "adascale.codetasks.kind:Code",
        ("code",),
        "code",
        noun="program",
        fields=("tests", "hidden", "entry_point", "imports"),
        judged_by="hidden",
        efforts="passing",
        has_tests=True,
    ),
)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'adascale' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
