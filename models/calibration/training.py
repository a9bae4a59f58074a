"""Fits a calibration on rollouts: heads on a generator's own states, or the weights of votes without any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from adascale.engine.answers.choosing import Candidate
from adascale.engine.calibration.features import (
    QUESTION_STAGES,
    STAGES_OF,
    Observation,
    Stage,
    observe,
    stage_of,
)
from adascale.engine.calibration.fit import Example, Sample, Training, fit_calibration
from adascale.engine.calibration.metrics import report
from adascale.engine.calibration.posterior import Posterior
from adascale.engine.calibration.votes import fit_votes
from adascale.engine.errors import UsageError, setting
from adascale.engine.search.record import Record, right_nodes

from .. import AnySession
from ..upstream.session import UpstreamSession
from .artefact import Artefact, Card, question_key
from .rollouts import RolloutRun

FEWEST = 20
"""Minimum number of questions of a fit."""


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


def counted(record: Record) -> list[tuple[Candidate, bool]]:
    """Solutions that count as votes, and whether each is correct; equal answers have one spelling.

    Prose that was cut off before it had an answer does not count.
    """
    spelling = {node: group.answer for group in record.groups for node in group.nodes}
    right = right_nodes(record, record.started.problem)
    return [
        (replace(each, answer=spelling.get(each.node)), each.node in right)
        for each in record.candidates
        if each.answer or each.mode != "prose" or record.tree.steps(each.node)[-1].finish == "stop"
    ]


def training_set(records: Sequence[Record]) -> Training:
    """Every prefix of every solution, by stage, with its outcome."""
    modes = records[0].tree.readings
    stages: dict[Stage, list[Example]] = {stage: [] for mode in modes for stage in STAGES_OF[mode]}
    samples: list[list[Sample]] = []
    for question, record in enumerate(records):
        tree, own, solutions = record.tree, list[Sample](), counted(record)
        right = {each.node for each, is_right in solutions if is_right}
        answers = {each.node: each.answer for each, _ in solutions}
        for mode, reading in tree.readings.items():
            ends = [each.node for each in record.candidates if tree[each.node].mode == mode]
            observation, good = Observation({}, {"question": reading.last}), len(right.intersection(ends))
            stages[QUESTION_STAGES[mode]].append(Example(observation, question, good, len(ends)))
            for end in ends:
                for node in tree.path(end) if mode == "prose" else [tree[end]]:
                    assert node.reward is not None, "every step of a solution was scored"
                    prefix = tree.prefix(node.id)
                    observed, examples = observe(prefix, node.reward), stages[stage_of(prefix)]
                    # Steps of one solution share its fate: each is no further outcome.
                    alone = end in answers if node.id == end else node.depth == 1
                    if node.id == end and end in answers:
                        own.append(Sample(len(examples), answers[end], end in right, mode))
                    examples.append(Example(observed, question, end in right, independent=alone))
        samples.append(own)
    return Training(stages, samples)


def fit_rollouts(session: AnySession, run: RolloutRun, data: Sequence[str]) -> Artefact:
    """Fit a calibration for a session's model; the figures on its card are of questions held out.

    Args:
        session: The open model.
        run: Its rollouts.
        data: Names of the question files, for the card.

    Raises:
        UsageError: too few problems could be searched.
    """
    records = [record for problem in run.problems if (record := run.store.get(problem)) is not None]
    plan, head, votes = run.plan, None, None
    if isinstance(session, UpstreamSession):
        records = [record for record in records if record.groups]
        check_enough(len(records))
        usual = Posterior.of_model("value", session.size)
        votes, answers = fit_votes([*map(counted, records)], usual, plan.seed)
        held_out = {"answer": answers}
    else:
        check_enough(len(records))
        head, held_out = fit_calibration(training_set(records), plan.seed)
    card = Card(
        name=session.name,
        fingerprint=session.fingerprint,
        data=tuple(data),
        questions=tuple(question_key(record.started.problem.question) for record in records),
        samples=plan.samples,
        programs=plan.programs,
        seed=plan.seed,
        held_out=report(held_out),
        votes=votes,
    )
    return Artefact(head, card)
