"""Dataclasses as JSON and back, by their type hints: in files, and between processes."""

from __future__ import annotations

import dataclasses
import functools
import json
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")

UNRECORDED: Mapping[str, Any] = {"exclude": True}
"""Metadata of a field that is never written: hidden states are kilobytes a step."""


def omitted(default: T) -> T:
    """A field that JSON leaves out at its default."""
    arguments: Any = {"default_factory": dict} if default == {} else {"default": default}
    result: T = dataclasses.field(
        **arguments, metadata={"exclude_if": functools.partial(operator.eq, default)}
    )
    return result


class OneOf:
    """Annotation of a field that holds one of several dataclasses.

    Args:
        variants: The dataclasses, by name.
        key: Attribute of each that has its name, and key of that in its JSON.
    """

    def __init__(self, variants: Mapping[str, type[Any]], key: str = "name") -> None:
        self._variants = variants
        self._key = key

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> object:
        """How pydantic reads and writes it."""
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            lambda data: build(self._variants[data[self._key]], data),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: {self._key: getattr(value, self._key), **to_plain(value)}
            ),
        )


def encodable(value: Any) -> Any:
    """JSON with a question mark for each lone surrogate, which JSON can express and UTF-8 cannot."""
    match value:
        case str():
            return value if value.isascii() else value.encode("utf-8", "replace").decode()
        case Mapping():
            return {encodable(key): encodable(item) for key, item in value.items()}
        case list() | tuple():
            return type(value)(map(encodable, value))
    return value


def nesting(value: Any) -> int:
    """Levels of objects and lists in JSON, counted level by level: a recursion might be too deep itself."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return depth


def to_plain(value: Any) -> Any:
    """A value of dataclasses, tuples and mappings as JSON has it; a path is its text."""
    if dataclasses.is_dataclass(value):
        cls: Any = type(value)
        return _adapter(cls).dump_python(value, mode="json")
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    return value


def build(cls: type[T], data: Mapping[str, Any] | str) -> T:
    """A dataclass from what ``to_plain`` made of it, perhaps in a file; unknown keys are ignored.

    Args:
        cls: The dataclass.
        data: A JSON object, or its text.

    Raises:
        ValueError: a field is missing or of the wrong shape, or a number is infinite.
    """
    from pydantic import ValidationError

    adapter = _adapter(cls)  # type: ignore[arg-type]  # mypy takes a type for unhashable
    try:
        result: T | None = adapter.validate_json(data if isinstance(data, str) else json.dumps(data))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "value_error":
            raise first["ctx"]["error"] from error
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if result is None:
        raise ValueError("expected an object")
    return result


@functools.cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    """Made once, and imported late: most commands read and write nothing."""
    from pydantic import ConfigDict, TypeAdapter

    config = ConfigDict(
        strict=True, allow_inf_nan=False, ser_json_inf_nan="constants", arbitrary_types_allowed=True
    )
    return TypeAdapter(cls | None, config=config)  # of a dataclass alone it would take no config
