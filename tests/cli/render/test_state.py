from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_log import Log, pens
from scripted import searched

from adascale.cli.render.state import ViewState
from adascale.engine.strategies import STRATEGIES
from adascale.engine.types import ROOT, BranchId, Estimate, NodeId


def test_a_running_search_is_seen_as_far_as_it_goes() -> None:
    state = pens(pace=1.0).state()

    assert state.end is None
    assert state.started.budget.max_tokens == 2048
    assert {id_: (grown.text, grown.tokens) for id_, grown in state.running.items()} == {
        BranchId(4): ("We can buy 18/2 = 9 groups of 3 pens each, which", 44)
    }
    assert state.writing == {NodeId(1)}
    assert state.granted == {ROOT: 8, NodeId(1): 4, NodeId(2): 5, NodeId(4): 3, NodeId(5): 3}
    assert state.tokens == 61 + 40 + 33 + 38 + 22 + 19 + 24 + 44
    assert (state.answer, state.best, state.agreement) == ("27", NodeId(6), (2, 2))
    assert state.confidence == Estimate(0.86, 0.93, 0.97, calibrated=True)
    assert state.t == pens(pace=1.0).events[-1].t


def test_cutting_a_node_ends_the_branches_below_it() -> None:
    log = Log()
    left, right = log.step(ROOT, "left\n", 0.5), log.step(ROOT, "right\n", 0.5)
    log.start(log.step(left, "deeper\n", 0.5))
    other = log.start(right)
    log.prune(left)

    assert list(log.state().running) == [other]


def test_the_rate_is_counted_from_the_first_branch() -> None:
    log = Log(pace=0.0)
    log.now = 100.0
    branch = log.start(ROOT)
    log.now = 102.0
    log.step(ROOT, "text\n", 0.5, tokens=30, branch=branch)

    assert log.state().rate == 15.0
    assert Log().state().rate == 0.0


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(STRATEGIES)),
    st.integers(0, 1000),
    st.sampled_from([None, 30, 120]),
)
def test_what_holds_after_every_event_of_any_search(strategy: str, seed: int, budget: int | None) -> None:
    state: ViewState | None = None
    tokens = 0
    for event in searched(strategy, seed, budget):
        state = ViewState.after(state, event)
        assert state.tokens >= tokens
        assert all(branch.parent < len(state.tree) for branch in state.running.values())
        assert all(state.tree[branch.parent].status != "terminal" for branch in state.running.values())
        assert state.best is None or state.tree[state.best].status == "terminal"
        assert state.t == event.t
        tokens = state.tokens
    assert state is not None
    assert state.result is not None
    assert state.running == {}
    nodes = state.tree.usage()
    assert replace(state.usage, seconds=0.0) == replace(nodes, seconds=0.0)
    assert state.usage.seconds == pytest.approx(nodes.seconds)
