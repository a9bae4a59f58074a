"""What is asked for, what is fetched, and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .catalog import ModelSpec

Origin = Literal["path", "cache", "hub", "wheel"]
Activity = Literal["fetching", "checking", "waiting"]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file on this machine.

    Attributes:
        name: How to ask for it again.
        path: The file; inside the cache the snapshot path, which keeps the model's file name.
        sha256: Lowercase hex digest. Checked by ``resolve``; elsewhere what the cache claims, or empty.
        size_bytes: Size of the file.
        spec: Its catalogue entry, if it has one.
        source: Where this run got it from.
    """

    name: str
    path: Path
    sha256: str
    size_bytes: int
    spec: ModelSpec | None
    source: Origin


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model reference taken apart; what it leaves open is None.

    Attributes:
        name: How the user will be told of it.
        repo: ``owner/name`` on the Hub, which is also its place in the cache.
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

    def artifact(self) -> Artifact | None:
        """The exact file, when the catalogue knows all of it."""
        spec = self.spec
        if spec is None or spec.hub.revision is None or spec.size_bytes is None or spec.sha256 is None:
            return None
        revision, size = spec.hub.revision, spec.size_bytes
        return Artifact(self.name, self.repo, revision, spec.file, size, spec.sha256, spec)


@dataclass(frozen=True, slots=True)
class Artifact:
    """One exact file: what a download has to yield, whatever its source.

    Attributes:
        revision: Commit hash.
        sha256: Lowercase hex digest.
    """

    name: str
    repo: str
    revision: str
    file: str
    size_bytes: int
    sha256: str
    spec: ModelSpec | None


@dataclass(frozen=True, slots=True)
class Transfer:
    """How far something long has come; ``done_bytes`` never goes back for one label and activity.

    Attributes:
        label: The model's name.
        activity: Waiting is for another process that downloads the same file.
    """

    label: str
    done_bytes: int
    total_bytes: int
    activity: Activity = "fetching"


@dataclass(frozen=True, slots=True)
class DownloadPlan:
    """What a download will do, before its first byte.

    Attributes:
        source: Where it comes from first.
        origin: The repository or the packages, for people.
        size_bytes: Size of the model file.
        needed_bytes: Disk it takes while it runs.
        free_bytes: Disk that is free now.
        folder: The cache it goes to.
        licence: Licence of the model, empty when unknown.
    """

    name: str
    source: Origin
    origin: str
    size_bytes: int
    needed_bytes: int
    free_bytes: int
    folder: Path
    licence: str


Report = Callable[[Transfer], None]
Confirm = Callable[[DownloadPlan], bool]
