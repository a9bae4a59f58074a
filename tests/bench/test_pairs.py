"""Pairs of siblings, and what fresh rollouts say of them, on a world whose truth is known."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sampled
import worlds

from adascale.export.filters import Filters
from adascale.export.formats import Labelling
from adascale.export.sampled import SampledQuestion
from adascale.models.calibration.rollouts import Rollouts, RolloutStore
from adascale.models.options import SessionOptions
from bench.evidence import pairs as bench
from bench.scripted import pieces

PROSE = Filters(known_answers=True, mode="prose")


@pytest.fixture(scope="module")
def pairs() -> list[Any]:
    records = worlds.searched(worlds.problems(40), samples=6, programs=2)
    questions = map(SampledQuestion.of, records.values())
    return [pair for each in questions for pair in bench.pairs_of(each, PROSE, Labelling())]


def test_a_pair_has_two_ways_on_from_one_prefix(pairs: list[Any]) -> None:
    assert any(len(pair.chosen.steps) > 1 for pair in pairs)
    for pair in pairs:
        assert pair.chosen.steps[:-1] == pair.rejected.steps[:-1]
        assert pair.chosen.steps != pair.rejected.steps
        assert pair.chosen.probability >= pair.rejected.probability + 0.3
        assert all(step.endswith("\n\n") for side in (pair.chosen, pair.rejected) for step in side.steps)


def test_ends_programs_and_questions_without_answers_give_no_pair() -> None:
    ends = [sampled.node(0, "so 1", 0.9, answer="1"), sampled.node(0, "so 2", 0.1, answer="2")]
    programs = [sampled.node(0, f"print({p})", p, mode="program") for p in (0.9, 0.1)]
    steps = [sampled.node(0, "a", 0.9), sampled.node(0, "b", 0.1)]
    for nodes, answer in ((ends, "1"), (programs, "1"), (steps, None)):
        assert not list(bench.pairs_of(sampled.question(*nodes, answer=answer), PROSE, Labelling()))


def test_each_question_gives_one_pair_at_most(pairs: list[Any]) -> None:
    chosen = bench.choose_pairs(pairs, 10, seed=1)
    assert len({pair.problem.id for pair in chosen}) == len(chosen) == 10
    assert bench.choose_pairs(pairs, 10, seed=1) == chosen
    assert bench.choose_pairs(pairs, 10, seed=2) != chosen
    everything = bench.choose_pairs(pairs, 1000, seed=1)
    assert len(everything) == len({pair.problem.id for pair in pairs})


def test_fresh_rollouts_find_the_step_that_costs_success(pairs: list[Any]) -> None:
    """In this world a step that guesses halves the odds and more, every other step costs nothing."""
    telling = [
        pair
        for pair in bench.choose_pairs(pairs, 1000, seed=1)
        if pair.rejected.steps[-1] == "guess\n\n" != pair.chosen.steps[-1]
    ]
    judged = bench.judge(worlds.ReadingPolicy(worlds.solve, 32), pieces, telling, 16)
    assert [each.problem for each in judged] == [pair.problem.id for pair in telling]
    assert all(len(side.answers) == 16 for each in judged for side in (each.chosen, each.rejected))
    figures = bench.report(judged)
    assert figures["better"] + figures["ties"] + figures["worse"] == figures["pairs"] == len(telling) > 5
    assert figures["share"] > 0.8
    assert figures["low"] < figures["share"] <= figures["high"]


def test_a_verdict_depends_neither_on_slots_nor_on_other_pairs(pairs: list[Any]) -> None:
    def judge(slots: int, *some: Any) -> list[Any]:
        found: list[Any] = bench.judge(worlds.ReadingPolicy(worlds.solve, slots), pieces, some, 4)
        return found

    one, other = bench.choose_pairs(pairs, 2, seed=1)
    assert judge(2, one, other) == judge(32, one, other) == judge(8, one) + judge(8, other)


def test_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(RolloutStore(tmp_path / "x.sqlite")) as store:
        for record in worlds.searched(worlds.problems(20)).values():
            store.put(Rollouts.of(record))
    policies = []

    @contextmanager
    def open_session(options: SessionOptions) -> Iterator[Any]:
        policies.append(worlds.ReadingPolicy(worlds.solve, options.branches))
        model = SimpleNamespace(tokenize=lambda text, *, special: pieces(text))
        yield SimpleNamespace(policy=policies[-1], model=model)

    def run(count: int) -> list[str]:
        out = tmp_path / "pairs.jsonl"
        args = f"pairs tiny {tmp_path}/x.sqlite --temperature .8 --pairs {count} -o {out}"
        monkeypatch.setattr(sys, "argv", args.split())
        bench.main()
        assert f'"pairs": {count}, "better"' in capsys.readouterr().out
        return out.read_text().splitlines()

    monkeypatch.setattr(bench, "Session", open_session)
    first = run(5)
    assert run(5) == first
    assert [policy.batches > 0 for policy in policies] == [True, False]


def test_ties_alone_decide_nothing() -> None:
    tie = bench.JudgedPair("q", bench.Outcomes(0.9, 1, ("1", "2")), bench.Outcomes(0.1, 1, ("2", "1")))
    figures = bench.report([tie, tie])
    assert (figures["ties"], figures["share"], figures["low"], figures["high"]) == (2, None, 0.0, 1.0)
    assert (figures["gap"], figures["gap_of_source"]) == (0.0, 0.8)
