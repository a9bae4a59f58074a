"""The place of all downloads: the Hugging Face cache, shared with huggingface_hub and llama.cpp.

    models--owner--name/blobs/<sha256>             the bytes
    models--owner--name/snapshots/<commit>/<file>  a relative link to them
    models--owner--name/refs/main                  the commit that ``main`` stands for
    .adascale/<sha256>/                            a download under way

A file appears under its final name by one rename, after its sha256 was checked, so neither a kill nor
a second process can ever show half of one. Digests, commits and file names come from outside and are parts
of these paths: ``RemoteFile`` and ``is_one_name`` have checked their forms.
Layout: https://huggingface.co/docs/hub/local-cache
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from adascale.engine.errors import ModelCorruptError

from ..storage import atomic_write
from .progress import Report, Transfer
from .reference import RemoteFile
from .validation import is_one_name, is_sha256

_STAGING = ".adascale"

# Files of a staging area with which the next run can go on.
HUB_PART, WHEEL_RECORD = "hub.part", "progress.json"


@dataclass(frozen=True, slots=True)
class CachedFile:
    """One model file of one snapshot.

    Attributes:
        repo: ``owner/name``.
        revision: Name of the snapshot, usually a commit.
        file: Path inside the repository, with forward slashes.
        path: Path on this machine.
    """

    repo: str
    revision: str
    file: str
    path: Path

    @property
    def claimed_sha256(self) -> str:
        """The digest in the blob's name; empty where the cache has no links."""
        return claimed_sha256(self.path)


def claimed_sha256(path: Path) -> str:
    """Read the digest in the name of the blob that a link of the cache leads to; empty for other files."""
    name = Path(os.readlink(path)).name if path.is_symlink() else ""
    return name if is_sha256(name) else ""


def cache_dir() -> Path:
    """Find the hub cache by the rules of huggingface_hub, without importing it."""
    env = os.environ
    home = env.get("HF_HOME") or os.path.join(env.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    chosen = env.get("HF_HUB_CACHE") or env.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return Path(os.path.expandvars(os.path.expanduser(chosen)))


def repositories() -> list[str]:
    """List every ``owner/name`` that has a folder in the cache, sorted."""
    folders = cache_dir().glob("models--*--*")
    return sorted(folder.name.removeprefix("models--").replace("--", "/", 1) for folder in folders)


def cached_files(repo: str, revision: str | None = None) -> list[CachedFile]:
    """List the GGUF files of a repository that can be opened.

    Args:
        repo: ``owner/name``.
        revision: Commit, branch or tag; None takes every snapshot, the one of ``main`` first.
    """
    folder = _repo_folder(repo)
    main = _commit_of(folder, "main")
    if revision is None:
        snapshots = sorted((folder / "snapshots").glob("*"), key=lambda path: (path.name != main, path.name))
    else:
        name = _commit_of(folder, revision) or revision
        snapshots = [folder / "snapshots" / name] if is_one_name(name) else []
    return [
        CachedFile(repo, snapshot.name, path.relative_to(snapshot).as_posix(), path)
        for snapshot in snapshots
        for path in sorted(snapshot.rglob("*.gguf"))
        if path.is_file()
    ]


def locate(remote: RemoteFile) -> Path | None:
    """Look for the exact file: in its snapshot, or as a blob that another snapshot brought."""
    link, blob = _link_and_blob(remote)
    if not link.exists() and blob.exists():
        # A cache that is read-only cannot get the link; its blob can be used all the same.
        with contextlib.suppress(OSError):
            _link(blob, link)
    return next((path for path in (link, blob) if path.exists()), None)


@contextlib.contextmanager
def staging(remote: RemoteFile, report: Report | None = None) -> Iterator[Path]:
    """Open a folder for the parts of a download, on the cache's own disk.

    One process at a time has it, whichever repository it fetches these bytes from. It is empty afterwards,
    unless the download was interrupted and can be continued: then the next run finds its parts.
    """
    from filelock import FileLock, Timeout

    area = _staging_area(remote)
    lock = FileLock(cache_dir() / ".locks" / _STAGING / f"{remote.sha256}.lock")
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=0.1)
    except Timeout:
        if report is not None:
            report(Transfer(remote.name, 0, remote.size_bytes, "waiting"))
        lock.acquire()
    resumable = False
    try:
        area.mkdir(parents=True, exist_ok=True)
        yield area
    except (ModelCorruptError, OSError):
        raise
    except BaseException:
        parts = (area / HUB_PART, area / WHEEL_RECORD)
        resumable = any(path.stat().st_size > 0 for path in parts if path.exists())
        raise
    finally:
        # Under the lock: without it the area may be another process's.
        if not resumable:
            shutil.rmtree(area, ignore_errors=True)
            with contextlib.suppress(OSError):
                area.parent.rmdir()
        with contextlib.suppress(OSError):  # Windows removes no open file
            os.unlink(lock.lock_file)  # while it is held: a lock on a file without a name is taken for none
        lock.release()


