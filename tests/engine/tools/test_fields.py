"""Fields of JSON objects in another order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adascale.engine.tools.equality import in_order, reordered

INNER: dict[str, Any] = {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": INNER, "c": {"type": "array", "items": INNER}},
    "required": ["a"],
}


@pytest.mark.parametrize("seed", range(5))
def test_every_object_has_its_fields_in_another_order_and_nothing_else_changes(seed: int) -> None:
    found = reordered(SCHEMA, np.random.default_rng(seed))
    assert found == SCHEMA
    for one, other in [
        (found["properties"], SCHEMA["properties"]),
        (found["properties"]["b"]["properties"], INNER["properties"]),
        (found["properties"]["c"]["items"]["properties"], INNER["properties"]),
    ]:
        assert list(one) != list(other)


def test_values_come_back_into_the_order_of_the_schema() -> None:
    value = {"z": 0, "c": [{"y": 2, "x": 1}], "b": {"y": 2, "x": 1}, "a": "A"}
    found = in_order(value, SCHEMA)
    assert found == value
    assert [list(found), list(found["b"]), list(found["c"][0])] == [
        ["a", "b", "c", "z"],
        ["x", "y"],
        ["x", "y"],
    ]
