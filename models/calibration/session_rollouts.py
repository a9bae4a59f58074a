"""A calibration for the models of an open session: its rollouts are drawn, scored and fitted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from adascale.engine.errors import UsageError, setting
from adascale.engine.fitting.calibration import Training, fit_calibration
from adascale.engine.fitting.head import HeadConfig
from adascale.engine.fitting.report import report
from adascale.engine.search.driver import Driver
from adascale.engine.types import Problem

from .artefact import Artefact, Card, question_key, software_versions
from .collect import (
    DrawPlan,
    FinishedQuestion,
    draw_rollouts,
    is_drawn,
    score_rollouts,
)
from .rollouts import Rollouts, RolloutStore
from .training import training_set

if TYPE_CHECKING:
    from ..session import OpenSession

FEWEST = 20
"""Questions below which a fit says nothing."""


def check_enough(count: int, fewest: int) -> None:
    """Refuse a fit or a check on too few questions.

    Raises:
        UsageError: there are fewer than ``fewest``.
    """
    if count < fewest:
        raise UsageError(
            f"{count} {'question is' if count == 1 else 'questions are'} too few",
            f"{fewest} or more are needed; a good calibration takes hundreds",
            hint=f"another file in addition, or a larger {setting('questions')}",
        )


@dataclass(frozen=True, slots=True)
class TrainingDraws:
    """Rollouts as training data.

    Attributes:
        training: The data.
        questions: ``question_key`` of each problem in it.
    """

    training: Training
    questions: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SessionRollouts:
    """Rollouts of a session's models on some problems.

    Attributes:
        session: The open models; its purpose is ``rollouts``.
        problems: Questions about values, with their answers.
        plan: Number of rollouts of each.
        store: Keeps the rollouts, question by question.
    """

    session: OpenSession
    problems: Sequence[Problem]
    plan: DrawPlan
    store: RolloutStore

    @classmethod
    @contextmanager
    def open(cls, session: OpenSession, problems: Sequence[Problem], plan: DrawPlan) -> Iterator[Self]:
        """Open the store of these models and this plan."""
        with closing(RolloutStore(plan.store_path(session.prompts.fingerprints["value"]))) as store:
            store.put_models(session.conditions("value").models)
            yield cls(session, problems, plan, store)

    @property
    def _prm(self) -> str | None:
        """The key of the PRM's rewards in the store; None without a PRM."""
        if self.session.files.prm is None:
            return None
        fingerprint = self.session.prompts.fingerprints["value"]
        return f"{fingerprint.prm_format}:{fingerprint.prm}"

    def undrawn(self) -> list[Problem]:
        """Problems of which rollouts are missing."""
        return [problem for problem in self.problems if not is_drawn(problem, self.store, self.plan)]

    def unscored(self) -> list[Problem]:
        """Problems whose rollouts the PRM has not scored; none without a PRM."""
        key = self._prm
        if key is None:
            return []
        drawn = [problem for problem in self.problems if self.store.holds(problem)]
        return [problem for problem in drawn if self.store.rewards(problem, key) is None]

    def tokens_to_draw(self) -> int:
        """About how many tokens drawing what is missing takes."""
        return self.plan.tokens * len(self.undrawn())

    @property
    def solutions(self) -> int:
        """Solutions of each question."""
        return sum(self.plan.trajectories.values())

    def draw(self, driver: Driver) -> Iterator[FinishedQuestion]:
        """Draw what is missing with the session's driver; each question is kept before it is reported."""
        yield from draw_rollouts(driver, self.problems, self.store, self.plan)

    def score(self) -> Iterator[FinishedQuestion]:
        """Score with the PRM what it has not scored; nothing without one.

        Raises:
            DecodeAbortedError: the session was aborted; what is scored is kept.
        """
        if (key := self._prm) is not None:
            todo = self.unscored()
            yield from score_rollouts(self.session.reward_model, todo, self.store, key)

    def training(self, fewest: int = FEWEST) -> TrainingDraws:
        """Training data of what was drawn, and scored by the PRM if there is one.

        Args:
            fewest: Number of problems that are needed, at least 1.

        Raises:
            UsageError: fewer than ``fewest`` problems could be searched.
        """
        key = self._prm
        drawn = self._drawn()
        rewards = []
        if key is not None:
            scored = [(each, self.store.rewards(each[0].problem, key)) for each in drawn]
            drawn = [each for each, found in scored if found is not None]
            rewards = [found for _, found in scored if found is not None]
        check_enough(len(drawn), fewest)
        by_mode = list(zip(*drawn, strict=True))
        return TrainingDraws(training_set(*by_mode, rewards=rewards or None), _keys(by_mode[0]))

    def fit(self, draws: TrainingDraws, data: Sequence[str]) -> Artefact:
        """Fit a calibration; the figures on its card are of questions held out.

        Args:
            draws: Training data made of these rollouts.
            data: Names of the question files, for the card.
        """
        plan, session = self.plan, self.session
        fitted = fit_calibration(draws.training, HeadConfig(), plan.seed)
        card = Card(
            name=session.files.pair_name,
            fingerprint=session.prompts.fingerprints["value"],
            data=tuple(data),
            questions=draws.questions,
            samples=plan.samples,
            programs=plan.programs,
            seed=plan.seed,
            versions=software_versions(),
            held_out=report(fitted.held_out, draws.training),
        )
        return Artefact(fitted.calibration, card)

    def _drawn(self) -> list[list[Rollouts]]:
        """The rollouts of each problem that has been drawn, in the modes of the plan."""
        modes = self.plan.trajectories
        found = [[self.store.get(problem, mode) for mode in modes] for problem in self.problems]
        kept = [[rollouts for rollouts in each if rollouts is not None] for each in found]
        return [each for each in kept if len(each) == len(modes)]


def _keys(drawn: Sequence[Rollouts]) -> tuple[str, ...]:
    return tuple(question_key(rollouts.problem.question) for rollouts in drawn)
