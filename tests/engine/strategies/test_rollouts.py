"""What became of every prefix: draws counted from where they start, and the strategy that draws them."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import log_of
from worlds import ReadingPolicy, drawn, problems, reading

from adascale.engine.ports import Prefix
from adascale.engine.search.events import AnswerFound, BranchStarted, Event, StepProposed
from adascale.engine.search.outcomes import PrefixOutcome, prefix_outcomes
from adascale.engine.search.record import Record
from adascale.engine.strategies.redraws import RolloutDraws
from adascale.engine.types import ROOT, NodeId, Problem, Step
from adascale.models.calibration.rollouts import Rollouts
from bench.scripted import scripted_step


def draws(log: list[Event]) -> list[tuple[NodeId, list[NodeId], str | None]]:
    """Start, own nodes and answer of every draw, read from the log alone."""
    starts = {event.branch: event.parent for event in log if isinstance(event, BranchStarted)}
    found = {}
    for branch, start in starts.items():
        nodes = [event.node for event in log if isinstance(event, StepProposed) and event.branch == branch]
        answers = [e.answer for e in log if isinstance(e, AnswerFound) and e.node == nodes[-1]]
        found[branch] = (start, nodes, answers[0])
    return list(found.values())


@given(question=st.integers(0, 10_000), samples=st.integers(1, 6), slots=st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_a_draw_counts_from_its_own_start_down(question: int, samples: int, slots: int) -> None:
    problem = Problem("q", f"What is {question} * 2?", "18")
    log = log_of(ReadingPolicy(sloppy, slots), RolloutDraws(samples=samples), problem)
    record = Record.of(log)
    expected = {node.id: PrefixOutcome() for node in record.tree}
    for start, nodes, answer in draws(log):
        for node in [start, *nodes]:
            expected[node] += PrefixOutcome(int(answer == "18"), 1)
    assert prefix_outcomes(record) == expected
    assert prefix_outcomes(record)[ROOT].total == samples


@pytest.mark.parametrize("slots", [5, 32])
def test_neighbours_change_neither_what_is_drawn_nor_the_order_in_which_it_is_kept(slots: int) -> None:
    """What a resumed run relies on: other questions are in flight beside those that were missing."""
    asked = problems(40)
    for problem, together in zip(asked, drawn(asked, slots=slots), strict=True):
        [alone] = drawn([problem], slots=slots)
        assert together.nodes == alone.nodes, problem.id
        assert np.array_equal(together.last, alone.last)


def sloppy(prefix: Prefix, rng: random.Random) -> Step:
    """A thought, two sums of which half are wrong, and an answer that is right if both sums are."""
    if len(prefix.steps) < 3:
        slips = rng.random() < 0.5 and len(prefix.steps) > 0
        text = ("9 + 9 = 17\n\n" if slips else "9 + 9 = 18\n\n") if prefix.steps else "Two of them.\n\n"
        return replace(scripted_step(text), reading=reading(0.0, rng))
    wrong = any("17" in step.text for step in prefix.steps)
    return replace(scripted_step(f"Answer: {17 if wrong else 18}.", "stop"), reading=reading(0.0, rng))


@pytest.mark.parametrize("slots", [1, 3, 32])
def test_a_step_with_a_wrong_sum_is_drawn_again_and_the_first_goes_on(slots: int) -> None:
    strategy = RolloutDraws(samples=4, slips=50)
    again = 0
    for problem in problems(10):
        log = log_of(ReadingPolicy(sloppy, slots), strategy, problem)
        record = Record.of(log)
        slipped = {n.id for n in record.tree if n.step is not None and "17" in n.step.text}
        found = draws(log)
        assert all(answer is not None for *_, answer in found)
        starts = Counter(start for start, *_ in found)
        # Sums that were done over until they were right, below every prefix that a search would come to.
        sound = {ROOT} | {
            n.id for n in record.tree if not slipped & {at.id for at in record.tree.path(n.id)} and n.id
        }
        expected = Counter({node: sum(c in slipped for c in record.tree.children(node)) for node in sound})
        expected[ROOT] = 4
        assert starts == +expected
        rollouts = Rollouts.of(record)
        wrong = sum("17 " not in text and "= 17" in text for text in texts(record))
        assert sum(node.wrong_sum for node in rollouts.nodes) == wrong
        ends = [rollouts.replacement_of(end) for end in rollouts.ends_from(0)]
        assert [rollouts.nodes[end].answer for end in ends] == ["18"] * 4
        assert len(set(ends)) == 4
        again += len(found) - 4
    assert again > 20


def texts(record: Record) -> list[str]:
    return [node.step.text for node in record.tree if node.step is not None]
