"""The ``adascale`` command: the table of commands, and the handling of errors."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from adascale import __version__
from adascale.engine.errors import AdascaleError, UsageError, explained

from .exit_codes import EPILOG, FAILED, INTERRUPTED, USAGE, exit_code
from .options.command_line import (
    HelpfulCommand,
    config_path,
    read_config,
    unknown_command,
    usage_error,
    with_ask,
)
from .terminal.errors import show_error, use_warnings, write_error
from .terminal.signals import unwinding
from .terminal.streams import (
    flush_or_abandon,
    is_piped,
    open_missing,
    say,
    write_payload,
)

if TYPE_CHECKING:
    from typer._click import Command as AnyCommand
    from typer._click import Context  # Typer has a copy of click, whose types it gives no other name


COMMANDS = {
    "ask": ("ask.ask", "Answer a question, with as much search as it needs."),
    "chat": ("chat.chat", "Talk with a model that stays loaded; so does adascale alone."),
    "code": ("code.code", "Write a program that passes your tests."),
    "batch": ("batch.batch", "Answer many questions, and write one JSON object a line."),
    "label": ("label.label", "Label the rows of a table, each with a probability."),
    "serve": ("serve.serve", "Answer over HTTP as OpenAI, Anthropic and Ollama do."),
    "mcp": ("mcp.mcp", "Offer solve and code to an agent."),
    "pull": ("models.pull", "Download models."),
    "list": ("models.list_models", "List the models on this machine, with --all all known by name."),
    "show": ("models.show", "Show the facts about a model."),
    "rm": ("models.rm", "Delete a model from the cache."),
    "runs": ("runs.app", "List and delete kept searches."),
    "replay": ("replay.replay", "Show a recorded search again, or write its tree as a picture."),
    "calibrate": ("calibrate.app", "Fit and list what turns scores into probabilities."),
    "export": ("export.export", "Write searches as training data."),
    "config": ("config.app", "List what is set, or can be, and set defaults in a file."),
    "doctor": ("doctor.doctor", "Check this machine, and show a fix for each problem."),
}
"""Module and function of each command (``app`` for a group), and its line on the help page."""


@cache
def load_command(name: str) -> AnyCommand:
    """A command, imported when it is run, so that no command waits for the others."""
    module, _, function = COMMANDS[name][0].partition(".")
    target = getattr(import_module(f".commands.{module}", __package__), function)
    table = typer.Typer(rich_markup_mode=None)
    if isinstance(target, typer.Typer):
        table.add_typer(target, name=name)
    else:
        table.command(name, cls=HelpfulCommand)(target)
    command = typer.main.get_group(table).commands[name]
    _keep_examples(command)
    return command


def _keep_examples(command: AnyCommand) -> None:
    """Mark the examples, the second paragraph of a help text, as lines that stay as they are."""
    for below in command.commands.values() if isinstance(command, TyperGroup) else ():
        _keep_examples(below)
    first, *others = (command.help or "").split("\n\n")
    command.help = "\n\n".join([first, *(f"\b\n{each}" for each in others[:1]), *others[1:]])


class _Root(TyperGroup):
    def list_commands(self, ctx: object) -> list[str]:
        """Names, in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: object, cmd_name: str) -> AnyCommand | None:
        """A placeholder with the help line of a command, for the help page and for shell completion."""
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1])

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """The words behind ``adascale``: a question without a command gets one, and so does nothing."""
        if not args and not ctx.resilient_parsing:
            if is_piped():
                args = ["ask"]
            elif sys.stdin.isatty() and sys.stdout.isatty():
                args = ["chat"]
        return super().parse_args(ctx, with_ask(args, COMMANDS))

    def invoke(self, ctx: Context) -> Any:
        """Run the command; an unhandled Ctrl-C prints a line and exits with 130."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, RuntimeError) as error:
            # Python 3.11 wraps an exception that is raised while a class is made, in the middle of an import.
            if not isinstance(error.__cause__ or error, KeyboardInterrupt):
                raise
            say("adascale: stopped")
            raise typer.Exit(INTERRUPTED) from error

    def resolve_command(
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, AnyCommand | None, list[str]]:
        """The command that was typed; no other one is imported.

        Raises:
            UsageError: there is no such command.
        """
        if not (args[0] in COMMANDS or args[0].startswith("-") or ctx.resilient_parsing):
            raise unknown_command(args, COMMANDS)
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load_command(str(name)), rest


app = typer.Typer(
    cls=_Root,
    name="adascale",
    help="Answer questions with a small local model that searches as much as a question needs.\n\n"
    '\b\nadascale\nadascale "What is 17 * 23?"\n\n'
    "adascale ask --help lists the options of a question, such as -m MODEL, -c and -T.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
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
    """Answer questions with a small local model that searches as much as a question needs."""
    if context.invoked_subcommand == "config":  # which must work when the file is broken
        return
    try:
        context.obj = read_config(config_path())
    except UsageError:
        # doctor reports a broken file as one of its findings, and help has to work with one.
        asks_help = {"-h", "--help"} & set(sys.argv)
        if context.invoked_subcommand == "doctor" or asks_help:
            return
        raise
    use_warnings("-qq" not in sys.argv)
    if context.obj:
        from .options.settings import warn_unknown

        warn_unknown(context.obj)


def main() -> None:
    """Run the command line; an error is a message and an exit code, with a traceback for ADASCALE_DEBUG=1."""
    open_missing()
    try:
        with unwinding():
            code = app(standalone_mode=False)
        sys.exit(code)
    except SystemExit as leaving:
        # Typer exits with 1 if the reader of its help has gone, as after | head -1.
        sys.exit(0 if isinstance(leaving.__context__, BrokenPipeError) else leaving.code)
    except typer.Abort:  # Ctrl-D at a prompt for a key
        say("adascale: stopped")
        sys.exit(FAILED)
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            say(str(error))
            sys.exit(USAGE)
        if os.environ.get("ADASCALE_DEBUG"):
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
