"""Settings: the fields of a command's options that are flags or names of ``-o``.

A flag that has an environment variable, and every name of ``-o``, is also a key of the config file.
"""

from __future__ import annotations

import difflib
import functools
import keyword
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from typer.models import OptionInfo

from adascale.engine.errors import excerpt

from .by_command import OPTION_TYPES, OVERRIDES
from .declare import env
from .flags import FLAGS

FieldPath = tuple[str, ...]
"""Names of fields, from a command's dataclass down to a value."""

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Setting:
    """A field that is a flag or a name of ``-o``.

    Attributes:
        path: Where it is in the options of its command.
        info: How it was declared.
        annotation: Type of the field.
        default: Value of the field where nothing is set.
    """

    path: FieldPath
    info: OptionInfo
    annotation: Any
    default: Any

    @property
    def is_flag(self) -> bool:
        """True for a flag, False for a name of ``-o``."""
        return self._declared.startswith("-")

    @property
    def key(self) -> str:
        """``time-limit`` of ``--time-limit``; of ``-o`` the declared name, or the field's."""
        return (self._declared or self.path[-1]).partition("/")[0].lstrip("-")

    @property
    def _declared(self) -> str:
        """The first of its declared names; empty for a name of ``-o`` that is the field's."""
        return self.info.param_decls[0] if self.info.param_decls else ""

    @property
    def typed(self) -> str:
        """The word or words before the value on the command line."""
        return f"--{self.key}" if self.is_flag else f"-o {self.key}"

    @property
    def parameter(self) -> str:
        """Name of a flag's parameter, unique in a command, as names of fields are not."""
        name = self.key.replace("-", "_")
        return f"{name}_" if keyword.iskeyword(name) else name

    @property
    def variable(self) -> str | None:
        """The environment variable that sets it; None for a flag that is typed only."""
        return env(self.key) if self.info.envvar or not self.is_flag else None

    @property
    def usual(self) -> Value | None:
        """The default for people: in words, where the field's says too little."""
        words = self.info.show_default
        return words if isinstance(words, str) else self.default

    @property
    def form(self) -> str:
        """The values that it takes: choices, or a range and a unit."""
        info, kind = self.info, self._type
        if get_args(kind) or kind is bool:
            return "|".join(get_args(kind) or ("true", "false"))
        match info.min, info.max:
            case None, None:
                limits = {int: "whole number", float: "number", Path: "file", str: "text"}[kind]
                limits = "" if info.metavar else limits
            case low, None:
                limits = f"{low:g} or more"
            case low, high:
                limits = f"{low:g} to {high:g}"
        unit = "" if info.metavar == "N" else info.metavar
        return ", ".join(filter(None, (limits, unit)))

    @property
    def _type(self) -> Any:
        """The type of a value other than None."""
        members = [each for each in get_args(self.annotation) if each is not NoneType]
        return members[0] if NoneType in get_args(self.annotation) else self.annotation

    def parse(self, value: Value) -> Any:
        """The field's value from a word, or from a value of the config file.

        Raises:
            ValueError: it is of another type, or out of range; the message goes behind the name.
        """
        from pydantic import Field, TypeAdapter, ValidationError  # as Typer reads flags

        if self.info.parser is not None:
            return self.info.parser(str(value))
        hint: Any = Annotated[self._type, Field(ge=self.info.min, le=self.info.max)]
        try:
            return TypeAdapter(hint).validate_python(value)
        except ValidationError as error:
            raise ValueError(reason(error.errors()[0])) from error


def reason(fault: Mapping[str, Any]) -> str:
    """Why pydantic refuses a value, to stand behind its name: ``100 is less than 512``."""
    value = excerpt(str(fault.get("input", "")), 40) or '""'
    limits = fault.get("ctx", {})
    match fault["type"]:
        case "int_parsing" | "int_from_float" | "int_type":
            return f"{value} is not a whole number"
        case "float_parsing" | "float_type":
            return f"{value} is not a number"
        case "bool_parsing" | "bool_type":
            return f"{value} is neither true nor false"
        case "literal_error":
            return f"{value} is not one of {limits['expected'].replace(' or ', ', ').replace(chr(39), '')}"
        case "greater_than_equal":
            return f"{value} is less than {limits['ge']}"
        case "less_than_equal":
            return f"{value} is more than {limits['le']}"
    return str(fault["msg"]).removeprefix("Value error, ").rstrip(".").replace("'", "")


def settings_of(command: type[Any]) -> list[Setting]:
    """The settings of a command's options, in the order of their fields; ``OVERRIDES`` come first."""
    return list(_settings(command(), OVERRIDES.get(command, {}), ()))


def _settings(options: Any, overrides: Mapping[str, OptionInfo | None], path: FieldPath) -> Iterator[Setting]:
    hints, elsewhere = get_type_hints(type(options), include_extras=True), FLAGS.get(type(options), {})
    for field in fields(options):
        value, here = getattr(options, field.name), (*path, field.name)
        if is_dataclass(value):
            yield from _settings(value, overrides, here)
            continue
        hint, own = hints[field.name], elsewhere.get(field.name)
        if get_origin(hint) is Annotated:
            hint, own = get_args(hint)
        if info := overrides.get(".".join(here), own):
            yield Setting(here, info, hint, value)


@functools.cache
def keys() -> Mapping[str, Setting]:
    """The settings of the config file by key, in alphabetical order, each as the first command has it."""
    by_key = {
        setting.key: setting
        for command in reversed(list(OPTION_TYPES))
        for setting in settings_of(command)
        if setting.variable
    }
    return dict(sorted(by_key.items()))


def commands_with(name: str) -> list[str]:
    """The commands that take a name of ``-o``."""
    return [
        command
        for options, command in OPTION_TYPES.items()
        if any(each.key == name and not each.is_flag for each in settings_of(options))
    ]


def nearest(name: str, known: Iterable[Setting]) -> Setting | None:
    """The setting with the most similar name, however its words are joined; None if there is none."""
    by_name = {each.key.replace("-", "_"): each for each in known}
    near = difflib.get_close_matches(name.lstrip("-").replace("-", "_"), by_name, 1, 0.7)
    return by_name[near[0]] if near else None


def value_text(value: Value | None) -> str:
    """A value as it is written in TOML and on the command line."""
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)
