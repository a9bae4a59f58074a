"""Rollouts as training data of a calibration, and their labels where nobody knows the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from adascale.engine.answers.choosing import equal_answers, group_answers
from adascale.engine.answers.result import Candidate, FinishedSearch
from adascale.engine.calibration.features import STAGES, Observation, Stage, StepArrays
from adascale.engine.calibration.votes import VotePosterior
from adascale.engine.fitting.calibration import QuestionSamples, Sample, Training
from adascale.engine.fitting.head import Example, StageData
from adascale.engine.kinds import kind_of
from adascale.engine.types import Estimate, NodeId

from .rollouts import FloatArray, Rollouts


def training_set(
    questions: Sequence[Rollouts],
    rewards: Sequence[FloatArray] | None = None,
    programs: Sequence[Rollouts] = (),
) -> Training:
    """Every prefix of every question, by stage; prefixes that no draw went through are left out.

    Args:
        questions: Rollouts in prose of each question.
        rewards: ``[nodes]`` raw rewards of each; None for the mean log-probability, as without a PRM.
        programs: Rollouts of the same questions as programs; none for a calibration of prose alone.
    """
    stages, samples = _prose(questions, rewards)
    if programs:
        own_stages, own_samples = _programs(programs)
        stages |= own_stages
        samples = [
            replace(both, samples=(*both.samples, *own.samples))
            for both, own in zip(samples, own_samples, strict=True)
        ]
    return Training(stages, samples)


def code_training_set(tasks: Sequence[Rollouts]) -> Training:
    """Every program of every code task as it was tested, and once more as if it had not been.

    A search without tests shows an estimate too; what is known of the second kind is no further outcome.

    Args:
        tasks: Rollouts of each task.
    """
    examples: list[Example] = []
    samples = []
    for index, rollouts in enumerate(tasks):
        own, given = [], len(kind_of(rollouts.problem).tests(rollouts.problem))
        for row in rollouts.samples():
            end, steps = rollouts.nodes[row], _step_arrays(rollouts, row)
            passed, tests = end.passed, 0 if end.answer is None else given
            own.append(Sample(len(examples), end.answer, end.right, len(end.token_ids), "code", passed))
            for seen in dict.fromkeys([tests, 0]):
                found = steps.code(passed if seen else 0, failed=end.answer is None or passed < seen)
                examples.append(Example(found, index, end.right, independent=seen == tests))
        samples.append(QuestionSamples(index, tuple(own)))
    return Training({"task": _questions("task", tasks), "code": _stack("code", examples)}, samples)


def _prose(
    questions: Sequence[Rollouts], rewards: Sequence[FloatArray] | None
) -> tuple[dict[Stage, StageData], list[QuestionSamples]]:
    steps: list[Example] = []
    ends: list[Example] = []
    samples = []
    for index, rollouts in enumerate(questions):
        kept = _kept_samples(rollouts)
        row_of = {}
        for row, node in enumerate(rollouts.nodes):
            if row == 0 or not node.total:
                continue
            found = _step_arrays(rollouts, row, None if rewards is None else rewards[index]).prose()
            # Steps of one draw, and draws from one prefix, share its fate: each is no further outcome.
            if node.is_end:
                row_of[row] = len(ends)
                ends.append(Example(found, index, node.right, node.total, row in kept))
            else:
                steps.append(Example(found, index, node.right, node.total, node.parent == 0))
        own = [
            Sample(
                row_of[row],
                rollouts.nodes[row].answer,
                rollouts.nodes[row].right,
                sum(len(rollouts.nodes[at].token_ids) for at in rollouts.path(row)),
            )
            for row in kept
        ]
        samples.append(QuestionSamples(index, tuple(own)))
    stages: dict[Stage, StageData] = {
        "question": _questions("question", questions),
        "step": _stack("step", steps),
        "finished": _stack("finished", ends),
    }
    return stages, samples


def _programs(questions: Sequence[Rollouts]) -> tuple[dict[Stage, StageData], list[QuestionSamples]]:
    examples: list[Example] = []
    samples = []
    for index, rollouts in enumerate(questions):
        own = []
        for row in rollouts.samples():
            end = rollouts.nodes[row]
            own.append(Sample(len(examples), end.answer, end.right, len(end.token_ids), "program"))
            examples.append(Example(_step_arrays(rollouts, row).program(end.answer), index, end.right))
        samples.append(QuestionSamples(index, tuple(own)))
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


def _step_arrays(rollouts: Rollouts, row: int, rewards: FloatArray | None = None) -> StepArrays:
    """The steps on the way to a row; without ``rewards`` its reward is the mean log-probability."""
    path = rollouts.path(row)
    steps = [rollouts.nodes[at] for at in path]
    tokens = np.array([len(step.token_ids) for step in steps], float)
    logprob = np.array([step.logprob for step in steps])
    likelihood = np.exp(logprob.sum() / tokens.sum())
    return StepArrays(
        question=rollouts.last[0].astype(np.float32),
        tokens=tokens,
        logprob=logprob,
        min_logprob=np.array([step.min_logprob for step in steps]),
        entropy=np.array([step.entropy for step in steps]),
        last=rollouts.last[path].astype(np.float32),
        mean=rollouts.mean[path].astype(np.float32),
        cut_off=steps[-1].finish == "length",
        wrong_sum=any(step.wrong_sum for step in steps),
        reward=float(likelihood if rewards is None else rewards[row]),
    )


def agrees(question: Sequence[Rollouts]) -> bool:
    """True where any two solutions of a question, in whatever mode, have the same answer."""
    answers = [node.answer for rollouts in question for node in rollouts.nodes if node.is_end]
    return any(len(places) > 1 for places in equal_answers(answers))


def label_by_agreement(question: Sequence[Rollouts], votes: VotePosterior) -> list[Rollouts]:
    """The rollouts of a question with soft labels: each end has the posterior of its answer.

    Trajectories from the question itself vote; one that was drawn again from a prefix of one has a vote on
    itself alone. An end without an answer has 0.

    Args:
        question: Its prose, then its programs if there are any; two solutions at least.
        votes: Judges answers by their votes.
    """
    ends = [(place, end) for place, rollouts in enumerate(question) for end in rollouts.ends()]
    kept = [set(_kept_samples(rollouts)) for rollouts in question]
    solutions = [_candidate(NodeId(at), question[place], end) for at, (place, end) in enumerate(ends)]
    voters = [solutions[at] for at, (place, end) in enumerate(ends) if end in kept[place]]
    of_voters = _chances(votes, voters)
    labels: list[dict[int, float]] = [{} for _ in question]
    for own, (place, end) in zip(solutions, ends, strict=True):
        chances = of_voters if own in voters else _chances(votes, [*voters, own])
        labels[place][end] = chances.get(own.node, 0.0)
    return [rollouts.label(own) for rollouts, own in zip(question, labels, strict=True)]


_UNREAD = Estimate(0.0, 0.0, 0.0, calibrated=False)


def _candidate(id_: NodeId, rollouts: Rollouts, end: int) -> Candidate:
    surprise = -sum(rollouts.nodes[row].logprob for row in rollouts.path(end))
    return Candidate(id_, rollouts.nodes[end].answer, _UNREAD, rollouts.mode, surprise=surprise)


def _chances(votes: VotePosterior, ended: Sequence[Candidate]) -> Mapping[NodeId, float]:
    return votes.chances(FinishedSearch({}, tuple(ended), tuple(group_answers(ended))))
