"""Rollouts as training data of a calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from adascale.engine.calibration.features import (
    BLOCKS,
    SCALARS,
    Array,
    Evidence,
    Stage,
    States,
    StepArrays,
    path_evidence,
    program_evidence,
    question_evidence,
)
from adascale.engine.calibration.fitting import QuestionSamples, Sample, Training
from adascale.engine.calibration.models import StageData
from adascale.engine.calibration.portable import without_states
from adascale.engine.code.trial import tests_of
from adascale.engine.types import FINISHES

from .rollouts import FloatArray, Rollouts


def training_set(
    questions: Sequence[Rollouts],
    rewards: Sequence[FloatArray] | None = None,
    programs: Sequence[Rollouts] = (),
) -> Training:
    """Every prefix of every question, by stage; prefixes that no draw went through are left out.

    Args:
        questions: One entry per question.
        rewards: ``[nodes]`` raw rewards of each; None for the mean log-probability, as without a PRM.
        programs: Rollouts of the same questions as programs; none for a calibration of prose alone.
    """
    stages, samples = _prose_stages(questions, rewards)
    if programs:
        own_stages, own_samples = _program_stages(programs)
        stages |= own_stages
        samples = [
            replace(both, samples=(*both.samples, *own.samples))
            for both, own in zip(samples, own_samples, strict=True)
        ]
    return Training(stages, samples)


def portable_training_set(questions: Sequence[Rollouts], programs: Sequence[Rollouts] = ()) -> Training:
    """As ``training_set`` without a PRM, and without the model's states."""
    texts = [rollouts.problem.question for rollouts in questions]
    return without_states(training_set(questions, None, programs), texts)


def code_training_set(tasks: Sequence[Rollouts]) -> Training:
    """Every program of every code task as it was tested, and once more as if it had not been.

    A search without tests shows an estimate too. What is known of the second kind is no further outcome.

    Args:
        tasks: One entry per task.
    """
    rows: list[tuple[int, float, int]] = []
    scalars, states, failed, is_tested, samples = [], [], [], [], []
    for index, rollouts in enumerate(tasks):
        own = []
        for node in rollouts.samples():
            outcome, right = rollouts.answers[node], float(rollouts.right[node])
            steps = _step_arrays(rollouts, node)
            passed, tests = (0, 0) if outcome is None else tests_of(outcome)
            own.append(Sample(len(rows), outcome, right, int(rollouts.tokens[node]), "code", passed))
            for seen in dict.fromkeys([tests, 0]):
                scalars.append(steps.code_scalars(passed if seen else 0))
                states.append(steps.program_states())
                failed.append(outcome is None or passed < seen)
                is_tested.append(seen == tests)
                rows.append((index, right, 1))
        samples.append(QuestionSamples(index, tuple(own)))
    evidence = program_evidence(np.array(scalars), np.array(states, np.float32), np.array(failed, bool))
    programs = replace(_stage_data(evidence, rows), independent=np.array(is_tested, bool))
    return Training({"task": _question_stage(tasks), "code": programs}, samples)


def _prose_stages(
    questions: Sequence[Rollouts], rewards: Sequence[FloatArray] | None
) -> tuple[dict[Stage, StageData], list[QuestionSamples]]:
    rows: dict[Stage, list[tuple[int, float, int]]] = {"step": [], "finished": []}
    first_steps = []
    scalars: dict[Stage, list[Array]] = {"step": [], "finished": []}
    states: dict[Stage, list[States]] = {"step": [], "finished": []}
    wrong_sum: dict[Stage, list[bool]] = {"step": [], "finished": []}
    samples = []
    for index, rollouts in enumerate(questions):
        finished = {}
        for node in range(1, len(rollouts.parent)):
            stage: Stage = "step" if FINISHES[rollouts.finish[node]] == "step" else "finished"
            if rollouts.total[node]:
                first_steps += [rollouts.parent[node] == 0] if stage == "step" else []
                finished[node] = len(rows[stage])
                rows[stage].append((index, float(rollouts.right[node]), int(rollouts.total[node])))
                steps = _step_arrays(rollouts, node, None if rewards is None else rewards[index])
                scalars[stage].append(steps.scalars())
                states[stage].append(steps.states())
                wrong_sum[stage].append(steps.wrong_sum)
        samples.append(_question_samples(index, rollouts, finished))
    stages: dict[Stage, StageData] = {"question": _question_stage(questions)}
    width = questions[0].last.shape[1]
    for stage, found in rows.items():
        seen = np.array(scalars[stage]).reshape(len(found), len(SCALARS[stage]))
        read = np.array(states[stage], np.float32).reshape(len(found), len(BLOCKS[stage]), width)
        stages[stage] = _stage_data(path_evidence(seen, read, np.array(wrong_sum[stage], bool)), found)
    # Steps of one draw, and draws from one prefix, share its fate: they are not counted as if each were new.
    stages["step"] = replace(stages["step"], independent=np.array(first_steps, bool))
    whole = [sample.row for sampled in samples for sample in sampled.samples]
    independent = np.isin(np.arange(len(rows["finished"])), whole)
    stages["finished"] = replace(stages["finished"], independent=independent)
    return stages, samples


