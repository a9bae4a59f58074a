"""The fields of a JSON body, read by name; a wrong type or a number out of range is refused by it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from .errors import Refusal

MAX_DEPTH = 32
"""Levels of objects and lists in a body."""


def wrong(name: str, wanted: str, code: str = "invalid-value") -> Refusal:
    """The refusal of a field's value."""
    return Refusal(400, f"{name}: {wanted}", code, name)


def read_object(body: bytes) -> Mapping[str, Any]:
    """The JSON object of a body.

    Raises:
        Refusal: it is none, or nested deeper than ``MAX_DEPTH``.
    """
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise Refusal(400, "the body is nested too deeply", "invalid-json") from None
    except ValueError as exc:
        raise Refusal(400, f"the body is not JSON: {exc}", "invalid-json") from None
    if not isinstance(value, dict):
        raise Refusal(400, "the body has to be a JSON object", "invalid-json")
    if _depth(value) > MAX_DEPTH:
        raise Refusal(400, f"the body is nested more than {MAX_DEPTH} levels deep", "invalid-json")
    return value


class Fields:
    """The fields of an object that were given; a field that is null was not.

    Args:
        values: The object.
        path: Its place in the body, as ``messages[0]``; empty for the body itself.
    """

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self._values = {name: value for name, value in values.items() if value is not None}
        self._path = path

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def name(self, field: str) -> str:
        """The full name of a field."""
        return f"{self._path}.{field}" if self._path else field

    def raw(self, field: str) -> Any:
        """The value as JSON has it; None where it was not given."""
        return self._values.get(field)

    def refuse_others(self, known: Collection[str]) -> None:
        """Refuse the first field that is not known."""
        for field in self._values:
            if field not in known:
                raise wrong(self.name(field), "is not supported", "unsupported-parameter")

    def text(self, field: str) -> str | None:
        """A string."""
        value = self.raw(field)
        if value is not None and not isinstance(value, str):
            raise wrong(self.name(field), "has to be a string")
        return value

    def flag(self, field: str) -> bool:
        """A boolean, False where it was not given."""
        value = self.raw(field)
        if value is not None and not isinstance(value, bool):
            raise wrong(self.name(field), "has to be true or false")
        return bool(value)

    def whole(self, field: str, least: int, most: int) -> int | None:
        """An integer in ``[least, most]``."""
        value = self.raw(field)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise wrong(self.name(field), f"has to be a whole number from {least} to {most}")
        return value

    def number(self, field: str) -> float | None:
        """A number."""
        value = self.raw(field)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise wrong(self.name(field), "has to be a number")
        return value

    def objects(self, field: str) -> list[Fields]:
        """A list of objects; empty where it was not given."""
        value = self.raw(field)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise wrong(self.name(field), "has to be a list of objects")
        return [Fields(item, f"{self.name(field)}[{n}]") for n, item in enumerate(value)]

    def object(self, field: str) -> Fields:
        """An object; an empty one where it was not given."""
        value = self.raw(field)
        if value is not None and not isinstance(value, dict):
            raise wrong(self.name(field), "has to be an object")
        return Fields(value or {}, self.name(field))

    def texts(self, field: str, most: int) -> Sequence[str]:
        """A string that is not empty, or a list of at most so many."""
        value = self.raw(field)
        texts = [value] if isinstance(value, str) else [] if value is None else value
        if (
            not isinstance(texts, list)
            or len(texts) > most
            or not all(isinstance(text, str) and text for text in texts)
        ):
            raise wrong(self.name(field), f"has to be a text, or a list of at most {most}")
        return texts


def _depth(value: Any) -> int:
    """Levels of nesting, counted level by level since a recursion might be too deep itself."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return depth


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
