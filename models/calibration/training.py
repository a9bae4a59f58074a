"""Rollouts as training data of a calibration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from adascale.engine.calibration.features import (
    STAGES,
    Observation,
    Stage,
    program_observation,
    prose_observation,
)
from adascale.engine.calibration.fit import (
    Example,
    HeadConfig,
    QuestionSamples,
    Sample,
    StageData,
    Training,
    fit_calibration,
)
from adascale.engine.calibration.report import report
from adascale.engine.errors import UsageError, setting
from adascale.engine.ports import Prefix, SequenceLogprob
from adascale.engine.search.driver import Driver
from adascale.engine.types import Problem

from .artefact import Artefact, Card, question_key, software_versions
from .rollouts import (
    DrawPlan,
    FinishedQuestion,
    FloatArray,
    Rollouts,
    RolloutStore,
    draw_rollouts,
    is_drawn,
    score_rollouts,
)


def training_set(*modes: Sequence[Rollouts], rewards: Sequence[FloatArray] | None = None) -> Training:
    """Every prefix of every question, by stage; prefixes that no draw went through are left out.

    Args:
        modes: Rollouts of each question, mode by mode.
        rewards: ``[nodes]`` raw rewards of each in prose; None without a PRM, for the mean log-probability.
    """
    stages: dict[Stage, StageData] = {}
    samples: list[list[Sample]] = [[] for _ in modes[0]]
    for questions in modes:
        own, by_question = (
            _prose(questions, rewards) if questions[0].mode == "prose" else _programs(questions)
        )
        stages |= own
        for together, each in zip(samples, by_question, strict=True):
            together += each
    return Training(stages, [QuestionSamples(index, tuple(own)) for index, own in enumerate(samples)])


def _prose(
    questions: Sequence[Rollouts], rewards: Sequence[FloatArray] | None
) -> tuple[dict[Stage, StageData], list[list[Sample]]]:
    steps: list[Example] = []
    ends: list[Example] = []
    samples = []
    for index, rollouts in enumerate(questions):
        kept = _kept_samples(rollouts)
        row_of = {}
        for row, node in enumerate(rollouts.nodes):
            if row == 0 or not node.total:
                continue
            prefix = rollouts.prefix(row)
            reward = _likelihood(prefix) if rewards is None else float(rewards[index][row])
            found = prose_observation(prefix, reward)
            # Steps of one draw, and draws from one prefix, share its fate: each is no further outcome.
            if node.is_end:
                row_of[row] = len(ends)
                ends.append(Example(found, index, node.right, node.total, row in kept))
            else:
                steps.append(Example(found, index, node.right, node.total, node.parent == 0))
        own = []
        for row in kept:
            end = rollouts.nodes[row]
            tokens = sum(len(rollouts.nodes[at].token_ids) for at in rollouts.path(row))
            own.append(Sample(row_of[row], end.answer, end.right, tokens))
        samples.append(own)
    stages: dict[Stage, StageData] = {
        "question": _questions("question", questions),
        "step": _stack("step", steps),
        "finished": _stack("finished", ends),
    }
    return stages, samples


def _programs(questions: Sequence[Rollouts]) -> tuple[dict[Stage, StageData], list[list[Sample]]]:
    examples: list[Example] = []
    samples = []
    for index, rollouts in enumerate(questions):
        own = []
        for row in rollouts.samples():
            end, prefix = rollouts.nodes[row], rollouts.prefix(row)
            own.append(Sample(len(examples), end.answer, end.right, len(end.token_ids), "program"))
            found = program_observation(prefix, _likelihood(prefix), end.answer)
            examples.append(Example(found, index, end.right))
        samples.append(own)
    stages: dict[Stage, StageData] = {
        "program question": _questions("program question", questions),
        "program": _stack("program", examples),
    }
    return stages, samples


def _questions(stage: Stage, questions: Sequence[Rollouts]) -> StageData:
    examples = [
        Example(
            Observation({}, {"question": each.last[0].astype(np.float32)}),
            index,
            each.nodes[0].right,
            each.nodes[0].total,
        )
        for index, each in enumerate(questions)
    ]
    return _stack(stage, examples)


def _stack(stage: Stage, examples: Sequence[Example]) -> StageData:
    return StageData.stack(examples, STAGES[stage].numbers, STAGES[stage].states)


def _kept_samples(rollouts: Rollouts) -> list[int]:
    """Ends of the draws from the question as ``adaptive`` would reach them, without those it would not count.

    The others share a prefix with one of them, or were cut off before they gave an answer.
    """
    return [*filter(rollouts.counts, map(rollouts.replacement_of, rollouts.samples()))]


def _likelihood(prefix: Prefix) -> float:
    """The reward without a PRM."""
    [score] = SequenceLogprob().score([prefix])
    return score.reward


if TYPE_CHECKING:
    from ..session import Session

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

    session: Session
    problems: Sequence[Problem]
    plan: DrawPlan
    store: RolloutStore

    @classmethod
    @contextmanager
    def open(cls, session: Session, problems: Sequence[Problem], plan: DrawPlan) -> Iterator[Self]:
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
