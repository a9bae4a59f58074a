"""The one fold of a log: what every reader of a search sees."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from sample_log import Log
from scripted import ended, judging, log_of, searched
from worlds import ReadingPolicy, execute, problems, solve

from adascale.engine.answers.choosing import Candidate, FinishedSearch, SearchResult
from adascale.engine.search.events import (
    AnswerFound,
    BranchStarted,
    Event,
    NodesPruned,
    SearchFinished,
    StepProposed,
    StepScored,
)
from adascale.engine.search.record import Record
from adascale.engine.strategies import STRATEGIES, Adaptive, Strategy, Vote
from adascale.engine.types import ROOT, Estimate, NodeId, Step, Usage


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_a_record_has_all_that_its_log_says(strategy: str) -> None:
    log = searched(strategy, 3, None)
    record, last = Record.of(log), ended(log)
    assert [node.step for node in record.tree][1:] == [e.step for e in log if isinstance(e, StepProposed)]
    scored = {e.node: (e.reward, e.estimate) for e in log if isinstance(e, StepScored)}
    assert scored
    assert {node: (record.tree[node].reward, record.tree[node].estimate) for node in scored} == scored
    pruned = {node for e in log if isinstance(e, NodesPruned) for node in e.nodes}
    assert {node.id for node in record.tree if node.status == "pruned"} == pruned
    assert (record.result, record.usage, record.end, record.t) == (last.result, last.usage, last, last.t)
    assert [c.node for c in record.candidates] == [e.node for e in log if isinstance(e, AnswerFound)]
    assert list(record.branches.values()) == [e for e in log if isinstance(e, BranchStarted)]


def test_no_solution_agrees_with_an_option_that_none_has_chosen() -> None:
    log = Log("Is 91 prime?")
    log.read_prompt()
    log.finish_path(ROOT, "Yes.", 0.6, "yes")
    result = SearchResult("no", None, log.state().groups, None, options={"yes": 0.4, "no": 0.6})
    log.add(SearchFinished, result=result, usage=Usage())

    record = Record.of(log.events)

    assert (record.leading, record.agreement) == ((), (0, 1))


def test_solutions_without_an_answer_are_no_votes_against_one() -> None:
    log = Log("What is 9 + 9?")
    log.read_prompt()
    for answer in ("18", None, "18"):
        log.finish_path(ROOT, "So.", 0.6, answer)
    assert log.state().support[-1] == "2 of 2 solutions agree, 1 without an answer"
    log.finish_path(ROOT, "So.", 0.6, "19")
    assert log.state().support[-1] == "2 of 3 solutions agree, 1 without an answer"


VOTES = judging("value", 0.5)
[ASKED] = problems(1, 501)


def log(strategy: Strategy) -> list[Event]:
    return log_of(ReadingPolicy(solve, 8), strategy, ASKED, judge=VOTES, execute=execute)


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
