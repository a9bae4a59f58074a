"""Dataclasses as JSON and back, by their type hints: in files, and between processes."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Union

Reader = Callable[[Any], Any]

OMIT_DEFAULT: Mapping[str, bool] = {"omit_default": True}
"""Metadata of a field that the JSON of an object has only where it differs from its default."""

UNRECORDED: Mapping[str, bool] = {"unrecorded": True}
"""Metadata of a field that is never written: hidden states are kilobytes a step."""


def one_of(variants: Mapping[str, type[Any]]) -> Mapping[str, Any]:
    """Metadata of a field that holds one of several dataclasses; its JSON has the ``name`` of the one."""
    return {"one_of": variants}


_INT_END = 1 << 63


def encodable(value: Any) -> Any:
    """JSON with a question mark for each half of a surrogate pair, which JSON can say and no encoding has."""
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
        return {
            f.name: _plain_field(getattr(value, f.name), f)
            for f in dataclasses.fields(value)
            if _is_written(value, f)
        }
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    return value.__fspath__() if hasattr(value, "__fspath__") else value


def _plain_field(value: Any, field: dataclasses.Field[Any]) -> Any:
    return {"name": value.name, **to_plain(value)} if "one_of" in field.metadata else to_plain(value)


def _is_written(value: Any, field: dataclasses.Field[Any]) -> bool:
    if "unrecorded" in field.metadata:
        return False
    if "omit_default" not in field.metadata:
        return True
    factory = field.default_factory
    default = field.default if factory is dataclasses.MISSING else factory()
    return bool(getattr(value, field.name) != default)


def build(cls: type[Any], data: Mapping[str, Any]) -> Any:
    """A dataclass from what ``to_plain`` made of it, perhaps in a file; unknown keys are ignored.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: a field is missing, of the wrong shape, or a number
            that is infinite or longer than 64 bits.
    """
    if not isinstance(data, Mapping):
        raise TypeError(f"expected an object, got {data!r}")
    readers = _readers(cls)  # type: ignore[arg-type]  # a class can be hashed
    return cls(**{name: read(data[name]) for name, read in readers.items() if name in data})


@functools.cache
def _readers(cls: type[Any]) -> Mapping[str, Reader]:
    """The reader of each field that is written."""
    hints = typing.get_type_hints(cls)
    fields = [field for field in dataclasses.fields(cls) if "unrecorded" not in field.metadata]
    return {
        field.name: functools.partial(_read_one_of, variants)
        if (variants := field.metadata.get("one_of"))
        else _reader(hints[field.name])
        for field in fields
    }


def _read_one_of(variants: Mapping[str, type[Any]], data: Any) -> Any:
    return build(variants[data["name"]], data)


@functools.cache
def _reader(hint: Any) -> Reader:
    """Function that reads a value of this type; made once, since a trace has a hundred thousand values."""
    if isinstance(hint, typing.NewType):
        return _reader(hint.__supertype__)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        if set(args) == {int, float}:
            return _read_number
        present = _reader(next(a for a in args if a is not type(None)))
        return lambda value: None if value is None else present(value)
    if dataclasses.is_dataclass(hint):
        return functools.partial(build, typing.cast(type[Any], hint))
    if origin is tuple and args[-1] is not ...:
        each = [_reader(arg) for arg in args]
        return lambda value: tuple(read(item) for read, item in zip(each, value, strict=True))
    if origin is tuple:
        item = _reader(args[0])
        return lambda value: tuple(map(item, value))
    if origin is Mapping:
        of_value = _reader(args[1])
        return lambda value: {key: of_value(item) for key, item in value.items()}
    if origin is typing.Literal:
        return functools.partial(_check_word, frozenset(args))
    if hint is float or hint is int:
        return _read_float if hint is float else _read_int
    if hint in (str, bool):
        return functools.partial(_check_type, hint)
    return typing.cast(Reader, hint) if hasattr(hint, "__fspath__") else lambda value: value


def _read_number(value: Any) -> int | float:
    """A number as JSON has it: a whole one stays whole."""
    return _read_int(value) if type(value) is int else _read_float(value)


def _read_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("a number is not finite")
    return number


def _read_int(value: Any) -> int:
    if not isinstance(value, int) or not -_INT_END <= value < _INT_END:
        raise ValueError("expected a whole number of at most 64 bits")
    return value


def _check_word(words: frozenset[Any], value: Any) -> Any:
    if value not in words:
        raise ValueError(f"expected one of {', '.join(sorted(map(str, words)))}, got {value!r}")
    return value


def _check_type(kind: type[Any], value: Any) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"expected {kind.__name__}, got {value!r}")
    return value
