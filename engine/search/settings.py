"""How problems are searched."""

from __future__ import annotations

from dataclasses import dataclass

from ..strategies import Strategy
from ..types import Budget, Notice, Problem
from .events import ModelDescription, SearchStarted


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

    def first_event(self, problem: Problem) -> SearchStarted:
        """The beginning of every search with these settings."""
        return SearchStarted(
            problem=problem,
            strategy=self.strategy.name,
            params=self.strategy.parameters(),
            models=self.models,
            select=self.strategy.select,
            budget=self.budget,
            seed=self.seed,
            calibrated=self.models.calibration is not None,
        )
