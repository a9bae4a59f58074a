"""How problems are searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..budget import Budget
from ..strategies import Strategy
from ..types import Notice


@dataclass(frozen=True, slots=True)
class Settings:
    """How problems are searched.

    Attributes:
        strategy: Decides what to draw.
        budget: Limits per problem.
        seed: With the problem's id and the path, the seed of every branch.
        models: Description of generator and PRM, for the log.
        warnings: What a user should know before each search.
    """

    strategy: Strategy
    budget: Budget = Budget()
    seed: int = 0
    models: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[Notice, ...] = ()
