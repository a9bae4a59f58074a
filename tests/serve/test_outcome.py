"""Replies to clients for questions with options."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scripted import PLANETS, PRIME, WEIGHTS, search_options

from adascale.engine.request import SearchRequest
from adascale.engine.strategies import EFFORTS
from adascale.engine.types import Problem, Usage
from adascale.serve.outcome import Outcome
from adascale.serve.request import Ask

SEARCH = SearchRequest("Is it?", is_searched=True)
REQUEST = Ask(SEARCH.problem("1"), SEARCH)


@pytest.mark.parametrize(("problem", "content"), [(PLANETS, "B. Jupiter"), (PRIME, "No")])
def test_an_option_that_was_only_read_is_the_whole_reply(problem: Problem, content: str) -> None:
    record, _ = search_options(problem, 0.99)
    outcome = Outcome(REQUEST, record, Usage())
    assert [(choice.content, choice.finish) for choice in outcome.choices] == [(content, "stop")]
    assert outcome.usage.generated_tokens == 0
    assert outcome.summary["kind"] == problem.kind
    assert outcome.summary["probability"] == pytest.approx(0.99, abs=0.01)
    assert sum(outcome.summary["options"].values()) == pytest.approx(1.0)


def test_a_solution_is_shown_with_the_option_that_it_chose() -> None:
    record, _ = search_options(PLANETS, 0.5, "It is heavier.\nAnswer: B")
    [choice] = Outcome(REQUEST, record, Usage()).choices
    assert choice.content == "It is heavier.\nAnswer: B\n\nAnswer: B. Jupiter"


def test_a_solution_that_is_outweighed_by_the_reading_counts_as_reasoning() -> None:
    deaf = replace(WEIGHTS, merit={"prose": 0.01, "program": 0.01})
    every = replace(EFFORTS["choice"]["low"], stop_at=1.0, min_gain=-1.0)
    record, _ = search_options(PLANETS, 0.9, "It is redder.\nAnswer: A", every, weights=deaf)
    outcome = Outcome(REQUEST, record, Usage())
    assert [choice.content for choice in outcome.choices] == ["B. Jupiter"]
    assert outcome.reasoning_tokens == outcome.usage.generated_tokens > 0
