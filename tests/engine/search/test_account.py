"""What a fixed width would have cost, from the trajectories that were drawn."""

from __future__ import annotations

import pytest
from sample_log import Log

from adascale.engine.search.account import fixed_tokens
from adascale.engine.search.record import Record
from adascale.engine.types import ROOT


def drawn(*trajectories: tuple[int, bool]) -> Record:
    """Trajectories of so many tokens, ended by themselves or cut; at most 16."""
    log = Log(params={"samples": 16})
    for tokens, ended in trajectories:
        branch = log.start(ROOT)
        first = log.step(ROOT, "x", 0.5, tokens=tokens - 1, branch=branch, ended=False)
        if ended:
            log.finish_path(first, "x", 0.5, "1", tokens=1, branch=branch)
        else:
            log.prune(log.step(first, "x", 0.5, tokens=1, branch=branch))
    return Record.of(log.events)


@pytest.mark.parametrize(
    ("trajectories", "mean"),
    [
        (((10, True), (30, True)), 20),
        (((10, True), (90, False)), 50),  # one that was cut has written 90 all the same
        (((10, True), (30, True), (5, False)), 20),  # and else counts as long as the others
    ],
)
def test_what_was_cut_counts_as_long_as_it_was_or_as_the_others(
    trajectories: tuple[tuple[int, bool], ...], mean: float
) -> None:
    assert fixed_tokens(drawn(*trajectories)) == 16 * mean


def test_a_step_that_was_drawn_again_is_part_of_one_whole_trajectory() -> None:
    log = Log(params={"samples": 16})
    branch = log.start(ROOT)
    first = log.step(ROOT, "x", 0.5, tokens=100, branch=branch, ended=False)
    wrong = log.step(first, "1 + 1 = 3", 0.5, tokens=60, branch=branch, ended=False)
    log.prune(wrong)
    log.prune(log.step(wrong, "unfinished", 0.5, tokens=7, branch=branch))
    log.finish_path(first, "1 + 1 = 2", 0.5, "2", tokens=150)
    assert fixed_tokens(Record.of(log.events)) == 16 * 250


def test_where_none_has_ended_nothing_is_known() -> None:
    assert fixed_tokens(drawn((10, False))) is None
