"""Finds out what a server really does, by a few small requests; the outcome is kept for a day.

No field is believed because it was accepted: log-probabilities have to come, and a message that is begun has
to go on.
"""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from adascale.engine.codec import build, to_plain
from adascale.engine.errors import AdascaleError, ModelNotFoundError, excerpt
from adascale.engine.types import Notice

from ..storage import atomic_write, keyed_path, read_json, state_folder
from .address import LOCAL_PORTS, Address
from .client import PATIENCE, Chunk, Client, Say, no_completion, refusal
from .servers import SERVERS, Asked, Entry, Facts, Get, listed, parameters_of, recognised, told

_DAY = 86_400
"""Seconds for which an outcome is kept."""

_GLANCE = 0.3
"""Seconds that a server on a usual port may take."""

_MOST_PLACES, _MOST_CONTEXT, _MOST_PARAMETERS = 1 << 10, 1 << 30, 1e15
"""Largest numbers that a server is believed."""

_AGAIN = 0.5
"""Seconds after which a server that starts is asked again."""

_NAME_LENGTH = 1000
"""Characters of the longest name of a model."""

_SHOWN = 10
"""Names of models that an error lists."""

_HELLO = {"role": "user", "content": "Say hello."}
_BEGUN = {"role": "assistant", "content": "Hello"}
_SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


def probe(address: Address, say: Say = lambda notice: None, seconds: float | None = None) -> Facts:
    """Facts about the model at an address.

    Args:
        address: The server, and the model there.
        say: Gets what the server lacks, when that is found out.
        seconds: Time that all of it may take; None for ``PATIENCE``.

    Raises:
        AdascaleError: Nothing answers, the key is refused, the model is not there, or it cannot write.
    """
    with closing(Client(address, say, seconds or PATIENCE)) as client:
        models, get = _models(client, address), _getting(client, address)
        server, entry = recognised(models, get), _chosen(address, models)
        model = str(entry["id"])
        identity = [address.url, server.name, model, entry.get("meta")]
        file = keyed_path(state_folder() / "upstream", identity, ".json")
        kept = _kept(file)
        facts = kept or _tried(client, Facts(server.name, model))
        # Some servers say them once the model is loaded.
        size, context, slots = (
            told(where, entry, get) for where in (server.parameters, server.context, server.slots)
        )
    facts = replace(
        facts,
        parameters=_size(size) or parameters_of(model),
        # OpenRouter has the second name.
        context=_whole(context or entry.get("context_length"), _MOST_CONTEXT) or facts.context,
        places=_whole(slots, _MOST_PLACES) or server.places,
    )
    if kept is None:
        for notice in _lacks(address, facts):
            say(notice)
        with suppress(OSError), atomic_write(file) as out:
            out.write(json.dumps({"time": time.time(), **to_plain(facts)}).encode())
    return facts


def local_servers() -> list[tuple[Address, str, list[str]]]:
    """Servers on the usual ports of this machine: address, kind, and names of their models."""
    with ThreadPoolExecutor() as pool:
        return [found for found in pool.map(_local_server, LOCAL_PORTS) if found is not None]


def _local_server(port: int) -> tuple[Address, str, list[str]] | None:
    address = Address(f"http://127.0.0.1:{port}/v1")
    with suppress(AdascaleError), closing(Client(address, None, _GLANCE)) as client:
        if models := _models(client, address):
            return address, recognised(models, _getting(client, address)).name, _names(models)
    return None


def _getting(client: Client, address: Address) -> Get:
    def get(path: str) -> Entry:
        with suppress(AdascaleError):
            status, body, _ = client.get(address.root + path)
            return body if status == 200 and isinstance(body, dict) else {}
        return {}

    return get


def _models(client: Client, address: Address) -> list[Entry]:
    """The models of a server; none if it does not list them. One that starts is waited for.

    Raises:
        AdascaleError: Nothing answers, or not with a list.
    """
    while True:
        status, body, headers = client.get(f"{address.url}/models")
        if status == 200 and isinstance(body, dict):
            named = [each for each in listed(body, "data") if isinstance(each.get("id"), str)]
            return [each for each in named if 0 < len(each["id"]) <= _NAME_LENGTH]
        if status in (404, 405):
            return []
        if status != 503 or client.left < _AGAIN:
            raise no_completion() if status == 200 else refusal(address, "", status, body, headers)
        time.sleep(_AGAIN)


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
    hint = str(replace(address, name=close[0] if close else "NAME"))
    raise ModelNotFoundError(f"{address.server} has no model {excerpt(wanted)}", *close, hint=hint)


def _tried(client: Client, facts: Facts) -> Facts:
    """The facts with what small requests show.

    Raises:
        AdascaleError: The server refuses the smallest one, or does not answer it in time.
    """
    asked = Asked((_HELLO,), 0.0, 1.0, 16, 0, alternatives=2)
    try:
        hello = client.reply(asked, replace(facts, logprobs=True))
    except AdascaleError as error:
        if error.slug != "upstream-refuses":
            raise
        hello = client.reply(asked, facts)  # it may refuse log-probabilities
    begun = shaped = Chunk(0)
    with suppress(AdascaleError):
        begun = client.reply(replace(asked, messages=(_HELLO, _BEGUN), continues=True), facts)
    with suppress(AdascaleError):
        shaped = client.reply(replace(asked, max_tokens=32, schema=_SCHEMA), facts)
    return replace(
        facts,
        logprobs=bool(hello.alternatives),
        # A message that has ended has tokens behind its only one, at least those that end it.
        # Some servers repeat the message before they go on.
        continues=_prompt(begun) == _prompt(hello) + 1 and not begun.text.startswith(_BEGUN["content"]),
        schema=shaped.text.lstrip().startswith("{"),
        thinks=bool(hello.thought) or hello.text.lstrip().startswith("<think>"),
    )


def _prompt(reply: Chunk) -> int:
    return reply.work.evaluated_tokens + reply.work.reused_tokens


def _lacks(address: Address, facts: Facts) -> Iterator[Notice]:
    """A notice for each ability that the server lacks, with its cost to the user."""
    costs = {
        "no log-probabilities: options have no probability, votes alone give other ones": facts.logprobs,
        "no continued messages: a wrong sum stays": facts.continues,
        "no JSON schema: an object is asked for in words": facts.schema,
        "no way to switch thinking off: solutions take longer": not facts.thinks,
    }
    if missing := [text for text, is_there in costs.items() if not is_there]:
        yield Notice("upstream-lacks", f"{address.server} lacks something", tuple(missing))
    if facts.places == 1:
        text = f"{address.server} writes one solution at a time"
        yield Notice("upstream-serial", text, hint=SERVERS[facts.server].more_places)


def _kept(file: Path) -> Facts | None:
    """The facts of today."""
    kept = read_json(file)
    try:
        age, facts = time.time() - kept["time"], build(Facts, kept)
    except (LookupError, TypeError, ValueError):
        return None
    return facts if 0 <= age < _DAY else None


def _size(value: object) -> float | None:
    return parameters_of(value) if isinstance(value, str) else _whole(value, _MOST_PARAMETERS)


def _whole(value: object, most: float) -> int | None:
    """A positive number up to ``most``; None for anything else."""
    return int(value) if isinstance(value, int | float) and 1 <= value <= most else None
