"""The parameters of a command, made of its options: Typer reads flags and names of ``-o`` alike.

A parameter of a name is called ``-o NAME``, as if it were one word; so Typer finds its value in the
environment and in the config file, and checks it, as it does for flags. What has an environment variable is
also a key of the config file.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

import typer
import typer.main
from typer.core import TyperCommand, TyperOption
from typer.exceptions import TyperException
from typer.models import OptionInfo

from adascale.engine.errors import UsageError, excerpt
from adascale.engine.request import SearchRequest

from ..terminal.console import use_warnings
from .by_command import OPTION_TYPES
from .command_line import key_of, why_refused
from .declare import FLAGS, flag

Value = str | int | float | bool

_PAIRS = "option"
"""Parameter that stands for all names of ``-o`` on the help page."""

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
        self._named = {parameter.opts[0] for parameter in self.params if parameter.opts[0].startswith("-o ")}
        for parameter in self.params:
            if parameter.name == _PAIRS:
                parameter.nargs = 2  # Typer has no annotation for a list of pairs
            elif isinstance(parameter, TyperOption) and parameter.opts[0] in self._named:
                parameter.is_flag = parameter.is_bool_flag = False  # truth is a value like others

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The words behind the command."""
        try:
            return super().parse_args(ctx, list(self._joined(ctx, args)))
        except TyperException as error:
            error.ctx = ctx  # type: ignore[attr-defined]  # that of a missing value has none
            raise

    def _joined(self, context: typer.Context, args: Sequence[str]) -> Iterator[str]:
        """The words, each ``-o NAME`` as one.

        Raises:
            UsageError: the command has no such name.
        """
        rest = list(args)
        while self._named and rest and rest[0] != "--":
            word = rest.pop(0)
            if word in ("-o", "--option") and len(rest) > 1:
                word = f"-o {(name := rest.pop(0))}"
                if word not in self._named:
                    known = {key_of(each.opts[0]): each.opts[0] for each in self.params}
                    if elsewhere := commands_with(name):
                        hint = f"it is for {', '.join(elsewhere)}"
                    elif near := nearest(name, known):
                        hint = f"{known[near]} {rest[0]}"
                    else:
                        hint = "adascale options lists the names"
                    raise UsageError(f"{context.command_path} has no -o {excerpt(name, 40)}", hint=hint)
            yield word
        yield from rest


def with_options(options_type: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace a command's parameter ``options`` by its flags and ``-o``.

    Args:
        options_type: A dataclass whose fields all have defaults.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own, usual = {**inspect.signature(command, eval_str=True).parameters}, options_type()
        own.pop("options")

        @functools.wraps(command)
        def run(**values: Any) -> None:
            options = _filled(usual, values)
            if terminal := getattr(getattr(options, "view", options), "terminal", None):
                use_warnings(terminal.quiet < 2)
            command(options=options, **{name: values[name] for name in own})

        hints = {name: (each.annotation, each.default) for name, each in own.items()}
        found = dict(_declared(usual))
        hints |= found
        if any(get_args(hint)[1].hidden for hint, _ in found.values()):
            hints[_PAIRS] = (Annotated[list[Any], _OPTION], [])
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
                for name, (hint, default) in hints.items()
            ]
        )
        run.__annotations__ = {name: hint for name, (hint, _) in hints.items()}
        del run.__wrapped__  # inspect would look behind the new signature
        return run

    return decorate


