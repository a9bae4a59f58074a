"""What became of every prefix: draws are counted from where they start."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import log_of
from worlds import ReadingPolicy, sloppy

from adascale.engine.search.events import AnswerFound, BranchStarted, StepProposed
from adascale.engine.search.record import PrefixOutcome, Record, prefix_outcomes
from adascale.engine.strategies import Vote
from adascale.engine.types import Problem


@given(question=st.integers(0, 10_000), samples=st.integers(1, 6), slots=st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_a_draw_counts_from_its_own_start_down(question: int, samples: int, slots: int) -> None:
    problem = Problem("q", f"What is {question} * 2?", "18")
    log = log_of(ReadingPolicy(sloppy, slots), Vote(samples, redraws=2), problem)
    record = Record.of(log)
    expected = {node.id: PrefixOutcome() for node in record.tree}
    answers = {event.node: event.answer for event in log if isinstance(event, AnswerFound)}
    for start in (event for event in log if isinstance(event, BranchStarted)):
        own = [e.node for e in log if isinstance(e, StepProposed) and e.branch == start.branch]
        if own[-1] in answers:  # else a step was drawn again
            # A redraw's own nodes lie below the steps that it goes on from.
            for node in (start.parent, *own):
                expected[node] += PrefixOutcome(int(answers[own[-1]] == "18"), 1)
    assert prefix_outcomes(record) == expected
    assert sum(outcome.total for outcome in expected.values()) > 0
