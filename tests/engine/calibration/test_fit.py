"""A whole calibration on a world of scripted searches, and what it says of finished ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from worlds import fitted, problems, searched, training

from adascale.engine.answers.choosing import PROFILES, Candidate, FinishedSearch, group_answers
from adascale.engine.answers.posterior import ModeState, Support, log_odds, posterior
from adascale.engine.calibration.features import ANSWER_FEATURES, answer_observation
from adascale.engine.calibration.fit import (
    Example,
    HeadConfig,
    QuestionSamples,
    Sample,
    StageData,
    Training,
    answer_examples,
    fit_calibration,
    fit_stage,
    mode_profile,
)
from adascale.engine.calibration.metrics import Predictions, StageReport, skill
from adascale.engine.calibration.report import measure, report
from adascale.engine.codec import build, to_plain
from adascale.engine.ports import Prefix
from adascale.engine.types import Estimate, Mode, NodeId

STAGES = {"question", "step", "finished", "answer"}
MIDDLE = Estimate(0.3, 0.5, 0.7, calibrated=True)
QUICK = HeadConfig(steps=20, folds=2)
STATES: Mapping[Mode, ModeState] = {"prose": ModeState(MIDDLE, 4, PROFILES["prose"].spread)}
SUPPORTS = [Support({"prose": votes}, log_odds(0.8)) for votes in (2, 1)]


def finished(*answers: str | None, question: Estimate | None = MIDDLE, median: float = 0.5) -> FinishedSearch:
    """A search that ended in these answers, each trajectory as believable as the next."""
    estimate = replace(MIDDLE, lower=median / 2, median=median, upper=(1 + median) / 2)
    candidates = tuple(Candidate(NodeId(i), answer, estimate) for i, answer in enumerate(answers))
    questions: Mapping[Mode, Estimate] = {} if question is None else {"prose": question}
    return FinishedSearch(questions, candidates, tuple(group_answers(candidates)))


def played(training: Training, estimates: Mapping[str, Predictions]) -> list[Example]:
    """Searches that are played back, as a fitted calibration reads them."""
    return [*answer_examples(training, estimates, lambda each: answer_observation(each, PROFILES), 0)]


def prefix() -> Prefix:
    [record] = searched(problems(1)).values()
    return Prefix(record.started.problem, (), record.tree.readings["prose"])


def confidence(search: FinishedSearch) -> float:
    found = fitted().calibration.judge(prefix(), search)
    assert found.revised == {}  # a fitted calibration revises nothing
    assert found.confidence is not None
    return found.confidence.median


def test_answers_rise_with_agreement() -> None:
    answers = (["18", "20", "21", "22"], ["18", "18", "20", "21"], ["18"] * 3 + ["20"], ["18"] * 4)
    p = [confidence(finished(*each)) for each in answers]
    assert p == sorted(p)
    assert p[-1] > p[0] + 0.1


def test_the_features_of_an_answer_by_hand() -> None:
    search = finished("18", "18", "20", None, median=0.8)
    found = answer_observation(search, PROFILES).numbers
    assert found["question"] == pytest.approx(0, abs=1e-9)
    assert found["share"] == pytest.approx(0)  # 2.5 of 5
    assert found["lead"] == pytest.approx(0.5)
    assert found["mean"] == found["best"] == pytest.approx(np.log(4))
    assert found["samples"] == pytest.approx(np.log(4))
    assert found["groups"] == pytest.approx(np.log(2))
    assert found["posterior"] == pytest.approx(log_odds(posterior(STATES, SUPPORTS)[0]))
    assert found["programs"] == found["both modes"] == 0
    assert found.keys() == set(ANSWER_FEATURES)
    assert answer_observation(finished("18", question=None), PROFILES).numbers["question"] == 0


def test_an_answer_that_both_modes_give_says_so() -> None:
    modes: tuple[Mode, ...] = ("prose", "program")
    candidates = tuple(Candidate(NodeId(i), "18", MIDDLE, mode) for i, mode in enumerate(modes))
    questions = dict.fromkeys(modes, MIDDLE)
    search = FinishedSearch(questions, candidates, tuple(group_answers(candidates)))
    found = answer_observation(search, PROFILES).numbers
    assert (found["programs"], found["both modes"]) == (0.5, 1.0)


def test_every_stage_has_skill_held_out_and_on_new_questions() -> None:
    assert set(fitted().held_out) == STAGES
    new = measure(fitted().calibration, training(problems(60, 1000)), seed=0)
    assert set(new) == STAGES
    for stage in STAGES:
        assert skill(fitted().held_out[stage]) > 0.05, stage
        assert skill(new[stage]) > 0.05, stage
        assert np.all(np.diff(new[stage].quantiles, axis=1) >= 0)


@pytest.mark.slow
def test_programs_have_estimates_of_their_own() -> None:
    fit = fitted(programs=3)
    assert fit.calibration.modes == ("prose", "program")
    assert set(fit.held_out) == STAGES | {"program question", "program"}
    asked = problems(60, 1000)
    new = measure(fit.calibration, training(asked, programs=3), seed=0)
    for stage in ("program question", "program", "answer"):
        assert skill(fit.held_out[stage]) > 0.05, stage
        assert skill(new[stage]) > 0.05, stage
    failed = new["program"].quantiles[training(asked, programs=3).stages["program"].evidence.offset < 0]
    assert len(failed) > 10
    assert np.all(failed[:, 1] < 0.01)


def test_a_profile_tells_how_often_mistakes_are_repeated() -> None:
    samples = training(problems(60), programs=3).samples
    program, prose = mode_profile(samples, "program"), mode_profile(samples, "prose")
    assert program.spread < prose.spread
    assert program.tokens < prose.tokens


def test_the_default_profile_holds_where_no_two_mistakes_were_seen() -> None:
    assert mode_profile([QuestionSamples(0, ())], "prose").tokens == PROFILES["prose"].tokens
    alone = [QuestionSamples(i, (Sample(i, "20", False, 9, "program"),)) for i in range(50)]
    assert mode_profile(alone, "program").spread == pytest.approx(PROFILES["program"].spread, rel=0.03)
    pairs = [
        QuestionSamples(i, tuple(Sample(2 * i + at, "20", False, 9) for at in (0, 1))) for i in range(50)
    ]
    assert mode_profile(pairs, "prose").spread < 0.5 * PROFILES["prose"].spread


def test_a_fit_is_the_same_every_time_and_follows_its_seed() -> None:
    data = training(problems(12))
    one, two, other = (fit_calibration(data, QUICK, seed) for seed in (0, 0, 1))
    for stage in STAGES:
        assert np.array_equal(one.held_out[stage].quantiles, two.held_out[stage].quantiles)
        assert not np.array_equal(one.held_out[stage].quantiles, other.held_out[stage].quantiles)


def test_searches_of_every_size_are_played_back() -> None:
    known = training(problems(10))
    halves = {
        stage: data.predictions(np.full((len(data.right), 3), 0.5)) for stage, data in known.stages.items()
    }
    searches = played(known, halves)
    sizes = [round(np.exp(each.observation.numbers["samples"])) for each in searches]
    assert set(sizes) == {1, 2, 3, 4}
    assert {each.right for each in searches} == {0, 1}
    assert [each.independent for each in searches] == [size == 1 for size in sizes]
    for sampled in known.samples:
        candidates = [Candidate(NodeId(i), s.answer, MIDDLE) for i, s in enumerate(sampled.samples)]
        vote = group_answers(candidates)
        if vote and len(candidates) == 4:
            # All estimates are the same here, so the best is the first.
            first = next(c.answer for c in candidates if c.answer)
            expected = [vote[0].answer] + ([first] if first != vote[0].answer else [])
            whole = [
                e.right
                for e, n in zip(searches, sizes, strict=True)
                if (e.question, n) == (sampled.question, 4)
            ]
            assert whole == [answer == "18" for answer in expected]


def test_a_model_that_never_answers_can_be_fitted() -> None:
    data = training(problems(25))
    silent = [
        replace(each, samples=tuple(replace(sample, answer=None) for sample in each.samples))
        for each in data.samples
    ]
    fit_calibration(replace(data, samples=silent), QUICK, 0)


def test_the_report_is_json_with_all_that_is_promised() -> None:
    held_out = fitted().held_out
    found = report(held_out, training(problems(60)), rounds=20)
    assert set(found) == STAGES
    for stage, data in found.items():
        assert data.questions <= 60
        assert data.n >= data.questions
        assert data.outcomes >= data.n
        plain = to_plain(data)
        for name in ("brier", "skill", "ece", "auc", "coverage"):
            low, high = plain["intervals"][name]
            assert low <= high
            assert plain[name] == round(plain[name], 4)
        for compared in ("raw", "surface", "auc_within"):
            assert (compared in plain) == (stage in ("step", "finished"))
        assert sum(b.weight for b in data.reliability) == pytest.approx(1, abs=1e-3)
        assert build(StageReport, json.loads(json.dumps(plain, allow_nan=False))) == data
    constant = replace(held_out["answer"], right=held_out["answer"].total)
    assert report({"answer": constant}, rounds=5)["answer"].auc is None


@pytest.mark.slow
def test_the_states_say_more_than_length_alone() -> None:
    """A guess costs success, and its state tells it; how long a solution is tells nothing here."""
    found = report(fitted().held_out, training(problems(60)), rounds=5)
    finished = found["finished"]
    assert finished.surface is not None
    assert finished.surface.auc is not None
    assert finished.auc is not None
    assert finished.auc > finished.surface.auc + 0.1
    assert finished.auc_within is not None
    assert 0.5 < finished.auc_within < finished.auc


@pytest.mark.parametrize("size", [4, 6])
def test_searches_that_share_samples_do_not_pass_for_a_spread_of_rates(size: int) -> None:
    """Every question has the same rate: played back over and over, its samples must not look like more."""
    rng = np.random.default_rng(1)
    rows = rng.random((80, size)) < 0.6
    samples = [
        QuestionSamples(
            i, tuple(Sample(size * i + at, "18" if r else "20", bool(r), 9) for at, r in enumerate(own))
        )
        for i, own in enumerate(rows)
    ]
    ones, many = np.ones(80), np.ones(80 * size)
    estimates = {
        "question": Predictions(np.arange(80), np.full((80, 3), 0.6), ones, ones),
        "finished": Predictions(np.arange(80 * size), np.full((80 * size, 3), 0.6), many, many),
    }
    answers = StageData.stack(played(Training({}, samples), estimates), ANSWER_FEATURES)
    assert answers.independent.sum() == 80 * size
    model, _ = fit_stage(answers, HeadConfig(components=0, steps=120, folds=3), 0)
    lower, _, upper = model.quantiles(answers.evidence)[answers.independent].T
    assert np.all(upper - lower < 0.35)
