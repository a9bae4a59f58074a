"""How problems are searched."""

from __future__ import annotations

from dataclasses import dataclass

from ..budget import Budget
from ..description import ModelDescription
from ..strategies import Strategy
from ..types import Notice


@dataclass(frozen=True, slots=True)
class Settings:
    """How problems are searched.

    Attributes:
        strategy: Decides what to draw.
        budget: Limits per problem.
        seed: With the problem's id and the path, the seed of every branch.
        models: What searches, for the log.
        warnings: What a user should know before each search.
    """

    strategy: Strategy
    budget: Budget = Budget()
    seed: int = 0
    models: ModelDescription = ModelDescription()
    warnings: tuple[Notice, ...] = ()
