"""``adascale mcp``: tools for an agent, on stdin and stdout."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adascale.engine.errors import AdascaleError, UsageError
from adascale.models.machine import install_command
from adascale.models.options import MAX_BRANCHES

from ..disk.files import NAMES_FILES, with_absolute_path
from ..opening import open_worker, say_status
from ..options.flags import (
    CalibrationFlag,
    ModelFlag,
    OfflineFlag,
    PairsFlag,
    PrmFlag,
    QuietFlag,
    SystemFlag,
    ThinkFlag,
    TimeLimitFlag,
    VerboseFlag,
    YesFlag,
    flag,
)
from ..options.settings import ROWS, SESSION, Sourced, read_settings, typed_as, typed_values
from ..terminal.errors import show_error
from ..terminal.signals import leaving
from ..terminal.streams import write_json

if TYPE_CHECKING:
    from adascale.models.worker.client import Worker

_MAX_QUEUE = 64
"""Largest number of waiting calls; an agent makes few at the same time."""


def mcp(
    context: typer.Context,
    print_config: Annotated[
        bool, flag("--print-config", "Print what to paste into the settings of an agent.")
    ] = False,
    model: ModelFlag = None,
    prm: PrmFlag = None,
    calibration: CalibrationFlag = None,
    system: SystemFlag = "",
    think: ThinkFlag = None,
    offline: OfflineFlag = None,
    time_limit: TimeLimitFlag = None,
    option: PairsFlag = None,
    quiet: QuietFlag = 0,
    verbose: VerboseFlag = 0,
    yes: YesFlag = None,
) -> None:
    """Offer solve and code to an agent, by the Model Context Protocol on stdio.

    adascale mcp --print-config
    adascale mcp -m qwen2.5-coder-0.5b

    An agent starts it and exchanges JSON-RPC with it; stdout has nothing else. A running adascale serve
    offers the same tools at /mcp.
    """
    names = *SESSION, "budget", "parallel"
    settings = read_settings(context, *names)
    if print_config:
        write_json(_client_config(["mcp", *_typed_words(typed_values(context, names))]))
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

    session, status = settings.session(branches=MAX_BRANCHES), say_status(settings)

    @contextmanager
    def open_models() -> Iterator[Worker]:
        with open_worker(session, settings, status) as worker:
            status("ready")
            yield worker

    def tell_error() -> None:
        if isinstance(hub.error, AdascaleError):  # each call gets it too, for the agent
            show_error(hub.error)

    hub = Hub(open_models, settings.parallel, _MAX_QUEUE, settings.search().budget, tell_error)
    with leaving():  # a worker ends with its parent
        asyncio.run(serve_stdio(hub))


def _typed_words(typed: Sourced) -> Iterator[str]:
    """Words of a command line with the same values, for use in any folder."""
    for name, (value, _) in typed.items():
        words = typed_as(name).split() if name in ROWS else [f"--{name}"]
        if name in NAMES_FILES:
            value = with_absolute_path(name, value)
        yield from words * value if isinstance(value, int) else [*words, value]


def _client_config(args: Sequence[str]) -> dict[str, Any]:
    """The entry ``mcpServers`` of a client's settings, which starts the running program."""
    program = Path(sys.argv[0])
    is_script = program.name == "adascale" and program.is_file()
    start = [str(program.absolute())] if is_script else [sys.executable, "-m", "adascale"]
    command, *words = [*start, *args]
    return {"mcpServers": {"adascale": {"command": command, "args": words}}}
