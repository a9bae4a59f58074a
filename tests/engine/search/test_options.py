"""Searches of questions with options: a look decides, or where it says nothing solutions do."""

from __future__ import annotations

import pytest
from scripted import PLANETS, PRIME, search_options

from adascale.engine.calibration.options import OPTIONS
from adascale.engine.kinds.recognising import problem_of
from adascale.engine.request import SearchRequest
from adascale.engine.search.events import OptionsRead
from adascale.engine.search.tree import Tree
from adascale.engine.strategies import Adaptive, ModeChoice
from adascale.engine.types import Mode, Problem


class Always(Adaptive):
    """Draws whatever a look says, to the last solution."""

    def _verdict(self, tree: Tree) -> None:
        return None


@pytest.mark.parametrize("problem", [PLANETS, PRIME])
def test_a_sure_look_is_the_answer_and_nothing_is_written(problem: Problem) -> None:
    record, log = search_options(problem, 0.99)
    assert record.result is not None
    assert record.result.answer == ("B" if problem is PLANETS else "no")
    assert record.result.confidence is not None
    assert record.result.confidence.median == pytest.approx(0.99, abs=0.01)
    assert (record.usage.generated_tokens, record.result.stop_reason) == (0, "settled")
    assert record.usage.prompt_tokens > 0
    assert sum(record.options.values()) == pytest.approx(1.0)
    assert sum(isinstance(event, OptionsRead) for event in log) == (2 if problem is PLANETS else 1)


def test_solutions_can_turn_what_a_look_favoured() -> None:
    record, _ = search_options(PLANETS, 0.6, "Answer: A", Always(4))
    assert record.result is not None
    assert record.result.answer == "A"
    solution = record.tree[record.result.best or 0]
    assert solution.estimate is not None
    assert solution.estimate.median == pytest.approx(record.options["A"])


def test_two_programs_settle_yes_or_no_before_any_prose() -> None:
    record, _ = search_options(PRIME, 0.99, "Answer: yes", weights=OPTIONS["yes-no"], mode="auto")
    assert record.result is not None
    assert [record.tree[each.node].mode for each in record.candidates] == ["program", "program"]
    assert (record.result.answer, record.result.stop_reason) == ("yes", "confident")


def test_a_program_that_prints_what_stands_in_it_counts_as_prose() -> None:
    weights = OPTIONS["yes-no"]
    record, _ = search_options(PRIME, 0.5, "Answer: no", Always(4, lead=4), weights=weights, mode="auto")
    written = {record.tree[each.node].mode for each in record.candidates}
    assert (written, {each.mode for each in record.candidates}) == ({"prose", "program"}, {"prose"})


def test_programs_are_for_yes_no_questions_that_speak_of_quantities() -> None:
    usual = SearchRequest()
    modes: dict[str, tuple[Mode, ...]] = {
        question: usual.settings(problem_of("1", question)).strategy.modes
        for question in ("Is 91 prime?", "Is Canberra the capital of Australia?")
    }
    assert [*modes.values()] == [("prose", "program"), ("prose",)]


def test_programs_that_a_kind_does_not_know_are_refused_aloud() -> None:
    capital = problem_of("1", "What is the capital of Bhutan?")
    asked: list[tuple[ModeChoice, list[str]]] = [("program", ["no-effect"]), ("prose", []), ("auto", [])]
    for mode, warned in asked:
        chosen = SearchRequest(mode=mode).settings(capital)
        assert chosen.strategy.modes == ("prose",)
        assert [notice.code for notice in chosen.warnings] == warned