def _declared(
    options: Any, others: Mapping[str, OptionInfo | None] | None = None, path: str = ""
) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Annotation and default of each parameter, by its name, which is the path to its field.

    Args:
        options: The options, or a part of them.
        others: What the whole declares otherwise for the fields of this part.
        path: Where the part is.
    """
    hints = get_type_hints(type(options), include_extras=True)
    declared = {**FLAGS.get(type(options), {}), **(others or {})}
    for field in fields(options):
        value, hint, own = getattr(options, field.name), hints[field.name], None
        if get_origin(hint) is Annotated:
            hint, own = get_args(hint)
        info = declared.get(field.name, own)
        if is_dataclass(value) and (info or field.name not in declared):
            yield from _declared(value, own, f"{path}{field.name}__")
        elif info is not None:  # Typer knows no union of types, which a parser reads
            yield f"{path}{field.name}", (Annotated[str if info.parser else hint, info], value)


def _filled(options: Any, values: Mapping[str, Any], path: str = "") -> Any:
    """The options, with these values instead of the defaults."""
    changes = {}
    for field in fields(options):
        value, here = getattr(options, field.name), f"{path}{field.name}"
        changes[field.name] = (
            _filled(value, values, f"{here}__") if is_dataclass(value) else values.get(here, value)
        )
    return replace(options, **changes)


def parameters(options_type: type) -> Mapping[str, TyperOption]:
    """The parameters of a command by their keys, in the order of the fields."""

    @with_options(options_type)
    def command(*, options: Any) -> None:
        """Stand for the command, which is not imported."""

    app = typer.Typer(add_completion=False)
    app.command(cls=Command)(command)
    found = [each for each in typer.main.get_command(app).params if isinstance(each, TyperOption)]
    return {key_of(each.opts[0]): each for each in found if each.name != _PAIRS}


def known_keys() -> set[str]:
    """Keys of the config file."""
    infos = [get_args(hint)[1] for options in OPTION_TYPES for _, (hint, _) in _declared(options())]
    return {key_of(info.param_decls[0]) for info in infos if info.envvar}


@functools.cache
def keys() -> Mapping[str, TyperOption]:
    """The settings of the config file by key, in alphabetical order, each as the first command has it."""
    by_key = {
        key: each
        for options in reversed(list(OPTION_TYPES))
        for key, each in parameters(options).items()
        if each.envvar
    }
    return dict(sorted(by_key.items()))


def commands_with(name: str) -> list[str]:
    """The commands that take a name of ``-o``."""
    typed = f"-o {name}"
    return [
        command
        for options, command in OPTION_TYPES.items()
        if name in (found := parameters(options)) and found[name].opts[0] == typed
    ]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The most similar key, however its words are joined; None if there is none."""
    by_name = {key.replace("-", "_"): key for key in known}
    near = difflib.get_close_matches(name.lstrip("-").replace("-", "_"), by_name, 1, 0.7)
    return by_name[near[0]] if near else None


def parse(setting: TyperOption, value: Value) -> Any:
    """The value of a setting from a word, or from the config file.

    Raises:
        ValueError: it is of another type, or out of range; the message goes behind the name.
    """
    try:
        return setting.process_value(cast(Any, None), value)
    except TyperException as error:
        raise ValueError(why_refused(error)) from error


def usual(setting: TyperOption) -> Value | None:
    """The default for people: in words, where the value says too little."""
    words, value = setting.show_default, setting.default
    return words if isinstance(words, str) else value if isinstance(value, Value) else None


def form(setting: TyperOption) -> str:
    """The values that a setting takes: choices, or a range and a unit."""
    kind = setting.type_descriptor.annotation
    if kind is bool:
        return "true|false"
    if choices := setting.type_descriptor.choices:
        return "|".join(choices)
    unit = "" if setting.metavar == "N" else setting.metavar
    match setting.min, setting.max:
        case None, None:
            words = {int: "whole number", float: "number", Path: "file", str: "text"}
            limits = "" if setting.metavar else words[kind]
        case low, None:
            limits = f"{low:g} or more"
        case low, high:
            limits = f"{low:g} to {high:g}"
    return ", ".join(filter(None, (limits, unit)))


def value_text(value: Value | None) -> str:
    """A value as it is written in TOML and on the command line."""
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)


def typed_parameters(context: typer.Context) -> list[TyperOption]:
    """The flags and names of ``-o`` that stand on the command line."""
    return [
        each
        for each in context.command.params
        if isinstance(each, TyperOption)
        and getattr(context.get_parameter_source(each.name), "name", "") == "COMMANDLINE"
    ]


_SAYS_HOW = {
    key_of(info.param_decls[0])
    for name, info in FLAGS[SearchRequest].items()
    if info.param_decls and name not in ("effort", "seed", "width", "min_confidence")
}


def chooses_search(context: typer.Context) -> bool:
    """True if what was typed says how to search, not only how hard; then no message gets a plain reply."""
    return not _SAYS_HOW.isdisjoint({key_of(each.opts[0]) for each in typed_parameters(context)})
