"""Settings: the fields of a command's options that are flags or names of ``-o``, and its parameters.

A flag that has an environment variable, and every name of ``-o``, is also a key of the config file. Typer
reads a function's signature: ``with_options`` writes one parameter into it for each flag, and one for
``-o NAME VALUE``, which sets everything else.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import keyword
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperOption
from typer.exceptions import TyperException
from typer.models import OptionInfo

from adascale.engine.errors import UsageError, excerpt
from adascale.engine.strategies import StrategyOverrides

from ..terminal.console import short_path, use_color, use_warnings
from .by_command import OPTION_TYPES, OVERRIDES, TerminalOptions
from .command_line import config_path, read_config
from .declare import FLAGS, env, flag

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


_PAIRS = "option"
_OPTION = flag(
    "--option -o",
    "Set what adascale options lists, such as -o temperature 0.5.",
    metavar="NAME VALUE",
    parser=tuple,
)


class Command(TyperCommand):
    """A command with ``-o``, whose errors all know it."""

    def __init__(self, *args: Any, **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        for parameter in self.params:
            if parameter.name == _PAIRS:
                parameter.nargs = 2  # Typer has no annotation for a list of pairs

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The words behind the command."""
        try:
            return super().parse_args(ctx, args)
        except TyperException as error:
            error.ctx = ctx  # type: ignore[attr-defined]  # that of a missing value has none
            raise


def with_options(options_type: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace a command's parameter ``options`` by its flags and ``-o``.

    Args:
        options_type: A dataclass whose fields all have defaults.
    """
    usual, found = options_type(), settings_of(options_type)
    shown, others = [each for each in found if each.is_flag], [each for each in found if not each.is_flag]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command).parameters
        hints = get_type_hints(command, include_extras=True)

        @functools.wraps(command)
        def run(context: typer.Context, **values: Any) -> None:
            chosen = {each.path: values.pop(each.parameter) for each in shown}
            chosen |= _chosen(context, found, values.pop(_PAIRS, ()))
            options = _fill(usual, chosen)
            _prepare(options)
            if "context" in own:
                values["context"] = context
            command(options=options, **values)

        annotations: dict[str, tuple[Any, Any]] = {"context": (typer.Context, inspect.Parameter.empty)}
        for name, parameter in own.items():
            if name not in ("context", "options"):
                annotations[name] = (hints[name], parameter.default)
        for each in shown:
            annotations[each.parameter] = (Annotated[each.annotation, each.info], each.default)
        if others:
            annotations[_PAIRS] = (Annotated[list[Any], _OPTION], [])
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
                )
                for name, (annotation, default) in annotations.items()
            ]
        )
        run.__annotations__ = {name: annotation for name, (annotation, _) in annotations.items()}
        del run.__wrapped__  # inspect would look behind the new signature
        return run

    return decorate


def _chosen(
    context: typer.Context, found: Sequence[Setting], pairs: Sequence[tuple[str, str]]
) -> dict[FieldPath, Any]:
    """The values of ``-o`` by field; what was not typed comes from the environment or the config file.

    Raises:
        UsageError: the command has no such name, or a value is refused.
    """
    known = {each.key: each for each in found if not each.is_flag}
    for name, word in pairs:
        if name not in known:
            elsewhere, near = commands_with(name), nearest(name, found)
            hint = f"{near.typed} {word}" if near else "adascale options lists the names"
            hint = f"it is for {', '.join(elsewhere)}" if elsewhere else hint
            raise UsageError(f"{context.command_path} has no -o {excerpt(name, 40)}", hint=hint)
    path, typed = config_path(), dict(pairs)
    file = read_config(path) if known else {}
    chosen: dict[FieldPath, Any] = {}
    for each in known.values():
        variable = str(each.variable)
        sources: dict[str, Value | None] = {
            each.typed: typed.get(each.key),
            f"{variable}:": os.environ.get(variable) or None,
            f"{each.key} in {short_path(path)}:": file.get(each.key),
        }
        for origin, value in sources.items():
            if value is not None:
                try:
                    chosen[each.path] = each.parse(value)
                except ValueError as error:
                    hint = "adascale options says what each takes"
                    raise UsageError(f"{origin} {error}", hint=hint) from error
                break
    return chosen


def _fill(options: Any, chosen: Mapping[FieldPath, Any], path: FieldPath = ()) -> Any:
    """The options, with the chosen values instead of the defaults."""
    changes = {}
    for field in fields(options):
        value, here = getattr(options, field.name), (*path, field.name)
        if here in chosen:
            changes[field.name] = chosen[here]
        elif is_dataclass(value):
            changes[field.name] = _fill(value, chosen, here)
    return replace(options, **changes)


def _prepare(options: Any) -> None:
    """Set colour and warnings for the whole process."""
    for value in (getattr(options, field.name) for field in fields(options)):
        if isinstance(value, TerminalOptions):
            use_color(value.color)
            use_warnings(value.quiet < 2)
        elif is_dataclass(value):
            _prepare(value)


def typed_keys(context: typer.Context) -> set[str]:
    """Flags without their dashes, and names of ``-o``, that stand on the command line."""
    names = {name for name, _ in context.params.get(_PAIRS) or ()}
    return names | {
        parameter.opts[0].lstrip("-")
        for parameter in context.command.params
        if getattr(context.get_parameter_source(str(parameter.name)), "name", "") == "COMMANDLINE"
    }


def typed_words(context: typer.Context, values: Mapping[str, Any]) -> Iterator[str]:
    """Words of a command line with the same options.

    Args:
        context: Context of the command; each of its options has one value, is a count, or is a flag without a
            negative form.
        values: Values of some parameters; the others have those that were typed.
    """
    typed = typed_keys(context)
    for option in context.command.params:
        if not isinstance(option, TyperOption) or (name := option.opts[0]).lstrip("-") not in typed:
            continue
        value = {**context.params, **values}[str(option.name)]
        if option.name == _PAIRS:
            for pair in value:
                yield from ("-o", *pair)
        elif option.count or option.is_flag:
            yield from [name] * value
        else:
            yield from (name, "auto" if value is None else str(value))  # no other word is read as None


_SAYS_HOW = {"as", "choices", "strategy", "mode", "adapt", "paper"} | {
    field.name for field in fields(StrategyOverrides)
}


def chooses_search(context: typer.Context) -> bool:
    """True if what was typed says how to search, not only how hard; then no message gets a plain reply."""
    return not _SAYS_HOW.isdisjoint(typed_keys(context))