def _program_stages(
    questions: Sequence[Rollouts],
) -> tuple[dict[Stage, StageData], list[QuestionSamples]]:
    rows: list[tuple[int, float, int]] = []
    scalars, states, failed, samples = [], [], [], []
    for index, rollouts in enumerate(questions):
        own = []
        for node in rollouts.samples():
            answer, right = rollouts.answers[node], float(rollouts.right[node])
            steps = _step_arrays(rollouts, node)
            scalars.append(steps.program_scalars(answer))
            states.append(steps.program_states())
            failed.append(answer is None)
            own.append(Sample(len(rows), answer, right, int(rollouts.tokens[node]), "program"))
            rows.append((index, right, 1))
        samples.append(QuestionSamples(index, tuple(own)))
    evidence = program_evidence(np.array(scalars), np.array(states, np.float32), np.array(failed, bool))
    stages: dict[Stage, StageData] = {
        "program question": _question_stage(questions),
        "program": _stage_data(evidence, rows),
    }
    return stages, samples


def _question_stage(questions: Sequence[Rollouts]) -> StageData:
    prompts = np.stack([r.last[0] for r in questions]).astype(np.float32)
    roots = [(i, float(r.right[0]), int(r.total[0])) for i, r in enumerate(questions)]
    return _stage_data(question_evidence(prompts), roots)


def _stage_data(evidence: Evidence, rows: Sequence[tuple[int, float, int]]) -> StageData:
    question, right, total = np.array(rows, float).reshape(-1, 3).T
    return StageData(evidence, question.astype(int), right, total)


def _step_arrays(rollouts: Rollouts, node: int, rewards: FloatArray | None = None) -> StepArrays:
    """The steps on the way to a node; without ``rewards`` its reward is the mean log-probability."""
    chain = rollouts.path(node)
    likelihood = np.exp(rollouts.logprob[chain].sum() / rollouts.tokens[chain].sum())
    return StepArrays(
        question=rollouts.last[0].astype(np.float32),
        tokens=rollouts.tokens[chain].astype(float),
        logprob=rollouts.logprob[chain].astype(float),
        min_logprob=rollouts.min_logprob[chain].astype(float),
        entropy=rollouts.entropy[chain].astype(float),
        last=rollouts.last[chain].astype(np.float32),
        mean=rollouts.mean[chain].astype(np.float32),
        cut_off=FINISHES[rollouts.finish[node]] == "length",
        wrong_sum=bool(rollouts.wrong_sum[chain].any()),
        reward=float(likelihood if rewards is None else rewards[node]),
    )


def _question_samples(index: int, rollouts: Rollouts, rows: dict[int, int]) -> QuestionSamples:
    """The samples of a question as ``adaptive`` would end them; later draws share a prefix with one of them.

    What a search leaves out when it chooses is left out here (``Rollouts.counts``).
    """
    nodes = filter(rollouts.counts, map(rollouts.replacement_of, rollouts.samples()))
    return QuestionSamples(
        index,
        tuple(
            Sample(
                rows[node],
                rollouts.answers[node],
                float(rollouts.right[node]),
                int(rollouts.tokens[rollouts.path(node)].sum()),
            )
            for node in nodes
        ),
    )
