"""A lead in votes ends a search by the rule that ``adaptive`` is compared with."""

from __future__ import annotations

import pytest
from scripted import ended, one_by_one

from adascale.engine.search.record import Record
from bench.baselines import Margin


@pytest.mark.parametrize(
    ("answers", "reason", "counted"), [("abaa", "confident", 4), ("abcdef", "exhausted", 6)]
)
def test_a_lead_of_two_ends_it(answers: str, reason: str, counted: int) -> None:
    log = one_by_one(answers, Margin(6))

    assert (ended(log).result.stop_reason, len(Record.of(log).candidates)) == (reason, counted)
