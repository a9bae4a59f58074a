"""Models in the output of ``list`` and ``show``: a row of the list each, or one fact a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from adascale.engine.decimals import human_bytes
from adascale.engine.errors import ModelError

from ..terminal.text import columns

if TYPE_CHECKING:
    from adascale.models.files.catalog import ModelSpec
    from adascale.models.files.gguf_info import GGUFInfo
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
    from adascale.models.files.gguf_info import read_info
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
