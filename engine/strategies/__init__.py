"""Strategies: each is a frozen dataclass of its parameters, with a plan that decides what to sample next.

``base`` defines a strategy and the commands of its plan. ``adaptive`` has the default for values and
that for questions with options; ``sampling`` draws whole trajectories, for votes, for calls and JSON that
agree, and for programs that pass tests; ``beam`` grows trees step by step, and has the paper's rules.
``redraws`` draws steps with a wrong sum again, for any strategy of whole trajectories, and the rollouts of a
calibration. ``presets`` has the numbers of each effort; a new strategy is a dataclass in one of these files
and a line in its table. A program adds its own to ``STRATEGIES``.
"""

from __future__ import annotations

from .adaptive import Adaptive as Adaptive
from .base import Command as Command
from .base import Cut as Cut
from .base import Expand as Expand
from .base import Plan as Plan
from .base import Strategy as Strategy
from .base import gather as gather
from .beam import Adapt as Adapt
from .beam import Beam as Beam
from .beam import InstanceAdaptive as InstanceAdaptive
from .presets import STRATEGIES as STRATEGIES
from .presets import Effort as Effort
from .presets import ModeChoice as ModeChoice
from .presets import effort_named as effort_named
from .presets import preset as preset
from .presets import strategy_named as strategy_named
from .sampling import BestOfN as BestOfN
from .sampling import Greedy as Greedy
from .sampling import Passing as Passing
from .sampling import Vote as Vote
