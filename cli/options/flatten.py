"""A command's options as one object: its fields become flags, and what was typed becomes its fields again.

Typer reads a function's signature. ``with_options`` writes one parameter into it for each field with a flag,
of a command's dataclass and of the dataclasses inside it.
"""

from __future__ import annotations

import functools
import inspect
import keyword
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
import typer.main
from typer.core import TyperOption
from typer.models import OptionInfo

from ..terminal.console import use_color, use_warnings
from .by_command import OPTION_TYPES, OVERRIDES, AskOptions
from .declare import PANELS, env, key_of
from .flags import FLAGS
from .parts import TerminalOptions

Flags = Mapping[type[Any], Mapping[str, OptionInfo]]
"""The flags of fields whose types hold none, by dataclass."""

_HOW_LONG = {"budget", "effort", "hurry", "min_confidence", "seed"}

FieldPath = tuple[str, ...]
"""Names of fields, from a command's dataclass down to a value."""


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A field that is a flag."""

    path: FieldPath
    flag: OptionInfo
    annotation: Any
    default: Any

    @property
    def name(self) -> str:
        """Name of the parameter: the flag's, which is unique in a command, as names of fields are not."""
        name = key_of(self.flag).replace("-", "_")
        return f"{name}_" if keyword.iskeyword(name) else name

    @property
    def parameter(self) -> inspect.Parameter:
        """The parameter that Typer reads."""
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=self.default,
            annotation=Annotated[self.annotation, self.flag],
        )


def with_options(
    options_type: type[Any], flags: Flags = FLAGS
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace a command's parameter ``options`` by one parameter for each flag of ``options_type``.

    Args:
        options_type: A dataclass whose fields all have defaults.
        flags: Flags of fields, by dataclass.
    """
    usual = options_type()
    leaves = list(_leaves(usual, options_type, flags))

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**values: Any) -> None:
            typed = {leaf.path: values.pop(leaf.name) for leaf in leaves}
            options = _fill(usual, typed)
            _prepare(options)
            command(options=options, **values)

        hints = get_type_hints(command, include_extras=True)
        own = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[parameter.name])
            for parameter in inspect.signature(command).parameters.values()
            if parameter.name != "options"
        ]
        parameters = sorted([*own, *(leaf.parameter for leaf in leaves)], key=_panel)
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
        del run.__wrapped__  # inspect would look behind the new signature
        return run

    return decorate


def settings() -> dict[str, TyperOption]:
    """The flags that the config file may set, as options of Typer by key, in alphabetical order.

    An option has its default and environment variable, and checks values. No command is imported.
    """
    by_key = _setting_leaves()

    def command(**values: Any) -> None:
        """Take them all."""

    command.__signature__ = inspect.Signature([leaf.parameter for leaf in by_key.values()])  # type: ignore[attr-defined]
    app = typer.Typer(add_completion=False)
    app.command()(command)
    parameters = typer.main.get_command(app).params
    options = [each for each in parameters if isinstance(each, TyperOption)]
    return dict(sorted(zip(by_key, options, strict=True)))


@functools.cache
def _setting_leaves() -> Mapping[str, _Leaf]:
    """Each flag that the config file may set by its key, as the first command has it."""
    leaves = [leaf for command in reversed(list(OPTION_TYPES)) for leaf in _leaves(command(), command, FLAGS)]
    return {key_of(leaf.flag): leaf for leaf in leaves if leaf.flag.envvar}


def setting_keys() -> Collection[str]:
    """Keys of the flags that the config file may set."""
    return _setting_leaves().keys()


def command_with(key: str) -> str:
    """Name of the first command that has a setting."""
    return next(
        name
        for command, name in OPTION_TYPES.items()
        if any(key_of(leaf.flag) == key for leaf in _leaves(command(), command, FLAGS))
    )


def _leaves(options: Any, command: type[Any], flags: Flags, path: FieldPath = ()) -> Iterator[_Leaf]:
    """Fields of ``options`` that are flags; ``OVERRIDES`` of the command take precedence."""
    hints, elsewhere = get_type_hints(type(options), include_extras=True), flags.get(type(options), {})
    for field in fields(options):
        value, here = getattr(options, field.name), (*path, field.name)
        if is_dataclass(value):
            yield from _leaves(value, command, flags, here)
            continue
        hint, own = hints[field.name], elsewhere.get(field.name)
        if get_origin(hint) is Annotated:
            hint, own = get_args(hint)
        if flag := OVERRIDES.get(command, {}).get(".".join(here), own):
            yield _Leaf(here, flag, hint, value)


def _fill(options: Any, typed: Mapping[FieldPath, Any], path: FieldPath = ()) -> Any:
    """The options, with the typed values instead of the defaults."""
    changes = {}
    for field in fields(options):
        value, here = getattr(options, field.name), (*path, field.name)
        if here in typed:
            changes[field.name] = typed[here]
        elif is_dataclass(value):
            changes[field.name] = _fill(value, typed, here)
    return replace(options, **changes)


def _prepare(options: Any) -> None:
    """Set colour, warnings and tracebacks for the whole process."""
    for value in (getattr(options, field.name) for field in fields(options)):
        if isinstance(value, TerminalOptions):
            use_color(value.color)
            use_warnings(value.quiet < 2)
            os.environ.pop(env("DEBUG"), None)
            if value.debug:
                os.environ[env("DEBUG")] = "1"  # main() reads it, where errors end up, and so does a worker
        elif is_dataclass(value):
            _prepare(value)


def _panel(parameter: inspect.Parameter) -> int:
    """The context and arguments come first, then panel by panel the flags."""
    if parameter.annotation is typer.Context:
        return 0
    [info] = parameter.annotation.__metadata__
    return PANELS.index(info.rich_help_panel)


def typed_words(context: typer.Context, values: Mapping[str, Any]) -> Iterator[str]:
    """Words of a command line with the same options.

    Args:
        context: Context of the command; each of its options has one value, is a count, or is a flag without a
            negative form.
        values: Values of some parameters; the others have those that were typed.
    """
    typed = typed_flags(context)
    for option in context.command.params:
        if not isinstance(option, TyperOption) or (flag := option.opts[0]) not in typed:
            continue
        value = {**context.params, **values}[str(option.name)]
        if option.count or option.is_flag:
            yield from [flag] * value
        else:
            yield from (flag, "auto" if value is None else str(value))  # no other word is read as None


def typed_flags(context: typer.Context) -> set[str]:
    """Long names of the flags that stand on the command line."""
    return {flag for flag, source in flag_sources(context).items() if source == "COMMANDLINE"}


def chooses_search(context: typer.Context) -> bool:
    """True if a typed flag says how to search; then no message gets a plain reply."""
    return not _search_flags().isdisjoint(typed_flags(context))


@functools.cache
def _search_flags() -> frozenset[str]:
    """Flags that say how to search, other than how hard and how long."""
    return frozenset(
        f"--{key_of(leaf.flag)}"
        for leaf in _leaves(AskOptions(), AskOptions, FLAGS)
        if leaf.path[0] == "search" and not _HOW_LONG.intersection(leaf.path)
    )


def flag_sources(context: typer.Context) -> dict[str, str]:
    """The source of each flag's value, by its long name.

    Returns:
        ``COMMANDLINE``, ``ENVIRONMENT``, ``DEFAULT_MAP`` (the config file) or ``DEFAULT``.
    """
    return {
        parameter.opts[0]: getattr(context.get_parameter_source(parameter.name), "name", "DEFAULT")
        for parameter in context.command.params
        if parameter.name is not None
    }
