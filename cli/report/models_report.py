"""Models as ``adascale models`` shows them: a line of the list each, or one fact a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from adascale.engine.decimals import human_bytes
from adascale.engine.errors import ModelError

from ..terminal.text import columns

if TYPE_CHECKING:
    from adascale.models.files.catalog import ModelSpec
    from adascale.models.files.gguf_info import GGUFInfo
    from adascale.models.files.library import LocalFile


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the list; None is unknown.

    Attributes:
        forks: Where branches begin: ``anywhere``, or at the ``tip`` alone where layers keep running states.
        thinking: As in the catalogue.
        memory_bytes: What a question takes with the default context and samples.
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
    forks: str | None = None
    thinking: str | None = None
    memory_bytes: int | None = None
    repository: str | None = None
    sources: tuple[str, ...] = ()
    summary: str | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """What a model file says about itself."""

    architecture: str
    quant: str
    context: int
    layers: int
    vocabulary: int
    chat_template: bool
    kv_bytes_per_token: int

    @classmethod
    def of(cls, info: GGUFInfo) -> Self:
        """What a header that was read says."""
        return cls(
            architecture=info.architecture,
            quant=info.file_type,
            context=info.context_length,
            layers=info.block_count,
            vocabulary=info.vocab_size,
            chat_template=bool(info.chat_template),
            kv_bytes_per_token=info.kv_bytes_per_token,
        )


def entry_of_catalogue(spec: ModelSpec, file: LocalFile | None) -> Entry:
    """The entry of a model of the catalogue, and of its file where that is here."""
    from adascale.models.plan import usual_bytes

    return Entry(
        name=spec.name,
        role=spec.role,
        format=spec.format,
        here=file is not None,
        path=str(file.path) if file else None,
        size_bytes=file.size_bytes if file else spec.size_bytes,
        sha256=(file and file.sha256) or spec.sha256,
        parameters=spec.parameters,
        licence=spec.licence,
        architecture=spec.architecture or None,
        forks=_forks(spec.state_bytes) if spec.architecture else None,
        thinking=spec.thinking if spec.role == "generator" else None,
        memory_bytes=usual_bytes(spec.size_bytes, spec.kv_bytes_per_token, spec.state_bytes),
        repository=spec.hub.repo,
        sources=("hub", "wheel") if spec.wheel else ("hub",),
        summary=spec.summary,
    )


def entry_of_file(file: LocalFile) -> Entry:
    """The entry of a file with another name than the catalogue's, which may know its bytes all the same."""
    known = entry_of_catalogue(file.spec, file) if file.spec else _of_header(file)
    return replace(
        known,
        name=file.name,
        here=True,
        path=str(file.path),
        size_bytes=file.size_bytes,
        sha256=file.sha256 or None,
    )


def _of_header(file: LocalFile) -> Entry:
    from adascale.models.files.gguf_info import read_info
    from adascale.models.plan import usual_bytes

    try:
        info = read_info(file.path)
    except (ModelError, OSError):  # whoever opens it is told what is wrong with it
        return Entry(file.name)
    return Entry(
        file.name,
        parameters=info.parameter_count,
        architecture=info.architecture,
        forks=_forks(info.state_bytes),
        memory_bytes=usual_bytes(info.size_bytes, info.kv_bytes_per_token, info.state_bytes),
    )


def _forks(state_bytes: int) -> str:
    return "tip" if state_bytes else "anywhere"


def models_table(entries: Iterable[Entry]) -> str:
    """A line for each model."""

    def amount(count: int | None) -> str:
        return human_bytes(count) if count else "?"

    rows = [("NAME", "SIZE", "MEMORY", "HERE", "LICENCE", "WHAT IT IS")]
    for entry in entries:
        here = "here" if entry.here else "-"
        sizes = amount(entry.size_bytes), amount(entry.memory_bytes)
        rows.append((entry.name, *sizes, here, entry.licence or "?", entry.summary or ""))
    return columns(rows, "<<<<<<")


def facts_text(facts: Mapping[str, object]) -> str:
    """One fact a line; what is unknown is left out."""
    known = {key.replace("_", " "): value for key, value in facts.items() if value not in (None, (), "")}
    return "\n".join(f"{key:<20}{_words(value)}" for key, value in known.items())


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return ", ".join(value) if isinstance(value, tuple) else str(value)
