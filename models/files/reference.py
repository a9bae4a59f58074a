"""Model references: what a user types, taken apart. No network, no disk but for ``is it a file?``.

"qwen2.5-coder-1.5b", "hf:user/repo:Q4_K_M"  ->  ModelReference  ->  RemoteFile, here or asked of the Hub
"ollama:qwen3:1.7b"                          ->  StoreReference
"./model.gguf"                               ->  Path
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit
from urllib.request import url2pathname

from adascale.engine.errors import ModelNotFoundError, command, excerpt

from .catalog import ModelSpec, catalog
from .gguf.split import Part
from .validation import is_file_name, is_one_name

_NAME = r"[A-Za-z0-9][\w.-]*"
REPOSITORY = f"{_NAME}/{_NAME}"
"""A repository of the Hub, as a regular expression."""

_HUB = re.compile(
    rf"""(?P<prefix>hf:(?://)?|(?:https?://)?(?:www\.)?(?:hf\.co|huggingface\.co)/)?
    (?P<repo>{REPOSITORY})
    (?:@(?P<at>[\w.-]+)|/(?:resolve|blob|tree)/(?P<revision>[\w.-]+)(?:/(?P<file>[^?:]+\.gguf))?)?
    (?:\?[^:]*)?
    (?::(?P<quant>[^/]+|[^:?]+\.gguf))?/?""",
    re.VERBOSE,
)
_TAG = r"(?:UD-)?(?:I?Q\d(?:_[0-9A-Z]+)*|TQ\d_\d|MXFP4|NVFP4|BF16|F16|F32)(?=[-.]|$)"
_QUANT = re.compile(_TAG, re.IGNORECASE)
_NOT_A_MODEL = re.compile(r"mmproj|imatrix", re.IGNORECASE)

Store = Literal["ollama", "lmstudio", "llama.cpp"]
"""Programs beside ours that keep models; a reference to one of them begins with this word and a colon."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One exact file: what a download has to yield, whatever its source.

    Attributes:
        name: How to ask for the model again.
        repo: ``owner/name`` on the Hub, which is also its place in the cache.
        revision: Commit hash, or 40 digits in its place.
        file: Path inside the repository, with forward slashes.
        sha256: Lowercase hex digest.
        spec: Its catalogue entry, if it has one.
    """

    name: str
    repo: str
    revision: str
    file: str
    size_bytes: int
    sha256: str
    spec: ModelSpec | None

    @property
    def hub_revision(self) -> str:
        """What to ask the Hub for: ``main`` where the commit is not known."""
        return "main" if self.revision == _in_place_of_commit(self.sha256) else self.revision


def _in_place_of_commit(sha256: str) -> str:
    """Names the place in the cache of a file whose commit is not known."""
    return sha256[:40]


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A model of the catalogue or of the Hub, taken apart; what the user leaves open is None.

    Attributes:
        name: How messages call it.
        repo: ``owner/name`` on the Hub.
        revision: Commit, branch or tag.
        file: File name inside the repository.
        quant: Quantization tag or file name, to choose among the repository's files.
        spec: The catalogue entry it is.
    """

    name: str
    repo: str
    revision: str | None = None
    file: str | None = None
    quant: str | None = None
    spec: ModelSpec | None = None

    def exact(self) -> RemoteFile | None:
        """The exact file, when the catalogue knows all of it; a wheel's bytes are known without a commit."""
        spec = self.spec
        if spec is None or spec.size_bytes is None or spec.sha256 is None:
            return None
        revision = spec.hub.revision or (_in_place_of_commit(spec.sha256) if spec.wheel else None)
        if revision is None:
            return None
        return RemoteFile(self.name, self.repo, revision, spec.file, spec.size_bytes, spec.sha256, spec)


@dataclass(frozen=True, slots=True)
class StoreReference:
    """A model that another program keeps on this machine.

    Attributes:
        store: The program.
        name: What it calls the model.
    """

    store: Store
    name: str

    def __str__(self) -> str:
        """The reference as a user types it."""
        return f"{self.store}:{self.name}"


def parse(ref: str) -> Path | ModelReference | StoreReference:
    """Take a reference apart.

    Args:
        ref: A path, ``file:...``, a catalogue name, ``hf:user/repo[@revision][:quant]`` with or without
            the prefix, a Hub URL, or a model of another program: ``ollama:qwen3:1.7b``.

    Raises:
        ModelNotFoundError: It is none of these.
    """
    for store in get_args(Store):
        if ref.startswith(f"{store}:"):
            return StoreReference(store, ref.removeprefix(f"{store}:"))
    hub = _HUB.fullmatch(ref)
    if hub and hub["prefix"]:
        return _hub_reference(hub)
    is_url = ref.startswith("file:")
    try:
        path = Path(url2pathname(urlsplit(ref).path) if is_url else ref).expanduser()
        is_file = path.is_file()
    except (ValueError, RuntimeError) as error:  # no URL, or the home of a user that there is not
        raise _unknown_model_error(ref) from error
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise _unknown_model_error(ref) from error
    if is_url or is_file:
        return path
    if not ref:  # as a path it is this folder
        raise _unknown_model_error(ref)
    spec = catalog().get(ref)
    if spec is not None:
        return _reference_to(spec, spec.name)
    # A repository may be given as "owner/name-GGUF:file.gguf"; any other *.gguf is a path that is missing.
    if path.is_dir() or (ref.endswith(".gguf") and not (hub and hub["quant"])):
        return path
    if hub:
        return _hub_reference(hub)
    raise _unknown_model_error(ref)


def choose_file(files: Iterable[str], quant: str | None) -> str | None:
    """The file that llama.cpp's ``-hf`` would take: the quant, else Q4_K_M, else Q8_0, else the first.

    Args:
        files: File names of one repository; projectors and importance matrices are passed over.
        quant: A tag such as ``q5_k_m`` or a whole file name, in any case.

    Returns:
        None if no file has the quant. The first part of a model in several files only where no single file
        is one.
    """
    models = model_files(files)
    single = [name for name in models if Part.of(name) is None]
    return _choose(single, quant) or _choose(models, quant)


def _choose(models: list[str], quant: str | None) -> str | None:
    if quant is not None:
        return _find_tag(models, quant)
    return _find_tag(models, "Q4_K_M") or _find_tag(models, "Q8_0") or next(iter(models), None)


def model_files(files: Iterable[str]) -> list[str]:
    """The GGUF files among ``files`` by which a model is opened, sorted: of several parts the first."""
    models = [name for name in files if name.endswith(".gguf") and not _NOT_A_MODEL.search(name)]
    return sorted(name for name in models if (part := Part.of(name)) is None or part.number == 1)


def quant_of(file: str) -> str:
    """The quantization tag in a file name, in capitals; the name itself if it has none."""
    tags = _QUANT.findall(file)
    return str(tags[-1]).upper() if tags else file


def _find_tag(models: list[str], tag: str) -> str | None:
    low = tag.lower()
    named = [name for name in models if low in (name.lower(), name.lower().rpartition("/")[2])]
    tagged = re.compile(rf"(?:^|[-._/]){re.escape(low)}(?=[-.])")
    return next(iter(named), None) or next((name for name in models if tagged.search(name.lower())), None)


def _reference_to(spec: ModelSpec, name: str) -> ModelReference:
    return ModelReference(name, spec.hub.repo, spec.hub.revision, spec.file, spec=spec)


def _hub_reference(match: re.Match[str]) -> ModelReference:
    repo, quant, file = match["repo"], match["quant"], match["file"]
    revision = match["at"] or match["revision"]
    if revision is not None and not is_one_name(revision):
        raise ModelNotFoundError(
            f'"{revision}" cannot be a revision of {repo}', hint=f"leave it out: hf:{repo}"
        )
    if file is not None and not is_file_name(file):
        raise ModelNotFoundError(f'"{file}" cannot be a file of {repo}', hint=f"leave it out: hf:{repo}")
    name = f"{repo}:{quant or file}" if quant or file else repo
    if revision in (None, "main"):
        for spec in catalog().values():
            # Pinned, verified and perhaps on the package index too: better than whatever main is today.
            if spec.hub.repo.lower() == repo.lower() and choose_file([spec.file], file or quant or "Q4_K_M"):
                return _reference_to(spec, name)
    return ModelReference(name, repo, revision, file, quant)


def _unknown_model_error(ref: str) -> ModelNotFoundError:
    near = difflib.get_close_matches(ref.lower(), list(catalog()), n=1, cutoff=0.5)
    question = f"did you mean {near[0]}?  " if near else ""
    return ModelNotFoundError(
        f'no model called "{excerpt(ref, 80)}" on this machine or in the catalogue',
        "looked in: Hugging Face cache, catalogue",
        hint=f"{question}{command('models', 'list')} shows what is here",
    )
