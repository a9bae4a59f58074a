"""Finds out what a server really does, by a few small requests; the outcome is kept for a day.

No field is believed because it was accepted: log-probabilities have to come, a message that is begun has to
go on, and streams have to run side by side.
"""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2

from adascale.engine.codec import build, to_plain
from adascale.engine.errors import AdascaleError, ModelNotFoundError, excerpt
from adascale.engine.types import Notice

from ..storage import atomic_write, keyed_path, read_json, state_folder
from .address import LOCAL_PORTS, Address
from .client import PATIENCE, Client, Say, http_settings, no_completion, parsed, refusal, unreachable
from .servers import SERVERS, Asked, Entry, Facts, Get, listed, parameters_of, recognised

_DAY, _SERIAL = 86_400, 600
"""Seconds for which an outcome is kept, and one of a server that was told to get more places."""

_GLANCE = 0.3
"""Seconds that a server on a usual port may take for a reply."""

_MAX_BYTES = 1 << 23
"""Largest size of a list of models."""

_MOST_PLACES = 16
"""Streams by which places are counted where a server does not say how many it has."""

_SHOWN = 10
"""Names of models that an error lists."""

_HELLO = {"role": "user", "content": "Say hello."}
_BEGUN = {"role": "assistant", "content": "Hello"}
_COUNT = {"role": "user", "content": "Count from 1 to 100."}
_SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


def probe(address: Address, say: Say = lambda notice: None) -> Facts:
    """Facts about the model at an address.

    Args:
        address: The server, and the model there.
        say: Gets what the server lacks, when that is found out.

    Raises:
        AdascaleError: Nothing answers, the key is refused, the model is not there, or it cannot write.
    """
    with httpx2.Client(**http_settings(address) | {"timeout": 10}) as http:
        models = _models(http, address, PATIENCE)
        get = _getting(http, address)
        kind, entry = recognised(models, get), _chosen(address, models)
        model = str(entry["id"])
        identity = [address.url, kind, model, entry.get("meta")]
        file = keyed_path(state_folder() / "upstream", identity, ".json")
        kept = _kept(file)
        facts = kept or _tried(address, Facts(kind, model), say)
        known = SERVERS[kind].known(entry, get)  # some say it once the model is loaded
    facts = replace(
        facts,
        parameters=_size(known.get("parameters")) or parameters_of(model),
        context=_whole(known.get("context")) or facts.context,
        places=_whole(known.get("places")) or facts.places or _count_places(address, facts, say),
    )
    if kept is None:
        for notice in _lacks(address, facts):
            say(notice)
    if kept is None or not kept.places:
        with suppress(OSError), atomic_write(file) as out:
            out.write(json.dumps({"time": time.time(), **to_plain(facts)}).encode())
    return facts


def local_servers() -> list[tuple[Address, str, list[str]]]:
    """Servers on the usual ports of this machine: address, kind, and names of their models."""
    with ThreadPoolExecutor() as pool:
        return [found for found in pool.map(_local_server, LOCAL_PORTS) if found is not None]


def _local_server(port: int) -> tuple[Address, str, list[str]] | None:
    address = Address(f"http://127.0.0.1:{port}/v1")
    with suppress(AdascaleError), httpx2.Client(**http_settings(address) | {"timeout": _GLANCE}) as http:
        if models := _models(http, address, 0):
            return address, recognised(models, _getting(http, address)), _names(models)
    return None


def _json(http: httpx2.Client, url: str) -> tuple[int, Any, httpx2.Headers]:
    """Status, JSON and headers of a reply.

    Raises:
        httpx2.TransportError: There is none.
    """
    data = b""
    with http.stream("GET", url) as response:
        for piece in response.iter_raw():
            data += piece
            if len(data) > _MAX_BYTES:
                break
    return response.status_code, parsed(data), response.headers


def _getting(http: httpx2.Client, address: Address) -> Get:
    def get(path: str) -> Entry:
        with suppress(httpx2.TransportError):
            status, body, _ = _json(http, address.root + path)
            return body if status == 200 and isinstance(body, dict) else {}
        return {}

    return get


def _models(http: httpx2.Client, address: Address, patience: float) -> list[Entry]:
    """The models of a server; none if it does not list them.

    Args:
        http: Gets the list.
        address: The server.
        patience: Seconds to wait for one that starts.

    Raises:
        AdascaleError: Nothing answers, or not with a list.
    """
    end = time.monotonic() + patience
    while True:
        try:
            status, body, headers = _json(http, f"{address.url}/models")
        except httpx2.TransportError as exc:
            raise unreachable(address, exc) from None
        if status == 200 and isinstance(body, dict):
            return [each for each in listed(body, "data") if isinstance(each.get("id"), str)]
        if status in (404, 405):
            return []
        error = no_completion() if status == 200 else refusal(address, "", status, body, headers)
        if status != 503 or time.monotonic() > end:
            raise error
        time.sleep(0.5)


def _names(models: Sequence[Entry]) -> list[str]:
    return [name for each in models if "embed" not in (name := str(each["id"])).lower()]