def staged_bytes(remote: RemoteFile) -> int:
    """Count the bytes that an interrupted download has already put on the disk."""
    return sum(path.stat().st_size for path in _staging_area(remote).rglob("*") if path.is_file())


def publish(staged: Path, remote: RemoteFile, successor_of: CachedFile | None = None) -> Path:
    """Move a checked file to its place in the cache, in one step.

    Args:
        staged: The file in the staging area; it is gone afterwards.
        remote: Description of the exact file.
        successor_of: An earlier copy, perhaps of another commit, which is deleted afterwards.

    Returns:
        Its path in the snapshot.
    """
    link, blob = _link_and_blob(remote)
    blob.parent.mkdir(parents=True, exist_ok=True)
    staged.replace(blob)
    _link(blob, link)
    if successor_of is not None and successor_of.path.exists() and not successor_of.path.samefile(link):
        remove(successor_of)
    folder = _repo_folder(remote.repo)
    main = _commit_of(folder, "main")
    if main is None or not (folder / "snapshots" / main).exists():
        # Without it llama.cpp and huggingface_hub, when offline, do not see the snapshot at all.
        with atomic_write(folder / "refs" / "main") as file:
            file.write(remote.revision.encode())
    return link


def remove(cached: CachedFile) -> int:
    """Delete a file from the cache, under every snapshot that links to it.

    Returns:
        Bytes freed; 0 if other repositories share them, which ``hf cache prune`` looks after.
    """
    folder = _repo_folder(cached.repo)
    target = Path(os.path.realpath(cached.path))
    size = target.stat().st_size
    doomed = [path for path in folder.rglob("*") if os.path.realpath(path) == str(target)]
    for path in sorted(doomed, key=lambda path: path == target):
        path.unlink()
    for path in sorted((folder / "snapshots").rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    if not any((folder / "snapshots").glob("*")):
        shutil.rmtree(folder)
    return 0 if target.exists() else size


def _repo_folder(repo: str) -> Path:
    return cache_dir() / f"models--{repo.replace('/', '--')}"


def _staging_area(remote: RemoteFile) -> Path:
    return cache_dir() / _STAGING / remote.sha256


def _link_and_blob(remote: RemoteFile) -> tuple[Path, Path]:
    folder = _repo_folder(remote.repo)
    return folder / "snapshots" / remote.revision / remote.file, folder / "blobs" / remote.sha256


def _commit_of(folder: Path, ref: str) -> str | None:
    """Read the commit of a branch or tag; None if it is unknown, or no name of a folder."""
    try:
        name = (folder / "refs" / ref).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    return name if is_one_name(name) else None


def _link(blob: Path, link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(os.path.relpath(blob, link.parent))
    except FileExistsError:
        pass  # another process made the same link a moment ago
    except OSError:
        # No links on this file system: the snapshot gets the file itself, as huggingface_hub does it.
        blob.replace(link)
