"""The fit of a stage, against worlds whose truth is known, and of a calibration on scripted searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from worlds import beta_world, examples, fitted, measured, problems, training

from adascale.engine.answers.choosing import Candidate, FinishedSearch, group_answers
from adascale.engine.calibration.features import answer_observation
from adascale.engine.calibration.fit import (
    Example,
    Sample,
    answer_examples,
    fit_calibration,
    fit_stage,
    predictions,
)
from adascale.engine.calibration.metrics import Predictions, skill
from adascale.engine.calibration.posterior import SPREADS, log_odds, logit, of_votes, sigmoid
from adascale.engine.types import Estimate, NodeId
from bench.metrics import coverage

STAGES = {"question", "step", "finished", "answer"}
MIDDLE = Estimate(0.3, 0.5, 0.7, calibrated=True)


def finished(*answers: str | None, median: float = 0.5) -> FinishedSearch:
    """A search that ended in these answers, each trajectory as believable as the next."""
    estimate = replace(MIDDLE, lower=median / 2, median=median, upper=(1 + median) / 2)
    candidates = tuple(Candidate(NodeId(i), answer, estimate) for i, answer in enumerate(answers))
    return FinishedSearch({"prose": MIDDLE}, candidates, tuple(group_answers(candidates)))


def played(samples: Sequence[Sequence[Sample]], estimates: Mapping[str, Predictions]) -> list[Example]:
    """Searches that are played back, as a fitted calibration reads them."""
    return [*answer_examples(samples, estimates, SPREADS, 0)]


def confidence(search: FinishedSearch) -> float:
    return fitted()[0].of_answer(search).median


def test_answers_rise_with_agreement() -> None:
    answers = (["18", "20", "21", "22"], ["18", "18", "20", "21"], ["18"] * 3 + ["20"], ["18"] * 4)
    p = [confidence(finished(*each)) for each in answers]
    assert p == sorted(p)
    assert p[-1] > p[0] + 0.1


def test_the_features_of_an_answer_by_hand() -> None:
    search = finished("18", "18", "20", None, median=0.8)
    found = answer_observation(search, SPREADS).numbers
    assert found["question"] == pytest.approx(0, abs=1e-9)
    assert found["share"] == pytest.approx(0)  # 2.5 of 5
    assert found["lead"] == pytest.approx(0.5)
    assert found["mean"] == found["best"] == pytest.approx(np.log(4))
    assert found["samples"] == pytest.approx(np.log(4))
    assert found["groups"] == pytest.approx(np.log(2))
    assert found["posterior"] == pytest.approx(
        log_odds(of_votes(search, {"prose": 0.5}, dict.fromkeys(range(4), log_odds(0.8)), SPREADS)[0])
    )
    assert found["programs"] == found["both modes"] == 0
    assert list(found) == [*fitted()[0].models["answer"].names]


def test_every_stage_has_skill_held_out_and_on_new_questions() -> None:
    assert set(fitted()[1]) == STAGES
    new = measured(fitted()[0], training(problems(60, 1000)))
    assert set(new) == STAGES
    for stage in STAGES:
        assert skill(fitted()[1][stage]) > 0.05, stage
        assert skill(new[stage]) > 0.05, stage
        assert np.all(np.diff(new[stage].quantiles, axis=1) >= 0)


@pytest.mark.slow
def test_programs_have_estimates_of_their_own() -> None:
    calibration, held_out = fitted(programs=3)
    assert calibration.modes == ("prose", "program")
    assert set(held_out) == STAGES | {"program question", "program"}
    data = training(problems(60, 1000), programs=3)
    new = measured(calibration, data)
    for stage in ("program question", "program", "answer"):
        assert skill(held_out[stage]) > 0.05, stage
        assert skill(new[stage]) > 0.05, stage
    failed = new["program"].quantiles[[each.observation.offset < -5 for each in data.stages["program"]]]
    assert len(failed) > 10
    assert np.all(failed[:, 1] < 0.01)


def test_a_fit_is_the_same_every_time_and_follows_its_seed() -> None:
    data = training(problems(12))
    one, two, other = (fit_calibration(data, seed)[1] for seed in (0, 0, 1))
    for stage in STAGES:
        assert np.array_equal(one[stage].quantiles, two[stage].quantiles)
        assert not np.array_equal(one[stage].quantiles, other[stage].quantiles)


def test_searches_of_some_sizes_are_played_back() -> None:
    known = training(problems(10))
    halves = {
        stage: replace(predictions(None, own), quantiles=np.full((len(own), 3), 0.5))
        for stage, own in known.stages.items()
    }
    searches = played(known.samples, halves)
    sizes = [round(np.exp(each.observation.numbers["samples"])) for each in searches]
    assert set(sizes) == {1, 2, 3, 4}  # of three solutions that count, all
    assert {each.right for each in searches} == {0, 1}
    assert [each.independent for each in searches] == [size == 1 for size in sizes]
    for question, sampled in enumerate(known.samples):
        candidates = [Candidate(NodeId(i), s.answer, MIDDLE) for i, s in enumerate(sampled)]
        vote = group_answers(candidates)
        votes = [len(group.nodes) for group in vote]
        if len(candidates) == 4 and votes and votes.count(votes[0]) == 1:
            rows = zip(searches, sizes, strict=True)
            whole = [each.right for each, n in rows if (each.question, n) == (question, 4)]
            assert whole.count(vote[0].answer == "18") >= 2, "in both orders"


def test_searches_that_share_samples_do_not_pass_for_a_spread_of_rates() -> None:
    """Every question has the same rate: played back over and over, its samples must not look like more."""
    size, rng = 6, np.random.default_rng(1)
    rows = rng.random((80, size)) < 0.6
    samples = [
        [Sample(size * i + at, "18" if r else "20", bool(r)) for at, r in enumerate(own)]
        for i, own in enumerate(rows)
    ]
    ones, many = np.ones(80), np.ones(80 * size)
    estimates = {
        "question": Predictions(np.arange(80), np.full((80, 3), 0.6), ones, ones),
        "finished": Predictions(np.arange(80 * size), np.full((80 * size, 3), 0.6), many, many),
    }
    answers = played(samples, estimates)
    model, _ = fit_stage(answers, 0)
    alone = [each.observation for each in answers if each.independent]
    assert len(alone) == 80 * size
    lower, _, upper = model.quantiles(alone).T
    assert np.all(upper - lower < 0.35)


def test_held_out_estimates_never_see_their_own_question() -> None:
    data, _ = beta_world(20)
    _, before = fit_stage(data, seed=1)
    other = [replace(each, right=each.total - each.right) if each.question == 7 else each for each in data]
    _, after = fit_stage(other, seed=1)
    own = before.question == 7
    # The width of a head's interval is one number of all other folds, whose heads saw this one.
    assert np.array_equal(before.quantiles[own, 1], after.quantiles[own, 1])
    assert not np.array_equal(before.quantiles, after.quantiles)


def test_known_logits_are_added_and_not_learned_again() -> None:
    rng = np.random.default_rng(5)
    x, offset = rng.normal(0, 1, 1500), -2.5 * (rng.random(1500) < 0.3)
    right = rng.binomial(1, sigmoid(x + offset))
    data = examples(x[:, None], right, offset=offset)
    model, held_out = fit_stage(data, seed=0)
    for rows in (offset == 0, offset < 0):
        assert held_out.quantiles[rows, 1].mean() == pytest.approx(right[rows].mean(), abs=0.04)
    sound = logit(predictions(model, examples(x[:, None], right)).quantiles[:, 1])
    assert logit(predictions(model, data).quantiles[:, 1]) == pytest.approx(sound + offset, abs=0.01)


def test_a_head_finds_a_world_of_logistic_means() -> None:
    data, mean = beta_world(500)
    model, held_out = fit_stage(data, seed=0)
    oracle = skill(replace(held_out, quantiles=np.column_stack([mean, mean, mean])))
    assert skill(held_out) > 0.85 * oracle
    fresh, mean = beta_world(500)
    assert np.corrcoef(predictions(model, fresh).quantiles[:, 1], mean)[0, 1] > 0.95


def test_an_interval_holds_eighty_percent() -> None:
    kappa = 3.0
    data, mean = beta_world(1000, prefixes=1, total=8, kappa=kappa)
    _, held_out = fit_stage(data, seed=0)
    assert coverage(held_out) == pytest.approx(0.82, abs=0.05)
    truth = np.random.default_rng(1).beta(mean * kappa, (1 - mean) * kappa)
    inside = (held_out.quantiles[:, 0] < truth) & (truth < held_out.quantiles[:, 2])
    assert inside.mean() == pytest.approx(0.8, abs=0.08)


@pytest.mark.parametrize("rate", [0.01, 0.99])
def test_a_head_with_nothing_to_learn_says_the_base_rate_however_rare(rate: float) -> None:
    rng = np.random.default_rng(0)
    right = (rng.random(600) < rate).astype(float)
    data = examples(rng.standard_normal((600, 20)), right, question=np.repeat(np.arange(150), 4))
    _, held_out = fit_stage(data, seed=0)
    assert held_out.quantiles[:, 1].mean() == pytest.approx(right.mean(), abs=0.01)
    assert skill(held_out) > -0.03


def test_a_head_does_not_extrapolate_beyond_the_numbers_it_was_fitted_on() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200, 1))
    model, _ = fit_stage(examples(x, rng.random(200) < sigmoid(3 * x[:, 0])), seed=0)
    inside, far = (
        predictions(model, examples(np.array([[v]]), np.ones(1))).quantiles for v in (float(x.max()), 50.0)
    )
    assert np.array_equal(inside, far)