def _chosen(address: Address, models: Sequence[Entry]) -> Entry:
    """The model of an address in a server's list.

    Raises:
        ModelNotFoundError: It is not there, or no name says which one it is.
    """
    names, wanted = _names(models), address.name
    if wanted is None and len(names) == 1:
        wanted = names[0]
    if wanted is None:
        text = f"{address.server} has {len(names)} models" if names else f"{address.server} lists no model"
        hint = f"{address}#{names[0] if names else 'NAME'}"
        raise ModelNotFoundError(text, *names[:_SHOWN], hint=hint)
    if not models:
        return {"id": wanted}
    for entry in models:
        aliases = entry.get("aliases")
        own = str(entry["id"])  # llama-server's is the path of a file
        called = [own, own.rpartition("/")[2], *(aliases if isinstance(aliases, list) else ())]
        if any(str(each).lower() in (wanted.lower(), f"{wanted.lower()}:latest") for each in called):
            return entry
    close = difflib.get_close_matches(wanted, names, _SHOWN, 0.3) or names[:_SHOWN]
    raise ModelNotFoundError(
        f"{address.server} has no model {excerpt(wanted)}",
        *close,
        hint=str(replace(address, name=close[0] if close else "NAME")),
    )


@dataclass(slots=True)
class _Reply:
    """A whole stream: text, tokens of its prompt, the error that ended it, and what came with it."""

    text: str = ""
    prompt: int = 0
    error: AdascaleError | None = None
    has_logprobs: bool = False
    has_thought: bool = False


def _replies(address: Address, facts: Facts, say: Say, *asked: Asked) -> list[_Reply]:
    """Replies of streams side by side."""
    replies, running = [_Reply() for _ in asked], len(asked)
    with closing(Client(address, facts, say)) as client:
        for stream, each in enumerate(asked):
            client.start(stream, each)
        while running:
            for chunk in client.poll(1.0):
                reply = replies[chunk.stream]
                reply.text += chunk.text
                reply.error = chunk.error
                reply.prompt = chunk.work.evaluated_tokens + chunk.work.reused_tokens
                reply.has_logprobs |= chunk.logprob is not None and bool(chunk.alternatives)
                reply.has_thought |= bool(chunk.thought) or reply.text.lstrip().startswith("<think>")
                running -= bool(chunk.finish or chunk.error)
    return replies


def _tried(address: Address, facts: Facts, say: Say) -> Facts:
    """The facts with what small requests show; places are left open.

    Raises:
        AdascaleError: The server refuses the smallest one.
    """
    asked = Asked((_HELLO,), 0.0, 1.0, 16, 0, alternatives=2)
    [hello] = _replies(address, replace(facts, logprobs=True), say, asked)
    if hello.error is not None and hello.error.slug == "upstream-refuses":  # perhaps log-probabilities
        [hello] = _replies(address, facts, say, asked)
    if hello.error is not None:
        raise hello.error
    begun, shaped = _replies(
        address,
        facts,
        say,
        replace(asked, messages=(_HELLO, _BEGUN), continues=True),
        replace(asked, max_tokens=32, schema=_SCHEMA),
    )
    return replace(
        facts,
        logprobs=hello.has_logprobs,
        # A message that has ended has tokens behind its only one, at least those that end it.
        # Some servers repeat the message before they go on.
        continues=begun.error is None
        and begun.prompt == hello.prompt + 1
        and not begun.text.startswith(_BEGUN["content"]),
        schema=shaped.error is None and shaped.text.lstrip().startswith("{"),
        thinks=hello.has_thought,
        places=0,
    )


def _count_places(address: Address, facts: Facts, say: Say) -> int:
    """Streams that have begun before the first of them ends, 60 seconds at most."""
    begun: set[int] = set()
    end = time.monotonic() + 60
    with closing(Client(address, facts, say)) as client:
        for stream in range(_MOST_PLACES):
            client.start(stream, Asked((_COUNT,), 0.8, 1.0, 32, stream))
        while time.monotonic() < end:
            for chunk in client.poll(1.0):
                if chunk.finish or chunk.error:
                    return max(1, len(begun))
                if chunk.tokens:
                    begun.add(chunk.stream)
    return max(1, len(begun))


def _lacks(address: Address, facts: Facts) -> Iterator[Notice]:
    """A notice for each ability that the server lacks, with its cost to the user."""
    costs = {
        "no log-probabilities: options have no probability, votes alone give other ones": facts.logprobs,
        "no continued messages: a wrong sum stays, and a stream that breaks is begun again": facts.continues,
        "no JSON schema: an object is asked for in words": facts.schema,
        "no way to switch thinking off: solutions take longer": not facts.thinks,
    }
    if missing := [text for text, is_there in costs.items() if not is_there]:
        yield Notice("upstream-lacks", f"{address.server} lacks something", tuple(missing))
    if facts.places == 1:
        text = f"{address.server} writes one solution at a time"
        yield Notice("upstream-serial", text, hint=SERVERS[facts.server].more_places)


def _kept(file: Path) -> Facts | None:
    """The facts of today; without places if there was one, and a user may have changed that since."""
    kept = read_json(file)
    try:
        age, facts = time.time() - kept["time"], build(Facts, kept)
    except (LookupError, TypeError, ValueError):
        return None
    if not 0 <= age < _DAY or not isinstance(facts, Facts):
        return None
    return replace(facts, places=0) if facts.places == 1 and age > _SERIAL else facts


def _size(value: object) -> float | None:
    return parameters_of(value) if isinstance(value, str) else _whole(value)


def _whole(value: object) -> int | None:
    """A positive number; None for anything else."""
    return int(value) if isinstance(value, int | float) and 0 < value < 1e15 else None
