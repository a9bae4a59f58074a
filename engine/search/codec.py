"""Dataclasses as JSON and back, by their type hints."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Union


def to_plain(value: Any) -> Any:
    """A value of dataclasses, tuples and mappings as JSON has it."""
    if dataclasses.is_dataclass(value):
        return {
            f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value) if _kept(value, f)
        }
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    return value


def _kept(value: Any, field: dataclasses.Field[Any]) -> bool:
    # Hidden states are kilobytes a step and no part of the log.
    if field.name == "reading":
        return False
    return bool(getattr(value, field.name)) or "omit_when_empty" not in field.metadata


def build(cls: type[Any], data: Mapping[str, Any]) -> Any:
    """A dataclass from what ``to_plain`` made of it; unknown keys are ignored.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: a field is missing or of the wrong shape.
    """
    return cls(**{name: read(data[name]) for name, read in _fields(cls) if name in data})  # type: ignore[arg-type]


Reader = Callable[[Any], Any]


@functools.cache
def _fields(cls: type[Any]) -> tuple[tuple[str, Reader], ...]:
    hints = typing.get_type_hints(cls)
    return tuple((field.name, _reader(hints[field.name])) for field in dataclasses.fields(cls))


@functools.cache
def _reader(hint: Any) -> Reader:
    """What reads a value of this type; made once, since a trace has a hundred thousand of them."""
    if isinstance(hint, typing.NewType):
        return _reader(hint.__supertype__)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        if set(args) == {int, float}:
            return _number
        present = _reader(next(a for a in args if a is not type(None)))
        return lambda value: None if value is None else present(value)
    if dataclasses.is_dataclass(hint):
        return functools.partial(build, typing.cast(type[Any], hint))
    if origin is tuple:
        item = _reader(args[0])
        return lambda value: tuple(map(item, value))
    if origin is Mapping:
        of_value = _reader(args[1])
        return lambda value: {key: of_value(item) for key, item in value.items()}
    if hint is float:
        return float
    if hint in (int, str, bool):
        return functools.partial(_checked, hint)
    return lambda value: value


def _number(value: Any) -> int | float:
    """A number as JSON has it: a whole one stays whole."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, got {value!r}")
    return value


def _checked(kind: type[Any], value: Any) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"expected {kind.__name__}, got {value!r}")
    return value
