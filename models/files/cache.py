"""The Hugging Face cache, shared with llama.cpp and transformers, and the digests of the files in it.

huggingface_hub lists and deletes. A downloaded file is laid down as huggingface_hub does it:
``blobs/SHA256``, a link to it in ``snapshots/COMMIT/FILE``, and the commit in ``refs/main``. The sha256 of a
big file is computed once, and remembered with the file's number on the disk, size and modification time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from adascale.engine.errors import ModelCorruptError

from ..storage import atomic_write, cache_folder, read_json, within
from .catalog import ModelSpec, RemoteFile, Store, is_digest

if TYPE_CHECKING:
    from huggingface_hub import HFCacheInfo


Source = Literal["path", "cache", "hub", "wheel"] | Store
Activity = Literal["fetching", "checking", "waiting"]


@dataclass(frozen=True, slots=True)
class Transfer:
    """Progress of a transfer; ``done_bytes`` decreases only if it starts again.

    Attributes:
        label: Name of the model.
        done_bytes: Bytes that have arrived or were checked.
        total_bytes: Size of the file.
        activity: Fetching, checking the digest, or waiting for another process that downloads the file.
    """

    label: str
    done_bytes: int
    total_bytes: int
    activity: Activity = "fetching"


@dataclass(frozen=True, slots=True)
class DownloadPlan:
    """A download before its first byte, for consent.

    Attributes:
        name: Name of the model.
        origin: Place of publication, for people to read.
        size_bytes: Size of the model file.
        free_bytes: Disk space that is free now.
        folder: Cache that it goes to.
        licence: Licence of the model, empty when unknown.
    """

    name: str
    origin: str
    size_bytes: int
    free_bytes: int
    folder: Path
    licence: str


Report = Callable[[Transfer], None]
Confirm = Callable[[DownloadPlan], bool]


class RepoSnapshot(NamedTuple):
    """The files of one commit of a repository.

    Attributes:
        repo: ``owner/name``.
        files: Paths on this machine by the path inside the repository, with forward slashes.
        revisions: Name of the snapshot, usually a commit, and the branches and tags that mean it.
    """

    repo: str
    files: dict[str, Path]
    revisions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on this machine under the name of a model, unread.

    Attributes:
        name: Reference that leads to it again.
        path: The file; inside the cache the snapshot path, which keeps the file's name.
        sha256: Digest that the cache or store claims; empty without one.
        spec: Catalogue entry of the model; None if it has none.
        source: ``cache``, ``path`` for a file of one's own, or the program that keeps it.
    """

    name: str
    path: Path
    sha256: str
    spec: ModelSpec | None
    source: Source

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return self.path.stat().st_size

    @property
    def shown_name(self) -> str:
        """Name of the file in messages; the reference for a blob of Ollama, which is named by its digest."""
        return self.name if self.source == "ollama" else self.path.name

    @property
    def own_name(self) -> str:
        """Name that its calibrations begin with: of a file of one's own without folder and suffix."""
        return self.path.stem if self.source == "path" else self.name


