"""Rollouts as training data, and a calibration for the models of an open session that is fitted on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import numpy as np

from adascale.engine.calibration.features import (
    FINISHED,
    QUESTION,
    STAGES_OF,
    Observation,
    Stage,
    observe,
)
from adascale.engine.calibration.fit import (
    Example,
    HeadConfig,
    Sample,
    Training,
    fit_calibration,
)
from adascale.engine.calibration.metrics import report
from adascale.engine.errors import UsageError, setting
from adascale.engine.ports import SequenceLogprob
from adascale.engine.types import Problem

from .artefact import Artefact, Card, question_key
from .rollouts import DrawPlan, FloatArray, RolloutRun, Rollouts, RolloutStore

if TYPE_CHECKING:
    from ..session import Session

FEWEST = 20
"""Questions below which a fit says nothing."""


def check_enough(count: int) -> None:
    """Refuse a fit on too few questions.

    Raises:
        UsageError: there are fewer than ``FEWEST``.
    """
    if count < FEWEST:
        raise UsageError(
            f"{count} {'question is' if count == 1 else 'questions are'} too few",
            f"{FEWEST} or more are needed; a good calibration takes hundreds",
            hint=f"another file in addition, or a larger {setting('questions')}",
        )


def training_set(*modes: Sequence[Rollouts], rewards: Sequence[FloatArray] | None = None) -> Training:
    """Every prefix of every question, by stage; prefixes that no draw went through are left out.

    Args:
        modes: Rollouts of each question, mode by mode.
        rewards: ``[nodes]`` raw rewards of each in prose; None without a PRM, for the mean log-probability.
    """
    stages: dict[Stage, list[Example]] = {}
    samples: list[list[Sample]] = [[] for _ in modes[0]]
    for questions in modes:
        mode = questions[0].mode
        found = dict[Stage, list[Example]]((stage, []) for stage in STAGES_OF[mode])
        ends = found[FINISHED[mode]]
        for index, rollouts in enumerate(questions):
            root, state = rollouts.nodes[0], rollouts.last[0].astype(np.float32)
            asked = Observation({}, {"question": state})
            found[QUESTION[mode]].append(Example(asked, index, root.right, root.total))
            kept, row_of = rollouts.counted_samples(), {}
            for row, node in enumerate(rollouts.nodes):
                if row == 0 or not node.total or not (node.is_end or mode == "prose"):
                    continue
                prefix = rollouts.prefix(row)
                if mode == "prose" and rewards is not None:
                    reward = float(rewards[index][row])
                else:
                    reward = SequenceLogprob().score([prefix])[0].reward
                # Steps of one draw, and draws from one prefix, share its fate: each is no further outcome.
                alone = row in kept if node.is_end else node.parent == 0
                row_of[row] = len(ends)
                examples = ends if node.is_end else found["step"]
                observed = observe(prefix, reward, node.answer)
                examples.append(Example(observed, index, node.right, node.total, alone))
            for row in kept:
                end = rollouts.nodes[row]
                samples[index].append(Sample(row_of[row], end.answer, end.right, mode))
        stages |= found
    return Training(stages, samples)


@contextmanager
def open_rollouts(session: Session, problems: Sequence[Problem], plan: DrawPlan) -> Iterator[RolloutRun]:
    """Rollouts of the models of a session, whose purpose is ``rollouts``, on these problems."""
    own = session.prompts.fingerprints["value"]
    prm = None if session.files.prm is None else f"{own.prm_format}:{own.prm}"
    with closing(RolloutStore(plan.store_path(own))) as store:
        store.put_models(session.conditions("value").models)
        yield RolloutRun(problems, plan, store, prm)


def training_of(run: RolloutRun) -> tuple[Training, list[Problem]]:
    """Training data of what was drawn, and scored by the PRM if there is one; and its problems.

    Raises:
        UsageError: fewer than ``FEWEST`` problems could be searched.
    """
    drawn, rewards = [], []
    for problem in run.problems:
        kept = [run.store.get(problem, mode) for mode in run.plan.trajectories]
        scored = None if run.prm is None else run.store.rewards(problem, run.prm)
        if all(kept) and (run.prm is None or scored is not None):
            drawn.append([rollouts for rollouts in kept if rollouts is not None])
            rewards += [] if scored is None else [scored]
    check_enough(len(drawn))
    found = training_set(*zip(*drawn, strict=True), rewards=rewards or None)
    return found, [own[0].problem for own in drawn]


def fit_rollouts(session: Session, run: RolloutRun, data: Sequence[str]) -> Artefact:
    """Fit a calibration for a session's models; the figures on its card are of questions held out.

    Args:
        session: The open models.
        run: Their rollouts.
        data: Names of the question files, for the card.

    Raises:
        UsageError: too few problems could be searched.
    """
    training, problems = training_of(run)
    calibration, held_out = fit_calibration(training, HeadConfig(), run.plan.seed)
    card = Card(
        name=session.files.pair_name,
        fingerprint=session.prompts.fingerprints["value"],
        data=tuple(data),
        questions=tuple(question_key(problem.question) for problem in problems),
        samples=run.plan.samples,
        programs=run.plan.programs,
        seed=run.plan.seed,
        held_out=report(held_out),
    )
    return Artefact(calibration, card)
