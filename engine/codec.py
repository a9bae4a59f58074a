"""Dataclasses as JSON and back, by their type hints."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Union


def to_plain(value: Any) -> Any:
    """A value of dataclasses, tuples and mappings as JSON has it."""
    if dataclasses.is_dataclass(value):
        # Hidden states are kilobytes a step and no part of the log.
        fields = [f for f in dataclasses.fields(value) if f.name != "reading"]
        return {f.name: to_plain(getattr(value, f.name)) for f in fields}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    return value


def build(cls: type[Any], data: Mapping[str, Any]) -> Any:
    """A dataclass from what ``to_plain`` made of it; unknown keys are ignored.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: a field is missing or of the wrong shape.
    """
    hints = typing.get_type_hints(cls)
    values = {}
    for field in dataclasses.fields(cls):
        if field.name in data:
            values[field.name] = _typed(hints[field.name], data[field.name])
    return cls(**values)


def _typed(hint: Any, value: Any) -> Any:
    if isinstance(hint, typing.NewType):
        return _typed(hint.__supertype__, value)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return _typed(next(a for a in args if a is not type(None)), value)
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type[Any], hint), value)
    if origin is tuple:
        return tuple(_typed(args[0], item) for item in value)
    if hint is float:
        return float(value)
    if hint in (int, str, bool) and not isinstance(value, hint):
        raise ValueError(f"expected {hint.__name__}, got {value!r}")
    return value
