"""Rollouts as training data, and labels where nobody knows the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from worlds import WIDTH, drawn, problems, searched

from adascale.engine.calibration.features import STAGES, sigmoid
from adascale.engine.calibration.votes import NEUTRAL_NATS, VotePosterior
from adascale.engine.fitting.calibration import fit_calibration
from adascale.engine.fitting.head import HeadConfig, StageData
from adascale.engine.fitting.metrics import skill
from adascale.engine.fitting.report import measure, report
from adascale.models.calibration.rollouts import Rollouts
from adascale.models.calibration.training import agrees, label_by_agreement, training_set


def test_training_rows_are_all_prefixes_with_their_outcomes() -> None:
    kept = drawn(problems(6))
    training = training_set(kept)
    assert training.stages["question"].total.tolist() == [4] * 6
    assert training.stages["question"].question.tolist() == list(range(6))
    nodes = sum(len(r.nodes) - 1 for r in kept)
    assert nodes == len(training.stages["step"].right) + len(training.stages["finished"].right)
    for stage in ("step", "finished"):
        data = training.stages[stage]
        assert np.all(data.total >= 1)
        assert np.all(data.right <= data.total)
        assert [block.shape[1] for block in data.evidence.states.values()] == [WIDTH] * 4
    cut_off = 0
    for sampled, rollouts in zip(training.samples, kept, strict=True):
        # As in a search, a run that was cut off without an answer is no candidate.
        ends = [rollouts.nodes[row] for row in rollouts.samples()]
        ended = [bool(end.answer) or end.finish == "stop" for end in ends]
        cut_off += ended.count(False)
        rows = [sample.row for sample in sampled.samples]
        right = [sample.right for sample in sampled.samples]
        assert len(rows) == sum(ended)
        assert list(training.stages["finished"].right[rows] > 0) == right
        assert training.stages["finished"].independent[rows].all()
        assert sum(right) == rollouts.nodes[0].right
        assert [sample.answer == "18" for sample in sampled.samples] == right
        assert set(training.stages["finished"].question[rows]) == {sampled.question}
    assert cut_off > 0


def test_rewards_of_a_prm_take_the_place_of_the_likelihood() -> None:
    kept = drawn(problems(3))
    rewards = [np.linspace(0.1, 0.9, len(r.nodes)).astype(np.float32) for r in kept]
    evidence = training_set(kept, rewards=rewards).stages["finished"].evidence
    expected = [float(rewards[i][n]) for i, r in enumerate(kept) for n in r.ends()]
    assert sigmoid(evidence.columns(["reward"])[:, 0]) == pytest.approx(expected, rel=1e-5)


def test_a_model_that_answers_in_one_step_can_be_fitted_and_measured() -> None:
    whole = training_set(drawn(problems(30)))
    none = StageData.stack([], STAGES["step"].numbers, STAGES["step"].states)
    training = replace(whole, stages={**whole.stages, "step": none})
    result = fit_calibration(training, "beta", HeadConfig(steps=20, folds=2), seed=0)
    new = measure(result.calibration, training, 0)
    assert len(new["step"].right) == 0
    for found in (result.held_out, new):
        assert set(report(found, rounds=5)) == {"question", "finished", "answer"}


def questions(count: int, start: int) -> list[tuple[Rollouts, Rollouts]]:
    """Prose and programs of each question."""
    records = searched(problems(count, start), programs=3).values()
    return [(Rollouts.of(record), Rollouts.of(record, "program")) for record in records]


def test_labels_are_probabilities_that_add_up_along_the_way() -> None:
    for question in questions(5, 60):
        labels = label_by_agreement(question, VotePosterior(0.5))
        for rollouts, labelled in zip(question, labels, strict=True):
            nodes = labelled.nodes
            assert all(0 <= nodes[end].right < 1 for end in rollouts.ends())
            assert all(node.right <= node.total + 1e-6 for node in nodes)
            assert nodes[0].right == pytest.approx(sum(nodes[end].right for end in rollouts.samples()))
            assert all(node.right == 0 for node in nodes if node.is_end and node.answer is None)


@pytest.mark.slow
def test_a_fit_without_answers_has_skill_against_the_right_ones() -> None:
    own = questions(60, 2000)
    labelled = [label_by_agreement(question, VotePosterior(0.5)) for question in own]
    pseudo = training_set([prose for prose, _ in labelled], [programs for _, programs in labelled])
    known = training_set([prose for prose, _ in own]).stages["finished"]
    held_out = fit_calibration(pseudo, "beta", HeadConfig(), 0).held_out["finished"]
    assert skill(known.predictions(held_out.quantiles)) > 0.1
    assert not np.array_equal(held_out.right, known.right)


def changed(rollouts: Rollouts, answers: dict[int, str], cut_off: Sequence[int]) -> Rollouts:
    """The same trajectories with these answers alone, some of them cut off, none of them surprising."""
    nodes = [
        replace(
            node,
            answer=answers.get(row),
            finish="length" if row in cut_off else node.finish,
            logprob=-NEUTRAL_NATS if node.is_end else 0.0,
        )
        for row, node in enumerate(rollouts.nodes)
    ]
    return replace(rollouts, nodes=nodes)


def test_solutions_agree_where_any_two_have_the_same_answer() -> None:
    [(prose, _)] = questions(1, 70)
    assert agrees([prose])
    assert not agrees([changed(prose, {row: str(row) for row in prose.ends()}, [])])


def test_a_solution_that_was_cut_off_is_no_voice_against_the_others() -> None:
    [(prose, _)] = questions(1, 60)
    one, two, *others = prose.samples()
    assert others

    def chance(cut_off: Sequence[int]) -> float:
        asked = changed(prose, {one: "18", two: "18"}, cut_off)
        [labelled] = label_by_agreement([asked], VotePosterior(0.5))
        return labelled.nodes[one].right

    assert chance(others) > chance([])


def test_a_solution_that_was_drawn_again_speaks_for_itself_alone() -> None:
    [(prose, _)] = questions(1, 60)
    redrawn = next(end for end in prose.ends() if end not in prose.samples())
    asked = changed(prose, {redrawn: "18"}, prose.ends())
    [labelled] = label_by_agreement([asked], VotePosterior(0.5))
    assert labelled.nodes[redrawn].right == pytest.approx(0.5), "the prior"
    assert not any(node.right for node in labelled.nodes if node.is_end and node.answer is None)
