"""Help in two layers: ``-h`` shows the options that people use, ``--help-all`` every one by its panel."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.exceptions import TyperException

if TYPE_CHECKING:
    from typer._click import Command, Context, HelpFormatter, Parameter

EVERYDAY: Mapping[str, tuple[str, ...]] = {
    "ask": (
        "--model -m", "--effort -e", "--continue -c", "--as", "--choices", "--schema", "--think",
        "--system -s", "--time-limit", "--min-confidence", "--extract -x", "--json", "--show-tree -T",
        "--quiet -q", "--verbose -v", "--yes -y",
    ),
    "chat": (
        "--model -m", "--effort -e", "--continue -c", "--think", "--system -s", "--time-limit",
        "--show-tree -T", "--quiet -q", "--verbose -v", "--yes -y",
    ),
    "code": (
        "--test", "--tests", "--output -o", "--overwrite", "--model -m", "--effort -e", "--time-limit",
        "--json", "--show-tree -T", "--quiet -q", "--verbose -v", "--yes -y",
    ),
    "batch": (
        "--output -o", "--model -m", "--effort -e", "--schema", "--format", "--field", "--limit",
        "--only-failed", "--overwrite", "--dry-run", "--min-confidence", "--quiet -q", "--verbose -v",
        "--yes -y",
    ),
    "serve": (
        "--model -m", "--effort -e", "--host", "--port -p", "--api-key-file", "--parallel", "--ctx-size -c",
        "--think", "--system -s", "--time-limit", "--strict", "--verbose -v", "--yes -y",
    ),
    "mcp": (
        "--print-config", "--model -m", "--ctx-size -c", "--think", "--time-limit", "--verbose -v",
        "--yes -y",
    ),
    "eval": (
        "--strategies", "--model -m", "--questions -n", "--repeats", "--seed", "--json",
        "--quiet -q", "--verbose -v", "--yes -y",
    ),
    "fit": (
        "--model -m", "--data -d", "--quick", "--questions -n", "--output -o", "--json",
        "--quiet -q", "--verbose -v", "--yes -y",
    ),
    "check": (
        "--model -m", "--data -d", "--calibration", "--questions -n", "--json",
        "--quiet -q", "--verbose -v", "--yes -y",
    ),
}  # fmt: skip
"""Options that ``-h`` shows, with the names that it shows, in its order, by command."""

_ALL = "adascale.help-all"


class LayeredCommand(TyperCommand):
    """A command whose ``-h`` shows its options in ``EVERYDAY``, and whose ``--help-all`` shows all."""

    def __init__(self, *args: Any, **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        self._all: list[Parameter] = []

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """The words behind the command; any error knows the command, that of a missing value too."""
        try:
            return super().parse_args(ctx, args)
        except TyperException as error:
            error.ctx = ctx  # type: ignore[attr-defined]
            raise

    def get_params(self, ctx: Context) -> list[Parameter]:
        """The parameters, with ``-h`` and ``--help-all`` at their end."""
        return [*super().get_params(ctx), *self._help_all(ctx)]

    def format_help(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the layer that was asked for."""
        shown = self if ctx.meta.get(_ALL) else self._short(ctx)
        super(LayeredCommand, shown).format_help(ctx, formatter)

    def _help_all(self, ctx: Context) -> list[Parameter]:
        """The option ``--help-all``, the same object whenever it is asked for; none without ``--help``."""
        if not self._all and (usual := self.get_help_option(ctx)) is not None:
            option = copy(usual)
            option.name, option.opts, option.callback = "help_all", ["--help-all"], _show_all
            option.help = "Show all options."
            self._all.append(option)
        return self._all

    def _short(self, ctx: Context) -> LayeredCommand:
        """The command with copies of its arguments and everyday options, in one panel."""
        by_name = {name: parameter for parameter in self.get_params(ctx) for name in parameter.opts}
        shown = [*EVERYDAY[str(self.name)], "--help -h", "--help-all"]
        short = copy(self)
        short.params = [each for each in self.params if not isinstance(each, TyperOption)]
        short.params += [_plain(by_name[names.split()[0]], *names.split()) for names in shown]
        short.add_help_option, short._all = False, []
        return short


def _show_all(ctx: Context, parameter: Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.meta[_ALL] = True
        typer.echo(ctx.get_help())
        ctx.exit()


def _plain(option: Any, name: str, letter: str = "") -> Any:
    """A copy of an option that leaves room for its help: one name, its letter and value, one sentence."""
    option = copy(option)
    choices = [str(choice) for choice in option.type_descriptor.choices or ()]
    first, stop, _ = option.help.partition(". ")
    option.help = f"{first.rstrip('.')} ({', '.join(choices)})." if choices else first + stop.rstrip()
    is_number = option.type_descriptor.is_ranged
    value = option.metavar or ("N" if is_number else option.name.upper())
    words = name if option.is_flag or option.count else f"{name} {value}"
    option.opts, option.secondary_opts = [f"{letter}, {words}" if letter else f"    {words}"], []
    option.metavar, option.rich_help_panel = "", None
    option.show_envvar, option.min, option.max = False, None, None
    option.show_default = option.show_default if option.default else False
    return option


def reflow(command: Command) -> None:
    """Join the lines of paragraphs behind the examples; Typer prints them as they stand in the source."""
    for below in command.commands.values() if isinstance(command, TyperGroup) else ():
        reflow(below)
    if command.help:
        first, *others = cleandoc(command.help).split("\n\n")
        command.help = "\n\n".join([first, *others[:1], *(" ".join(each.split()) for each in others[1:])])
