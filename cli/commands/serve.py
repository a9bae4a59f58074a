"""``adascale serve``: an HTTP server in front of one loaded model."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adascale.engine.errors import UsageError
from adascale.engine.search.events import GeneratorDescription
from adascale.models.options import MAX_BRANCHES

from ..disk.files import read_text
from ..disk.traces import TraceFolder
from ..opening import open_fallback, open_worker, read_api_key, say_status
from ..options.command_line import env
from ..options.flags import (
    ApiKeyFileFlag,
    CalibrationFlag,
    EffortFlag,
    FallbackFlag,
    HostFlag,
    ModelFlag,
    OfflineFlag,
    PairsFlag,
    PortFlag,
    PrmFlag,
    QuietFlag,
    SystemFlag,
    ThinkFlag,
    TimeLimitFlag,
    TracesFlag,
    VerboseFlag,
    YesFlag,
    flag,
)
from ..options.settings import FALLBACK, SESSION, Settings, read_settings

if TYPE_CHECKING:
    from adascale.serve.hub import SearchWorker

_KEY = env("api-key")

_MAX_QUEUE = 64
"""Questions that wait; further ones are refused."""

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:\d+)?")


def serve(
    context: typer.Context,
    model: ModelFlag = None,
    prm: PrmFlag = None,
    calibration: CalibrationFlag = None,
    system: SystemFlag = "",
    think: ThinkFlag = None,
    offline: OfflineFlag = None,
    effort: EffortFlag = None,
    time_limit: TimeLimitFlag = None,
    host: HostFlag = None,
    port: PortFlag = None,
    api_key_file: ApiKeyFileFlag = None,
    cors_origin: Annotated[
        list[str] | None,
        flag("--cors-origin", "Origin of pages that may send requests; repeatable.", "ORIGIN"),
    ] = None,
    traces: TracesFlag = None,
    fallback: FallbackFlag = None,
    option: PairsFlag = None,
    quiet: QuietFlag = 0,
    verbose: VerboseFlag = 0,
    yes: YesFlag = None,
) -> None:
    """Answer over HTTP as OpenAI, Anthropic and Ollama do: one model, loaded once, for all clients.

    adascale serve
    adascale serve -m qwen2.5-coder-0.5b --effort high --port 9000
    adascale serve --host 0.0.0.0 --api-key-file key.txt
    """
    from adascale.serve.app import make_app
    from adascale.serve.http import Access, Listener, bind
    from adascale.serve.hub import Hub
    from adascale.serve.request import ServedModel, public_name

    settings = read_settings(context, *SESSION, *FALLBACK, "budget", "parallel")
    key, search = _key(settings), settings.search()
    folder = None if traces is None else TraceFolder(traces)
    session = settings.session(branches=MAX_BRANCHES, purpose="conversation")
    status = say_status(settings)
    with_key = "" if key is None else " (with the API key)"

    @contextmanager
    def open_models() -> Iterator[SearchWorker]:
        status(f"listening on {url}/v1, and for a browser on {url}/{with_key}")
        with open_worker(session, settings, status) as worker:
            model = ServedModel.of(worker.open_models.conditions["value"].models, search.effort)
            window = f", with a context of {model.window:,} tokens" if model.window else ""
            status(f"{model.name} is ready{window}")
            yield worker

    def stop() -> None:
        listener.should_exit = True

    server = open_fallback(settings.other_server())
    name = session.generator.rpartition("#")[2]
    model_name = public_name(GeneratorDescription(name, Path(name).name))
    access = Access(settings.host, key, tuple(map(page_origin, cors_origin or ())))
    hub = Hub(open_models, settings.parallel, _MAX_QUEUE, search.budget, stop)
    if folder is not None:
        hub.tap = folder.keep
    listener = Listener(make_app(hub, access, search.effort, server, model_name), hub.fail)
    bound, url = bind(settings.host, settings.port)
    listener.run(sockets=[bound])
    if hub.error is not None:
        raise hub.error


def _key(settings: Settings) -> str | None:
    """The API key of the file or of the environment; None for none, on loopback.

    Raises:
        UsageError: the file cannot be read, or the key cannot be used, or there has to be one.
    """
    key = os.environ.pop(_KEY, None)  # no process of ours inherits it
    if settings.api_key_file is not None:
        key = read_text(settings.api_key_file)
    if key is not None:
        return read_api_key(key, "--api-key-file FILE")
    if not _is_loopback(settings.host):
        raise UsageError(
            f"an API key is needed to listen on {settings.host}: only loopback is private",
            hint=f"--api-key-file FILE, or {_KEY}",
            slug="no-api-key",
        )
    return None


def page_origin(text: str) -> str:
    """An origin as browsers send it: in lower case, without a slash at its end.

    Raises:
        UsageError: the text is no origin.
    """
    if text in ("*", "null", "file://"):
        return text
    origin = text.lower().removesuffix("/")
    if _ORIGIN.fullmatch(origin) is None:
        raise UsageError(f'"{text}" is no origin of a page', hint="--cors-origin https://example.org")
    return origin


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