def cache_dir() -> Path:
    """The cache that huggingface_hub uses."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def snapshots() -> list[RepoSnapshot]:
    """The snapshots in the cache by repository, for each the snapshot of ``main`` first."""
    if not cache_dir().is_dir():
        return []
    by_commit = [
        RepoSnapshot(
            repo.repo_id,
            {
                each.file_path.relative_to(commit.snapshot_path).as_posix(): each.file_path
                for each in commit.files
            },
            commit.refs | {commit.commit_hash},
        )
        for repo in _scan().repos
        for commit in repo.revisions
    ]
    return sorted(by_commit, key=lambda one: (one.repo, "main" not in one.revisions, min(one.revisions)))


def claimed_sha256(path: Path) -> str:
    """Read the digest in the name of the blob that a link of the cache leads to; empty for other files."""
    name = Path(os.readlink(path)).name if path.is_symlink() else ""
    return name if is_digest(name) else ""


def locate(remote: RemoteFile) -> Path | None:
    """Look for the exact file: in its snapshot, or as a blob that another snapshot brought."""
    return next((path for path in _link_and_blob(remote) if path.exists()), None)


@contextlib.contextmanager
def staging(remote: RemoteFile, report: Report) -> Iterator[Path]:
    """Open a folder for the parts of a download, on the cache's own disk, for one process at a time.

    The next run finds the parts of an interrupted download. After a success, wrong bytes or a full disk the
    folder is deleted.
    """
    from filelock import FileLock, Timeout

    # Among the locks, in which huggingface_hub looks for no repositories.
    area = cache_dir() / ".locks" / "adascale" / remote.sha256
    area.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(area.with_suffix(".lock"))
    try:
        is_locked = lock.acquire(timeout=0.1)
    except Timeout:
        report(Transfer(remote.name, 0, remote.size_bytes, "waiting"))
        is_locked = lock.acquire()
    with is_locked:
        area.mkdir(exist_ok=True)
        try:
            yield area
        except (ModelCorruptError, OSError):
            shutil.rmtree(area, ignore_errors=True)
            raise
        shutil.rmtree(area, ignore_errors=True)


def publish(staged: Path, remote: RemoteFile, *, is_main: bool) -> Path:
    """Move a checked file to its place in the cache.

    Args:
        staged: The file in the staging area; it is gone afterwards.
        remote: Description of the exact file.
        is_main: The revision is the current ``main``.

    Returns:
        Its path in the snapshot.
    """
    link, blob = _link_and_blob(remote)
    folder = blob.parent.parent
    for path in (link, blob):
        path.parent.mkdir(parents=True, exist_ok=True)
        within(folder, path)
    staged.replace(blob)
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(os.path.relpath(blob, link.parent))
    except OSError:
        # No links on this file system: the snapshot gets the file itself, as huggingface_hub does it.
        blob.replace(link)
    main = folder / "refs" / "main"
    if is_main or not main.exists():
        # Without it llama.cpp and huggingface_hub, when offline, do not see the snapshot at all.
        with atomic_write(main) as file:
            file.write(remote.revision.encode())
    return link


def remove(path: Path) -> int:
    """Delete a file from the cache, under every snapshot that links to it; returns the bytes freed.

    Raises:
        UsageError: It is a link to a file elsewhere, which huggingface_hub would delete.
    """
    cache, blob = _scan(), within(cache_dir(), path.resolve())
    files = (file for repo in cache.repos for revision in repo.revisions for file in revision.files)
    doomed = cache.delete_files(*(file for file in files if file.blob_path == blob))
    doomed.execute()
    return doomed.expected_freed_size


def _scan() -> HFCacheInfo:
    from huggingface_hub import scan_cache_dir

    return scan_cache_dir(cache_dir())


def _link_and_blob(remote: RemoteFile) -> tuple[Path, Path]:
    folder = cache_dir() / f"models--{remote.repo.replace('/', '--')}"
    return folder / "snapshots" / remote.revision / remote.file, folder / "blobs" / remote.sha256


_CHUNK = 1 << 22
_DIGESTS = "verified.json"


def file_sha256(path: Path, name: str, expected: str = "", report: Report | None = None) -> str:
    """Compute the digest of a file, or look it up if the file has not changed since it was computed.

    Args:
        path: The file; links are followed.
        name: Name of the file or of the model, in reports and messages.
        expected: Digest that was published; empty if it is unknown.
        report: Called with the progress while the file is read.

    Returns:
        64 lowercase hex digits.

    Raises:
        ModelCorruptError: It is not the published digest.
    """
    digest = _digest(path, name, report)
    if expected not in ("", digest):
        raise ModelCorruptError(
            f"{name} is not the file that was published",
            f"sha256 expected {expected}",
            f"sha256 found    {digest}",
            slug="bad-checksum",
        )
    return digest


def _digest(path: Path, name: str, report: Report | None) -> str:
    key = _key(path)
    entries = read_json(cache_folder() / _DIGESTS) or {}
    if key in entries:
        return str(entries[key])
    offset, size, sha256 = 0, path.stat().st_size, hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha256.update(chunk)
            offset += len(chunk)
            if report is not None:
                report(Transfer(name, offset, size, "checking"))
    digest = sha256.hexdigest()
    if _key(path) == key:  # else another program was writing it
        # A note that cannot be written only costs the time to compute it again.
        with contextlib.suppress(OSError), atomic_write(cache_folder() / _DIGESTS) as note:
            note.write(json.dumps(entries | {key: digest}, indent=1).encode())
    return digest


def _key(path: Path) -> str:
    """The file on its disk, in one state: a rename keeps it, a change of the contents does not."""
    status = path.stat()
    return f"{status.st_dev}:{status.st_ino} {status.st_size} {status.st_mtime_ns}"
