"""A command's options as one object: its fields become flags and names of ``-o``, and back.

Typer reads a function's signature. ``with_options`` writes one parameter into it for each flag, and one for
``-o NAME VALUE``, which sets everything else.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperOption
from typer.exceptions import TyperException

from adascale.engine.errors import UsageError, excerpt
from adascale.engine.strategies import StrategyOverrides

from ..terminal.console import short_path, use_color, use_warnings
from .config_file import config_path, read_config
from .declare import flag
from .parts import TerminalOptions
from .settings import FieldPath, Setting, Value, commands_with, nearest, settings_of

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
