"""A question to a running server, without models of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

import typer

from adascale import __version__
from adascale.engine.errors import UsageError
from adascale.engine.strategies import StrategyOverrides
from adascale.models.options import SamplingOverrides, SessionOptions

from ..options.by_command import AskOptions
from ..options.declare import key_of, read_api_key
from ..options.flags import FLAGS
from ..options.flatten import chooses_search, flag_sources, typed_flags
from .asking import last_conversation
from .one import EventSource, show_search

if TYPE_CHECKING:
    from ..render.state import ViewState

_MODEL = "--model"
_EFFORT = "--effort"

_OF_THE_SERVER = {
    "--strategy",
    "--adapt",
    "--paper",
    "--hurry",
    *(
        f"--{key_of(flag)}"
        for part in (SessionOptions, SamplingOverrides, StrategyOverrides)
        for flag in FLAGS[part].values()
    ),
} - {_MODEL}
"""Flags of models and strategies, which are the same for all clients of a server."""


def search_on_server(
    question: str, options: AskOptions, context: typer.Context, schema: Mapping[str, Any] | None
) -> tuple[ViewState, float]:
    """Search on the server of ``options``; returns as ``show_search``.

    Models in the environment and in the config file are for searches on this machine.

    Raises:
        UsageError: a typed flag has no meaning for a server.
        AdascaleError: the server is away, refuses, has another version, or breaks off.
    """
    if others := sorted(typed_flags(context) & _OF_THE_SERVER):
        raise UsageError(
            f"{' and '.join(others)} cannot be asked of a server, which searches for all in the same way",
            hint=f"leave out {others[0]}, or --server",
        )
    body = _body(question, options, context, schema)

    @contextmanager
    def open_source(status: Callable[[str], None]) -> Iterator[EventSource]:
        from adascale.models.worker.remote import RemoteSearch

        server = options.server
        assert server.url is not None, "asked where a server was chosen"
        key = None if server.api_key is None else read_api_key(server.api_key, "ADASCALE_API_KEY")
        remote = RemoteSearch(server.url, key, __version__, status)
        events = remote.run(body)
        first = next(events)  # a server that refuses leaves no trace
        yield chain([first], events), remote.interrupt

    return show_search(open_source, options.view, prints_reply=not options.json_output)


def _body(
    question: str, options: AskOptions, context: typer.Context, schema: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The request for a search; what is None is the server's to decide."""
    search = options.search
    history = last_conversation(options.view.terminal) if options.goes_on else ()
    is_default = flag_sources(context)[_EFFORT] == "DEFAULT"
    return {
        "question": question,
        "history": [{"role": turn.role, "content": turn.content} for turn in history],
        "kind": search.kind or (None if chooses_search(context) else "auto"),
        "choices": list(search.options),
        "schema": schema,
        "effort": None if is_default else search.preset.effort,
        "mode": search.mode,
        "max_tokens": search.budget.max_tokens,
        "max_seconds": search.budget.max_seconds,
        "seed": search.seed,
        "model": options.session.generator if _MODEL in typed_flags(context) else None,
    }
