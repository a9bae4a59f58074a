"""The ``adascale`` command: the table of commands, and the handling of errors."""

from __future__ import annotations

import os
import sys
import traceback
from collections import UserDict
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from adascale import __version__
from adascale.engine.errors import AdascaleError, UsageError, explained

from .exit_codes import EPILOG, FAILED, USAGE, exit_code
from .options.command_line import unknown_command, usage_error, with_ask
from .options.completion import whole_words
from .options.config_file import config_path, defaults_of, read_config, warn_unknown
from .options.help import EVERYDAY, LayeredCommand, reflow
from .terminal.console import (
    ColorChoice,
    is_piped,
    say,
    show_error,
    use_color,
    use_warnings,
    write_error,
    write_payload,
)
from .terminal.signals import unwinding
from .terminal.streams import flush_or_abandon, forget_unknown_size, lose_unwritable_stderr, open_missing

if TYPE_CHECKING:
    from typer._click import Command, Context  # Typer has a copy of click, whose types it gives no other name

_TABLE = {
    "ask": ("ask.ask", "Ask"),
    "chat": ("chat.chat", "Ask"),
    "code": ("code.code", "Ask"),
    "batch": ("batch.batch", "Ask"),
    "serve": ("serve.serve", "Serve"),
    "mcp": ("mcp.mcp", "Serve"),
    "pull": ("models.pull", "Models"),
    "list": ("models.list_models", "Models"),
    "show": ("models.show", "Models"),
    "rm": ("models.rm", "Models"),
    "models": ("models.app", "Models"),
    "runs": ("runs.app", "History"),
    "replay": ("replay.replay", "History"),
    "tree": ("tree.tree", "History"),
    "eval": ("evaluate.eval_", "Measure"),
    "calibrate": ("calibrate.app", "Measure"),
    "export": ("export.export", "Measure"),
    "config": ("config.app", "Set up"),
    "doctor": ("doctor.doctor", "Set up"),
}
"""Module and function of each command, ``app`` for a group, and its panel; in the order of the help page."""

SHORT_NAMES = ("pull", "list", "show", "rm")
"""Commands of ``models`` that have a short name."""

_OFF = {"", "0", "false", "f", "no", "n", "off"}
"""Values of an environment variable that leave its flag off."""


class _Commands(UserDict[str, "Command"]):
    """Commands by name; each is imported when it is run, so that no command waits for the others."""

    def __missing__(self, name: str) -> Command:
        module, _, function = _TABLE[name][0].partition(".")
        found = getattr(import_module(f".commands.{module}", __package__), function)
        table = typer.Typer()
        if isinstance(found, typer.Typer):
            table.add_typer(found, name=name)
        else:
            table.command(name, cls=LayeredCommand if name in EVERYDAY else None)(found)
        self.data[name] = typer.main.get_group(table).commands[name]
        reflow(self.data[name])
        return self.data[name]

    def __contains__(self, name: object) -> bool:
        return name in _TABLE

    def __iter__(self) -> Iterator[str]:
        return iter(_TABLE)

    def __len__(self) -> int:
        return len(_TABLE)


COMMANDS = _Commands()


def _first_paragraph(name: str) -> str:
    """The first paragraph of a command's docstring, read from the source: an import would take longer."""
    module, _, function = _TABLE[name][0].partition(".")
    source = (Path(__file__).parent / "commands" / f"{module}.py").read_text(encoding="utf-8")
    start = 0 if function == "app" else source.index(f"\ndef {function}(")
    docstring = source[start:].split('"""')[1]
    return " ".join(docstring.split("\n\n")[0].split())


class _Root(TyperGroup):
    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands = COMMANDS

    def list_commands(self, ctx: object) -> list[str]:
        """Names, in the order of the help page."""
        return list(_TABLE)

    def get_command(self, ctx: object, cmd_name: str) -> Command | None:
        """A placeholder with the help line of a command, for the help page and for shell completion."""
        if cmd_name not in _TABLE:
            return None
        return TyperCommand(cmd_name, help=_first_paragraph(cmd_name), rich_help_panel=_TABLE[cmd_name][1])

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """The words behind ``adascale``, a question without a command among them."""
        if not args and not ctx.resilient_parsing and is_piped():
            args = ["ask"]
        return super().parse_args(ctx, with_ask(args, _TABLE))

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """The command that was typed; no other one is imported.

        Raises:
            UsageError: there is no such command.
        """
        if not (args[0] in _TABLE or args[0].startswith("-") or ctx.resilient_parsing):
            raise unknown_command(args, _TABLE)
        name, found, rest = super().resolve_command(ctx, args)
        return name, found and COMMANDS[str(name)], rest


app = typer.Typer(
    cls=_Root,
    name="adascale",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EPILOG,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        write_payload(f"adascale {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Answer questions with a small local model that searches as much as a question needs.

    adascale "What is 17 * 23?"
    adascale chat
    """
    if context.invoked_subcommand == "config":  # which must work when the file is broken
        return
    path = config_path()
    try:
        found = read_config(path)
    except UsageError:
        # doctor reports a broken file as one of its findings, and help has to work with one.
        asks_help = sys.argv[1:2] == ["help"] or {"-h", "--help", "--help-all"} & set(sys.argv)
        if context.invoked_subcommand == "doctor" or asks_help:
            return
        raise
    # For commands that have no flag for it; the others set it again.
    if (color := os.environ.get("ADASCALE_COLOR", found.get("color"))) in get_args(ColorChoice):
        use_color(cast(ColorChoice, color))
    use_warnings("-qq" not in sys.argv)
    if found and (name := context.invoked_subcommand):
        warn_unknown(found, path)
        context.default_map = {name: defaults_of(COMMANDS[name], found)}


def main() -> None:
    """Run the command line; every error is a message and an exit code, and a traceback only with --debug."""
    open_missing()
    lose_unwritable_stderr()
    forget_unknown_size()
    try:
        with unwinding(), whole_words():
            code = app(standalone_mode=False)
        sys.exit(code)
    except typer.Abort:  # Ctrl-D where a key was waited for
        say("adascale: stopped")
        sys.exit(FAILED)
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # its help has been printed
            sys.exit(USAGE)
        if os.environ.get("ADASCALE_DEBUG", "").lower() not in _OFF:
            traceback.print_exc()
        _fail(usage_error(error) if isinstance(error, TyperException) else error)
    finally:
        flush_or_abandon()


def _fail(error: Exception) -> None:
    """Show an error, on stdout too if JSON was asked for, and leave with its exit code."""
    explanation = explained(error, "ADASCALE_DEBUG=1 shows where; please report it")
    show_error(explanation)
    if "--json" in sys.argv:
        with suppress(AdascaleError, SystemExit):  # stdout may be what failed
            write_error(explanation)
    sys.exit(exit_code(explanation))
