"""Rollouts as training data of a calibration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adascale.engine.calibration.features import (
    STAGES,
    Observation,
    Stage,
    program_observation,
    prose_observation,
)
from adascale.engine.fitting.calibration import QuestionSamples, Sample, Training
from adascale.engine.fitting.head import Example, StageData
from adascale.engine.ports import Prefix, SequenceLogprob

from .rollouts import FloatArray, Rollouts


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
