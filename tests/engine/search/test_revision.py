"""Solutions are judged again as others end: the log says it, and nothing is counted twice."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from scripted import ScriptedExecutor, judging, ticking
from worlds import ReadingPolicy, execute, problems, solve

from adascale.engine.answers.choosing import Candidate, FinishedSearch
from adascale.engine.ports import SequenceLogprob
from adascale.engine.request import Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import AnswerFound, Event
from adascale.engine.search.record import Record
from adascale.engine.strategies import Adaptive, Strategy, Vote
from adascale.engine.types import ROOT, Estimate, NodeId, Step

VOTES = judging("value", 0.5)
[ASKED] = problems(1, 501)


def log(strategy: Strategy) -> list[Event]:
    driver = Driver(
        ReadingPolicy(solve, 8),
        SequenceLogprob(),
        {"value": VOTES},
        ticking(),
        executor=ScriptedExecutor(execute),
    )
    return [event for _, event in driver.run([ASKED], Settings(strategy))]


def revision(record: Record) -> Mapping[NodeId, Estimate]:
    """What the calibration says of the trajectories that count; those cut off without an answer do not."""
    tree = record.tree
    ended = [c for c in record.candidates if c.answer is not None or step_of(record, c).finish == "stop"]
    finished = FinishedSearch(tree.questions, tuple(ended), tree.groups)
    return VOTES.judge(tree.prefix(ROOT), finished).revised if finished.groups else {}


def step_of(record: Record, candidate: Candidate) -> Step:
    step = record.tree[candidate.node].step
    assert step is not None
    return step


STRATEGIES = [
    Vote(8),
    Adaptive(samples=16, lead=6),
]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_log_tells_every_revision(strategy: Strategy) -> None:
    """At each moment the replay has the estimates of all that counts so far."""
    events, revised = log(strategy), 0
    for at, event in enumerate(events):
        if not isinstance(event, AnswerFound):
            continue
        later = next(i for i in range(at + 1, len(events)) if events[i].kind == "answers_judged")
        record = Record.of(events[: later + 1])
        expected = revision(record)
        for each in record.candidates:
            assert record.tree[each.node].estimate == expected.get(each.node, each.estimate)
        revised += sum(expected.get(each.node, each.estimate) != each.estimate for each in record.candidates)
    assert revised > 1
