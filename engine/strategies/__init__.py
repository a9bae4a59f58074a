"""Strategies: each is a frozen dataclass of its parameters, with a plan that decides what to sample next.

``base`` says what a strategy is and what its plan may ask for; ``independent`` draws whole trajectories at
once, ``beam`` grows trees step by step, ``rollouts`` draws what a calibration is fitted on. The stop rules:
``adaptive`` (the default, with its presets of effort) stops by calibrated estimates, ``vote_stopping`` by
votes alone, ``agreement`` by calls or JSON that agree, ``passing`` by the tests of a code task. ``redraws``
draws steps with a wrong sum again, for any strategy of whole trajectories. ``allocation`` has the paper's
formulas. ``presets`` makes a strategy of its name and an effort; a new strategy is a dataclass in one of
these files and a line in its table.
"""

from __future__ import annotations

from .adaptive import Adaptive
from .base import Adapt, Command, Cut, Expand, InstanceAdaptive, Plan, Strategy, gather
from .beam import DVTS, Beam
from .independent import BestOfN, Greedy, Vote
from .passing import Passing
from .presets import (
    EFFORTS,
    PAPER,
    PAPER_TEMPERATURE,
    STRATEGIES,
    Effort,
    ModeChoice,
    Preset,
    StrategyOverrides,
    effort_named,
    strategy_named,
    with_mode,
)
from .vote_stopping import AdaptiveConsistency, EarlyStopping, FirstTo, Margin, ProseAndProgram

__all__ = [
    "DVTS",
    "EFFORTS",
    "PAPER",
    "PAPER_TEMPERATURE",
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
    "Preset",
    "ProseAndProgram",
    "Strategy",
    "StrategyOverrides",
    "Vote",
    "effort_named",
    "gather",
    "strategy_named",
    "with_mode",
]
