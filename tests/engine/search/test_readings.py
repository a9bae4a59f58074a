"""Searches for JSON of a schema: readings until they agree on each field, and a probability of each."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from scripted import ScriptedPolicy, judging, log_of, scripted_step

from adascale.engine.answers.choosing import DOUBTFUL, SearchResult
from adascale.engine.kinds.recognising import problem_of
from adascale.engine.kinds.structured import JsonObject
from adascale.engine.ports import BranchStart, Prefix
from adascale.engine.search.events import ModelDescription
from adascale.engine.search.record import Record
from adascale.engine.strategies import Strategy, preset
from adascale.engine.types import BranchId, Problem, Step

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0},
        "home": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
ASKED = problem_of("1", "Ann is 3 and lives in Ulm.", schema=SCHEMA)


def ann(age: int = 3) -> str:
    return json.dumps({"home": {"city": "Ulm"}, "age": age, "name": "Ann"})


READINGS = preset("json", "medium")


def search(*texts: str, strategy: Strategy = READINGS, asked: Problem = ASKED) -> tuple[SearchResult, Record]:
    """A search whose readings are these texts in turn."""
    written = iter(texts)

    def script(prefix: Prefix, rng: random.Random) -> Step:
        return scripted_step(next(written, texts[-1]), "stop")

    record = Record.of(log_of(script, strategy, asked, judge=judging("json", 0.5), width=1))
    assert record.result is not None
    return record.result, record


def test_two_readings_that_agree_end_the_search_and_the_answer_has_the_order_of_the_schema() -> None:
    found, record = search(ann(), json.dumps({"name": "ann", "age": 3.0, "home": {"city": "ulm"}}))
    assert (found.stop_reason, len(record.candidates), len(found.groups)) == ("confident", 2, 1)
    assert list(json.loads(found.answer or "")) == ["name", "age", "home"]
    assert {name: each.votes for name, each in found.fields.items()} == {"name": 2, "age": 2, "home.city": 2}
    assert min(each.probability for each in found.fields.values()) > DOUBTFUL


def test_a_field_that_differs_is_the_doubtful_one_and_the_least_likely_is_the_number_of_all() -> None:
    found, _ = search(ann(3), ann(4), strategy=preset("json", "low"))
    assert found.fields["age"].probability < DOUBTFUL < found.fields["name"].probability
    assert found.confidence is not None
    assert found.confidence.median == found.fields["age"].probability
    assert found.confidence.calibrated


def test_others_that_agree_against_the_first_reading_only_make_it_doubtful() -> None:
    found, record = search(ann(3), ann(4))
    assert len(record.candidates) == 6
    assert json.loads(found.answer or "")["age"] == 3
    assert found.fields["age"].votes == 1
    assert found.fields["age"].probability < 0.5 < DOUBTFUL < found.fields["name"].probability


@pytest.mark.parametrize(("sampling", "age"), [({}, 3), ({"greedy": 0.7}, 4)])
def test_of_two_readings_the_likelier_counts_where_none_is_greedy(
    sampling: dict[str, float], age: int
) -> None:
    surest = iter([-9.0, -1.0, -5.0, -5.0, -5.0, -5.0])
    written = iter([3, 4, 5, 6, 7, 8])

    def script(prefix: Prefix, rng: random.Random) -> Step:
        return replace(scripted_step(ann(next(written)), "stop"), logprob=next(surest))

    models, strategy = ModelDescription(sampling=sampling), preset("json", "medium")
    log = log_of(script, strategy, ASKED, judge=judging("json", 0.5), width=1, models=models)
    found = Record.of(log).result
    assert found is not None
    assert json.loads(found.answer or "")["age"] == age


def test_other_readings_have_at_most_a_few_times_the_tokens_of_the_greedy_one() -> None:
    started: list[BranchStart] = []

    class Listening(ScriptedPolicy):
        def start(self, id_: BranchId, branch: BranchStart) -> None:
            started.append(branch)
            super().start(id_, branch)

    policy = Listening(lambda prefix, rng: scripted_step(ann(), "stop"))
    log_of(policy, preset("json", "medium"), ASKED, judge=judging("json", 0.5), width=1)
    greedy, other = started
    length = len(scripted_step(ann(), "stop").token_ids)
    assert (greedy.greedy, greedy.max_tokens) == (True, None)
    assert other.max_tokens is not None
    assert 2 * length < other.max_tokens < 4 * length + 100


@pytest.mark.parametrize("text", ["Ann", "[1]", ann(-1), '{"name": "Ann"}'])
def test_what_breaks_the_schema_is_never_shown(text: str) -> None:
    found, _ = search(text)
    assert (found.answer, found.best, found.has_reply) == (None, None, False)
    found, _ = search(text, ann(), ann())
    assert json.loads(found.answer or "")["name"] == "Ann"


def test_a_known_answer_is_compared_field_by_field() -> None:
    known = problem_of("1", "?", schema=SCHEMA)
    known = Problem("1", "?", answer=ann(), kind="json", details=known.details)
    assert JsonObject().is_right(known, '{"name": "ANN", "age": 3, "home": {"city": "Ulm"}}', None, None)
    assert not JsonObject().is_right(known, ann(4), None, None)
    assert not JsonObject().is_right(
        Problem("1", "?", "Ann", kind="json", details=known.details), ann(), None, None
    )
