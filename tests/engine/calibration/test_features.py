"""What is seen of a prefix: the same numbers while it is searched and from a store."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import beta
from worlds import REWARD, WIDTH, drawn, fitted, problems, searched

from adascale.engine.calibration.calibration import widen
from adascale.engine.calibration.features import (
    BLOCKS,
    SCALARS,
    StepArrays,
    logit,
    path_evidence,
    question_evidence,
    sigmoid,
)
from adascale.engine.calibration.fitting import fit_calibration
from adascale.engine.calibration.head import HeadConfig
from adascale.engine.calibration.report import report
from adascale.engine.ports import Prefix
from adascale.engine.types import FINISHES, Estimate, Problem, Reading, Step
from adascale.models.calibration.rollouts import Rollouts, _in_order
from adascale.models.calibration.training import training_set

PROBLEM = Problem("p", "?", "18")


def reading(*values: float) -> Reading:
    last, mean = np.array(values, np.float32), np.array(values, np.float32) * 2
    return Reading(last, mean, min_logprob=-values[0], entropy=values[1])


STEPS = (
    Step("add\n\n", (1, 2), -1.0, "step", reading(3, 0.5)),
    Step("so\n\n", (1, 2, 3, 4, 5, 6), -4.0, "step", reading(2, 0.1)),
)
PROMPT = reading(9, 0)


def path_of(*steps: Step, reward: float = 0.5, prompt: Reading | None = PROMPT) -> StepArrays:
    found = StepArrays.of(Prefix(PROBLEM, steps, prompt), reward)
    assert found is not None
    return found


def test_the_numbers_of_a_path_by_hand() -> None:
    scalars = dict(zip(SCALARS["step"], path_of(*STEPS).scalars(), strict=True))
    assert scalars == pytest.approx(
        {
            "steps": math.log(2),
            "tokens": math.log(8),
            "step_tokens": math.log(6),
            "logprob": -5 / 8,
            "min_logprob": -3,
            "step_logprob": -4 / 6,
            "step_min_logprob": -2,
            "entropy": (0.5 * 2 + 0.1 * 6) / 8,
            "step_entropy": 0.1,
            "cut_off": 0,
            "reward": 0,
        }
    )
    states = dict(zip(BLOCKS["step"], path_of(*STEPS).states(), strict=True))
    assert states["question"] == pytest.approx([9, 0])
    assert states["last"] == pytest.approx([2, 0.1])
    assert states["mean"] == pytest.approx([4, 0.2])
    assert states["path"] == pytest.approx([(6 * 2 + 4 * 6) / 8, (1 * 2 + 0.2 * 6) / 8])


def test_a_run_into_a_limit_and_the_reward_are_seen() -> None:
    cut = path_of(STEPS[0], replace(STEPS[1], finish="length"), reward=0.8).scalars()
    assert cut[SCALARS["step"].index("cut_off")] == 1
    assert sigmoid(cut[REWARD]) == pytest.approx(0.8)
    for reward in (0.0, 1.0):
        assert np.isfinite(path_of(*STEPS, reward=reward).scalars()).all()


def test_a_path_needs_the_states_of_all_its_steps_and_of_the_prompt() -> None:
    blind = replace(STEPS[1], reading=None)
    assert StepArrays.of(Prefix(PROBLEM, STEPS), 0.5) is None
    assert StepArrays.of(Prefix(PROBLEM, (STEPS[0], blind), PROMPT), 0.5) is None
    assert StepArrays.of(Prefix(PROBLEM, (), PROMPT), 0.5) is None


def test_a_wrong_sum_anywhere_on_the_way_is_known_beside_the_states() -> None:
    wrong = replace(STEPS[0], wrong_sums=("7 * 8 = 54",))
    paths = [path_of(wrong, STEPS[1]), path_of(*STEPS)]
    assert [path.wrong_sum for path in paths] == [True, False]
    assert np.array_equal(paths[0].scalars(), paths[1].scalars())
    scalars, states = np.stack([p.scalars() for p in paths]), np.stack([p.states() for p in paths])
    evidence = path_evidence(scalars, states, np.array([path.wrong_sum for path in paths]))
    assert np.array_equal(evidence.offset, [-2.5, 0.0])


def test_evidence_has_the_shapes_that_it_says() -> None:
    paths = [path_of(*STEPS), path_of(STEPS[0])]
    wrong_sum = np.array([p.wrong_sum for p in paths])
    evidence = path_evidence(
        np.stack([p.scalars() for p in paths]), np.stack([p.states() for p in paths]), wrong_sum
    )
    assert len(evidence) == 2
    assert np.array_equal(evidence.offset, [0.0, 0.0])
    assert evidence.scalars.shape == (2, len(SCALARS["step"]))
    assert [block.shape for block in evidence.states] == [(2, 2)] * len(BLOCKS["step"])
    for i, path in enumerate(paths):
        assert np.array_equal(evidence.scalars[i], path.scalars())
        assert all(np.array_equal(b[i], s) for b, s in zip(evidence.states, path.states(), strict=True))
    alone = question_evidence(np.zeros((5, 3), np.float32))
    assert (len(alone), alone.scalars.shape, alone.states[0].shape) == (5, (5, 0), (5, 3))


@pytest.mark.parametrize("method", ["beta", "quantile", "isotonic"])
def test_live_prefixes_get_the_estimates_of_their_stored_rows(method: str) -> None:
    """A calibration is fitted on half-precision rows of a store and asked about live prefixes."""
    calibration = fitted(method).calibration
    record = next(f for f in searched(problems(8, 500)).values() if len(f.tree) > 12)
    rollouts = Rollouts.of(record)
    training = training_set([rollouts])
    at = {"step": 0, "finished": 0}
    tree = record.tree
    question = training.stages["question"].evidence
    distance = float(calibration.domains["prose"].distance(question.states[0])[0])

    def expected(stage: str, row: int) -> Estimate:
        quantiles = calibration.stages[stage].quantiles(training.stages[stage].evidence)[row]  # type: ignore[index]
        return widen(Estimate(*map(float, quantiles), calibrated=True), distance)

    # Rows are in the order of the draws, nodes in that in which steps were finished.
    for node in _in_order(tree, "prose")[1:]:
        prefix = Prefix(record.started.problem, tree.steps(node.id), tree.readings["prose"])
        reward = node.reward
        assert reward is not None
        stage = "step" if prefix.steps[-1].finish == "step" else "finished"
        live = StepArrays.of(prefix, reward)
        assert live is not None
        row = training.stages[stage].evidence
        assert live.scalars() == pytest.approx(row.scalars[at[stage]], rel=1e-5, abs=1e-5)
        for mine, stored in zip(live.states(), row.states, strict=True):
            assert mine == pytest.approx(stored[at[stage]], rel=2e-3, abs=2e-3)
        found, wanted = calibration.estimate(prefix, reward), expected(stage, at[stage])
        for name in ("lower", "median", "upper"):
            assert getattr(found, name) == pytest.approx(getattr(wanted, name), abs=5e-3)
        at[stage] += 1
    assert at == {stage: len(training.stages[stage].right) for stage in at}
    start = calibration.question(Prefix(record.started.problem, (), tree.readings["prose"]))
    assert start.median == pytest.approx(expected("question", 0).median, abs=5e-3)


def test_a_wrong_sum_costs_what_it_says_and_stays_with_the_solution() -> None:
    calibration = fitted("beta").calibration
    record = next(f for f in searched(problems(8, 500)).values() if len(f.tree) > 12)
    leaf = max(record.tree, key=lambda node: node.depth)
    steps = record.tree.steps(leaf.id)

    def estimate(*wrong_sums: str) -> Estimate:
        path = (replace(steps[0], wrong_sums=wrong_sums), *steps[1:])
        return calibration.estimate(Prefix(record.started.problem, path, record.tree.readings["prose"]), 0.5)

    plain, wrong = estimate(), estimate("2 + 2 = 5")
    assert len(steps) > 1
    assert logit(np.array(wrong.median)) == pytest.approx(logit(np.array(plain.median)) - 2.5)
    # Of the same concentration around that mean: the plain interval tells which.
    m, k = wrong.median, concentration(plain)
    assert wrong.lower == pytest.approx(beta.ppf(0.1, m * k, (1 - m) * k), abs=2e-3)
    assert wrong.upper == pytest.approx(beta.ppf(0.9, m * k, (1 - m) * k), abs=2e-3)


def concentration(found: Estimate) -> float:
    m = found.median
    return float(brentq(lambda k: beta.ppf(0.9, m * k, (1 - m) * k) - found.upper, 1.0, 400.0))


def test_training_rows_are_all_prefixes_with_their_outcomes() -> None:
    asked = problems(6)
    kept = drawn(asked)
    training = training_set(kept)
    assert training.stages["question"].total.tolist() == [4] * 6
    assert training.stages["question"].question.tolist() == list(range(6))
    nodes = sum(len(r.parent) - 1 for r in kept)
    assert nodes == len(training.stages["step"].right) + len(training.stages["finished"].right)
    for stage in ("step", "finished"):
        data = training.stages[stage]
        assert np.all(data.total >= 1)
        assert np.all(data.right <= data.total)
        assert [s.shape[1] for s in data.evidence.states] == [WIDTH] * 4
    for sampled, rollouts in zip(training.samples, kept, strict=True):
        ended = [rollouts.answers[n] or FINISHES[rollouts.finish[n]] == "stop" for n in rollouts.samples()]
        rows = [sample.row for sample in sampled.samples]
        right = [sample.right for sample in sampled.samples]
        assert len(rows) == sum(map(bool, ended))
        assert list(training.stages["finished"].right[rows] > 0) == right
        assert sum(right) == rollouts.right[0]
        assert [sample.answer == "18" for sample in sampled.samples] == right
        assert set(training.stages["finished"].question[rows]) == {sampled.question}


def test_rewards_of_a_prm_take_the_place_of_the_likelihood() -> None:
    kept = drawn(problems(3))
    rewards = [np.linspace(0.1, 0.9, len(r.parent)).astype(np.float32) for r in kept]
    data = training_set(kept, rewards).stages["finished"]
    ends = [(i, n) for i, r in enumerate(kept) for n in range(1, len(r.parent)) if r.finish[n] != 0]
    expected = [float(rewards[i][n]) for i, n in ends]
    assert sigmoid(data.evidence.scalars[:, REWARD]) == pytest.approx(expected, rel=1e-5)


def test_a_model_that_answers_in_one_step_can_be_fitted() -> None:
    def one_step(rollouts: Rollouts, index: int) -> Rollouts:
        cut = {f.name: getattr(rollouts, f.name)[:2] for f in fields(Rollouts) if f.name != "problem"}
        counts = np.array([index % 2] * 2, np.int32), np.ones(2, np.int32)
        finish = np.array([0, FINISHES.index("stop")], np.int32)
        cut |= {"right": counts[0], "total": counts[1], "finish": finish, "answers": (None, "18")}
        return Rollouts(problem=rollouts.problem, **cut)

    kept = [one_step(r, i) for i, r in enumerate(drawn(problems(40)))]
    result = fit_calibration(training_set(kept), "beta", HeadConfig(steps=20, folds=2), seed=0)
    found = report(result.held_out, training_set(kept), rounds=5)
    assert set(found) >= {"question", "finished"}
    assert "step" not in found
