"""Calls and JSON on recorded replies: what is chosen and judged."""

from __future__ import annotations

import json

from adascale.engine.tools.schema import matches
from bench.evidence import json_fields


def test_every_form_has_an_answer_of_its_schema() -> None:
    known = [json.loads(line) for line in json_fields.FORMS.read_text().splitlines()]
    assert [each for each in known if not matches(each["answer"], each["schema"])] == []
    for problem in json_fields.texts(None):
        assert problem.answer is not None
        right = json_fields.right_fields(problem, json.loads(problem.answer))
        assert right
        assert all(right.values())
