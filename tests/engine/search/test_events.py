"""A description of models as a trace keeps it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from adascale.engine.errors import TraceError
from adascale.engine.search.events import (
    ModelDescription,
    SearchStarted,
    from_json,
    to_json,
)
from adascale.engine.types import Budget, Problem


def started(params: Mapping[str, object] = {}) -> SearchStarted:
    return SearchStarted(
        problem=Problem("1", "What is 6 * 7?"),
        strategy="adaptive",
        params=params,
        models=ModelDescription(),
        select="weighted",
        budget=Budget(),
        seed=0,
        calibrated=True,
    )


@pytest.mark.parametrize("value", ["0.002", True])
@pytest.mark.parametrize("name", ["min_gain", "stop_at"])
def test_a_parameter_that_views_read_is_a_number(name: str, value: object) -> None:
    with pytest.raises(TraceError, match=r"is malformed: .*number"):
        from_json(to_json(started({name: value})))


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("code", {"given": 5}),
        ("code", {"given": {"tests": [{"source": 5}]}}),
        ("code", {"hidden": []}),
        ("choice", {}),
    ],
)
def test_details_are_of_their_kind(kind: str, details: object) -> None:
    plain = to_json(started())
    plain["problem"] |= {"kind": kind, "details": details}
    with pytest.raises(TraceError, match="is malformed"):
        from_json(plain)
