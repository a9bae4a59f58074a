"""``adascale mcp``: tools for an agent, on stdin and stdout."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adascale.engine.errors import AdascaleError, UsageError

from ..options.flatten import with_options
from ..options.groups import McpOptions
from ..searching.models import open_worker, say_status
from ..terminal.console import show_error, write_json
from ..terminal.signals import leaving

if TYPE_CHECKING:
    from adascale.models.worker.client import Worker

_MAX_QUEUE = 64
"""Calls that wait at most; an agent makes few at the same time."""


@with_options(McpOptions)
def mcp(*, options: McpOptions) -> None:
    """Offer solve, code and check to an agent, by the Model Context Protocol on stdio.

    adascale mcp --print-config
    adascale mcp -g qwen2.5-coder-0.5b

    An agent starts it and speaks JSON-RPC with it; stdout has nothing else. A running adascale serve offers
    the same tools at /mcp.
    """
    if options.print_config:
        write_json(client_config(sys.argv))
        return
    if sys.stdin.isatty():
        raise UsageError(
            "an agent speaks with this command over a pipe, and stdin is a terminal",
            hint="adascale mcp --print-config shows what to paste into the agent's settings",
        )
    try:
        from adascale.serve.mcp.server import serve_stdio
        from adascale.serve.search.hub import Hub
        from adascale.serve.search.searches import Searches
    except ImportError as exc:
        raise UsageError(
            f"the tools need {exc.name}", hint="pip install 'adascale[serve]'", slug="no-server"
        ) from None

    status = say_status(options.terminal)

    @contextmanager
    def open_models() -> Iterator[Worker]:
        with open_worker(options.session, options.terminal, status) as worker:
            status("ready")
            yield worker

    def tell_error() -> None:
        if isinstance(hub.error, AdascaleError):  # each call gets it too, so the agent can say what is wrong
            show_error(hub.error)

    hub = Hub(open_models, options.parallel, _MAX_QUEUE, tell_error)
    with leaving():  # a worker ends with its parent
        asyncio.run(serve_stdio(Searches(hub, options.budget)))


def client_config(argv: Sequence[str]) -> dict[str, Any]:
    """What clients have in their settings under ``mcpServers``, with the options of this call.

    Clients start a server in any folder: the program is the one that runs, and files have absolute paths.

    Args:
        argv: The program, ``mcp``, and its options.
    """
    program = Path(argv[0])
    is_script = program.name == "adascale" and program.is_file()
    start = [str(program.absolute())] if is_script else [sys.executable, "-m", "adascale"]
    options = [_absolute(word) for word in argv[2:] if word != "--print-config"]
    words = [*start, argv[1], *options]
    return {"mcpServers": {"adascale": {"command": words[0], "args": words[1:]}}}


def _absolute(word: str) -> str:
    """A file's name, also behind ``--flag=``, as its absolute path; any other word as it is."""
    flag = word[: word.find("=") + 1] if word.startswith("--") else ""
    path = Path(word.removeprefix(flag))
    return f"{flag}{path.absolute()}" if path.is_file() else word
