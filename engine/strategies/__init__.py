"""Strategies: each is a frozen dataclass of its parameters, with a plan that decides what to sample next.

``base`` says what a strategy is and what its plan may ask for; ``independent`` draws whole trajectories,
``beam`` grows trees step by step, ``rollouts`` draws what a calibration is fitted on. ``adaptive`` (the
default) ends by a lead in votes, ``weighing`` by the probability of an option, ``agreement`` where calls or
JSON agree, ``passing`` at the first program that passes the tests. ``redraws`` draws steps with a wrong
sum again, for any strategy of whole trajectories. ``allocation`` has the paper's formulas. ``presets`` makes
a strategy of its name and an effort; a new strategy is a dataclass in one of these files and a line in its
table. A program adds its own to ``STRATEGIES``.
"""

from __future__ import annotations

from .adaptive import Adaptive as Adaptive
from .base import Adapt as Adapt
from .base import Command as Command
from .base import Cut as Cut
from .base import Expand as Expand
from .base import InstanceAdaptive as InstanceAdaptive
from .base import Plan as Plan
from .base import Strategy as Strategy
from .base import gather as gather
from .beam import Beam as Beam
from .independent import BestOfN as BestOfN
from .independent import Greedy as Greedy
from .independent import Margin as Margin
from .independent import Vote as Vote
from .passing import Passing as Passing
from .presets import EFFORTS as EFFORTS
from .presets import PAPER_TEMPERATURE as PAPER_TEMPERATURE
from .presets import STRATEGIES as STRATEGIES
from .presets import Effort as Effort
from .presets import ModeChoice as ModeChoice
from .presets import Preset as Preset
from .presets import StrategyOverrides as StrategyOverrides
from .presets import effort_named as effort_named
from .presets import strategy_named as strategy_named
from .presets import with_mode as with_mode
from .weighing import Weighing as Weighing
