"""The parameters of a command, made of its options: Typer reads flags and names of ``-o`` alike.

A parameter of a name is called ``-o NAME``, as if it were one word; so Typer finds its value in the
environment and in the config file, and checks it, as it does for flags. What has an environment variable is
also a key of the config file.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.exceptions import TyperException
from typer.models import OptionInfo

from adascale.engine.errors import UsageError, excerpt
from adascale.engine.request import SearchRequest

from ..terminal.errors import use_warnings
from .by_command import OPTION_TYPES
from .command_line import key_of
from .declare import FLAGS, flag

Value = str | int | float | bool

_PAIRS = "option"
"""Parameter that stands for all names of ``-o`` on the help page."""

_OPTION = flag(
    "--option -o",
    "Set what adascale config --all lists, such as -o temperature 0.5.",
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
                    near = difflib.get_close_matches(name, known, 1, 0.7)
                    hint = f"{known[near[0]]} {rest[0]}" if near else "adascale config --all lists the names"
                    raise UsageError(f"{context.command_path} has no -o {excerpt(name, 40)}", hint=hint)
            yield word
        yield from rest


class Listing(TyperGroup):
    """A group of commands that lists where none is typed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The words behind the group."""
        names_none = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        return super().parse_args(ctx, ["list", *args] if names_none and not ctx.resilient_parsing else args)


def with_options(options_type: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace a command's parameter ``options`` by its flags and ``-o``.

    Args:
        options_type: A dataclass whose fields all have defaults.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own, usual = {**inspect.signature(command, eval_str=True).parameters}, options_type()
        own.pop("options")

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
        run.__name__, run.__doc__ = command.__name__, command.__doc__
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


@functools.cache
def keys() -> Mapping[str, TyperOption]:
    """The settings of the config file by key, in alphabetical order, each as the first command has it."""
    found = {key: each for options in reversed(OPTION_TYPES) for key, each in parameters(options).items()}
    return {key: each for key, each in sorted(found.items()) if each.envvar}


def typed_parameters(context: typer.Context) -> list[TyperOption]:
    """The flags and names of ``-o`` that stand on the command line."""
    return [
        each
        for each in context.command.params
        if isinstance(each, TyperOption)
        and getattr(context.get_parameter_source(each.name), "name", "") == "COMMANDLINE"
    ]


_SAYS_HOW = {f"search__{name}" for name in FLAGS[SearchRequest]} - {
    f"search__{name}" for name in ("effort", "seed", "width", "min_confidence")
}


def chooses_search(context: typer.Context) -> bool:
    """True if what was typed says how to search, not only how hard; then no message gets a plain reply."""
    return not _SAYS_HOW.isdisjoint(each.name for each in typed_parameters(context))
