"""``adascale mcp``: tools for an agent, on stdin and stdout."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from adascale.engine.errors import AdascaleError, UsageError
from adascale.models.machine import install_command

from ..disk.files import NAMES_FILES, with_absolute_path
from ..options.by_command import McpOptions
from ..options.command_line import key_of
from ..options.settings import typed_parameters, with_options
from ..searching import open_worker, say_status
from ..terminal.errors import show_error
from ..terminal.signals import leaving
from ..terminal.streams import write_json

if TYPE_CHECKING:
    from adascale.models.worker.client import Worker

_MAX_QUEUE = 64
"""Largest number of waiting calls; an agent makes few at the same time."""


@with_options(McpOptions)
def mcp(*, context: typer.Context, options: McpOptions) -> None:
    """Offer solve and code to an agent, by the Model Context Protocol on stdio.

    adascale mcp --print-config
    adascale mcp -m qwen2.5-coder-0.5b

    An agent starts it and exchanges JSON-RPC with it; stdout has nothing else. A running adascale serve
    offers the same tools at /mcp.
    """
    if options.print_config:
        write_json(_client_config(["mcp", *_typed_words(context)]))
        return
    if sys.stdin.isatty():
        raise UsageError(
            "an agent speaks with this command over a pipe, and stdin is a terminal",
            hint="adascale mcp --print-config shows what to paste into the agent's settings",
        )
    try:
        from adascale.serve.hub import Hub
        from adascale.serve.mcp import serve_stdio
    except ImportError as exc:
        raise UsageError(f"the tools need {exc.name}", hint=install_command("mcp"), slug="no-mcp") from None

    status = say_status(options.terminal)

    @contextmanager
    def open_models() -> Iterator[Worker]:
        with open_worker(options.session, options.terminal, status) as worker:
            status("ready")
            yield worker

    def tell_error() -> None:
        if isinstance(hub.error, AdascaleError):  # each call gets it too, for the agent
            show_error(hub.error)

    hub = Hub(open_models, options.parallel, _MAX_QUEUE, options.budget, tell_error)
    with leaving():  # a worker ends with its parent
        asyncio.run(serve_stdio(hub))


def _typed_words(context: typer.Context) -> Iterator[str]:
    """Words of a command line with the same options, for use in any folder."""
    for option in typed_parameters(context):
        key, value = key_of(option.opts[0]), context.params[str(option.name)]
        if key in NAMES_FILES:
            value = with_absolute_path(key, value)
        if option.is_flag or option.count:
            yield from [] if key == "print-config" else [option.opts[0]] * value
        else:  # no other words are read as None and -1
            yield from (*option.opts[0].split(), {None: "auto", -1: "all"}.get(value, str(value)))


def _client_config(args: Sequence[str]) -> dict[str, Any]:
    """The entry ``mcpServers`` of a client's settings, which starts the running program."""
    program = Path(sys.argv[0])
    is_script = program.name == "adascale" and program.is_file()
    start = [str(program.absolute())] if is_script else [sys.executable, "-m", "adascale"]
    command, *words = [*start, *args]
    return {"mcpServers": {"adascale": {"command": command, "args": words}}}
