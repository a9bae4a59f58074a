"""Identifies a server by its list of models and a few pages, without a completion."""

from __future__ import annotations

import difflib
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace

from adascale.engine.errors import AdascaleError, ModelNotFoundError, ModelUnavailableError, excerpt

from .address import LOCAL_PORTS, Address
from .client import PATIENCE, Client, no_completion
from .servers import Entry, Server, at, described, listed, parameters_of, recognised

_GLANCE = 0.3
"""Seconds that a server on a usual port may take."""

_SIZES = ("meta.n_params", "details.parameter_size", "params_string")
"""Places of the size of a model: at llama-server, Ollama and LM Studio."""

_CONTEXTS = (
    "default_generation_settings.n_ctx",
    "loaded_instances.config.context_length",
    "max_model_len",
    "context_length",
)
"""Places of the tokens of prompt and reply together: at llama-server (of each slot), LM Studio, vLLM and
SGLang, at Ollama (as the model is loaded; longer prompts are cut in silence) and OpenRouter."""

_PLACES = ("total_slots", "loaded_instances.config.parallel")
"""Places of the number of streams that run side by side: at llama-server and LM Studio."""

_MOST_PLACES, _MOST_CONTEXT, _MOST_PARAMETERS = 1 << 10, 1 << 30, 1e15
"""Largest numbers that a server is believed."""

_AGAIN = 0.5
"""Seconds between two requests to a server that is starting."""

_LONGEST = 1000
"""Characters of the longest name of a model."""

_SHOWN = 10
"""Names of models that an error lists."""


def probe(address: Address, seconds: float | None = None) -> Server:
    """The server at an address, and the model there.

    Args:
        address: The server, and the model there.
        seconds: Time that all of it may take; None for ``PATIENCE``.

    Raises:
        AdascaleError: Nothing answers, the key is refused, or the model is not there.
    """
    with closing(Client(address, seconds=seconds or PATIENCE)) as client:
        models, get = _models(client, address), client.page
        server = recognised(models, get)
        entry = described(_chosen(address, models), server.pages, get)
    return replace(
        server,
        model=str(entry["id"]),
        parameters=_first(entry, (*_SIZES, "id"), _MOST_PARAMETERS),
        context=_first(entry, _CONTEXTS, _MOST_CONTEXT),
        places=_first(entry, _PLACES, _MOST_PLACES) or server.places,
    )


def local_servers() -> list[tuple[Address, str, list[str]]]:
    """Servers on the usual ports of this machine: address, kind, and names of their models."""
    return list(filter(None, map(_local_server, LOCAL_PORTS)))


def _local_server(port: int) -> tuple[Address, str, list[str]] | None:
    address = Address(f"http://127.0.0.1:{port}/v1")
    with suppress(AdascaleError), closing(Client(address, seconds=_GLANCE)) as client:
        if models := _models(client, address):
            return address, recognised(models, client.page).name, _names(models)
    return None


def _models(client: Client, address: Address) -> list[Entry]:
    """The models of a server, none if it does not list them; one that starts is waited for.

    Raises:
        AdascaleError: Nothing answers in time, or not with a list.
    """
    page: Entry = {"data": []}
    with suppress(ModelNotFoundError):
        while True:
            try:
                page = client.get(f"{address.url}/models")
                break
            except ModelUnavailableError as error:
                if error.slug != "upstream-busy" or time.monotonic() + _AGAIN > client.until:
                    raise
            time.sleep(_AGAIN)
    if not page:
        raise no_completion()
    models = listed(page, "data")
    return [each for each in models if isinstance(name := each.get("id"), str) and 0 < len(name) <= _LONGEST]


def _names(models: Sequence[Entry]) -> list[str]:
    return [name for each in models if "embed" not in (name := str(each["id"])).lower()]


def _chosen(address: Address, models: Sequence[Entry]) -> Entry:
    """The model of an address in a server's list.

    Raises:
        ModelNotFoundError: It is not there, or several are and no name chooses one.
    """
    names, model_name = _names(models), address.name
    if model_name is None and len(names) == 1:
        model_name = names[0]
    if model_name and not models:
        return {"id": model_name}
    low = (model_name or "").lower().removesuffix(":latest")
    for entry in models if model_name else ():
        aliases = entry.get("aliases")
        own = str(entry["id"])  # llama-server's is the path of a file
        spellings = [own, own.rpartition("/")[2], *(aliases if isinstance(aliases, list) else ())]
        if any(str(each).lower().removesuffix(":latest") == low for each in spellings):
            return entry
    what = f"{len(names)} models" if model_name is None else f"no model {excerpt(model_name)}"
    names = difflib.get_close_matches(model_name or "", names, _SHOWN, 0.3) or names[:_SHOWN]
    raise ModelNotFoundError(
        f"{address.server} has {what}", *names, hint=str(replace(address, name=[*names, "NAME"][0]))
    )


def _first(entry: Entry, paths: Sequence[str], most: float) -> int | None:
    """The first positive number up to ``most`` at these paths, also in words; None without one."""
    for value in (at(entry, path) for path in paths):
        number = parameters_of(value) if isinstance(value, str) else value
        if isinstance(number, int | float) and 1 <= number <= most:
            return int(number)
    return None
