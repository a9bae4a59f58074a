"""JSON: a text whose content is to be written as an object of a schema, such as an order as its items.

Each solution is a reading of the text. The greedy one has the fields in the order of the schema and is the
answer; each sampled one has an order of its own, since readings that are written alike make the same
mistakes. Where one of them differs, a field of the answer is in doubt (``tools.fields``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from ..execution import Execution
from ..tools.equality import key_of
from ..tools.fields import in_order
from ..tools.inlining import object_schema
from ..tools.schema import Schema, as_json, matches
from ..types import Finish, Mode, Problem, Same
from .base import Kind


def schema_of(problem: Problem) -> Schema:
    """The schema of a problem, without references."""
    return object_schema(problem.details["schema"])


class JsonObject(Kind):
    """See the module."""

    def read_details(self, question: str, record: Mapping[str, object]) -> Mapping[str, object]:
        """The schema.

        Raises:
            UsageError: it is none of an object, or too large.
        """
        object_schema(record.get("schema"))
        return {"schema": record["schema"]}

    def statement(self, problem: Problem) -> str:
        """The schema, and below it the text."""
        schema = json.dumps(problem.details["schema"], ensure_ascii=False)
        return f"JSON schema: {schema}\n\n{problem.question}"

    def answer(
        self, problem: Problem, mode: Mode, text: str, finish: Finish, execution: Execution | None
    ) -> str | None:
        """The object, its fields in the order of the schema; None if it does not match the schema."""
        schema = schema_of(problem)
        try:
            found = as_json(json.loads(text))
        except (ValueError, RecursionError):
            return None
        if not isinstance(found, dict) or not matches(found, schema):
            return None
        return json.dumps(in_order(found, schema), ensure_ascii=False)

    def equality(self, problem: Problem) -> Same:
        """True for objects with the same fields."""
        schema = schema_of(problem)
        return lambda a, b: a == b or key_of(json.loads(a), schema) == key_of(json.loads(b), schema)

    def matches(self, problem: Problem, answer: str, known: str) -> bool:
        """True if all fields are those of the known one, which is JSON too."""
        try:
            return super().matches(problem, answer, known)
        except ValueError:
            return False


KIND = JsonObject()
