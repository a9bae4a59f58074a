"""A description of models as a trace keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from adascale.engine.codec import build, to_plain
from adascale.engine.errors import TraceError
from adascale.engine.search.events import (
    GeneratorDescription,
    ModelDescription,
    PRMDescription,
    SearchStarted,
    from_json,
    to_json,
)
from adascale.engine.types import Budget, Problem

GENERATOR = GeneratorDescription("small", "small.gguf", "ab" * 32, 2048, "cpu")


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


@pytest.mark.parametrize(
    "models",
    [
        ModelDescription(),
        ModelDescription(GENERATOR, sampling={"temperature": 0.5, "top_k": 40, "prompt": "cd"}),
        ModelDescription(GENERATOR, PRMDescription("judge", format="judge"), {"name": "small+judge"}),
    ],
)
def test_it_comes_back_from_json(models: ModelDescription) -> None:
    plain = json.loads(json.dumps(to_plain(models)))
    assert build(ModelDescription, plain) == models
    assert bool(plain) == (models != ModelDescription())


@pytest.mark.parametrize("value", ["0.002", True])
@pytest.mark.parametrize("name", ["min_gain", "stop_at"])
def test_a_parameter_that_views_read_is_a_number(name: str, value: object) -> None:
    with pytest.raises(TraceError, match="is malformed: expected a number"):
        from_json(to_json(started({name: value})))


@pytest.mark.parametrize("details", [{"given": 5}, {"given": {"tests": [{"source": 5}]}}, {"hidden": []}])
def test_the_details_of_a_code_task_are_its_tests(details: object) -> None:
    plain = to_json(started())
    plain["problem"] |= {"kind": "code", "details": details}
    with pytest.raises(TraceError, match="is malformed"):
        from_json(plain)


def test_the_details_of_a_choice_are_its_options() -> None:
    plain = to_json(started())
    plain["problem"] |= {"kind": "choice", "details": {}}
    with pytest.raises(TraceError, match="is malformed"):
        from_json(plain)


def test_the_time_of_an_event_is_a_number() -> None:
    with pytest.raises(TraceError, match="is malformed: expected a number"):
        from_json({"kind": "warned", "seq": 1, "t": "0.5", "code": "x", "message": "y"})
