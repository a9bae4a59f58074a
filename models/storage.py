"""The folders of files that outlive a run, and the safe replacement and deletion of a file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from adascale.engine.errors import UsageError

_APP = "adascale"

# An empty variable is one that is not set. platformdirs takes it so, huggingface_hub for the current folder.
for _name in ("XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_ENDPOINT"):
    if os.environ.get(_name) == "":
        del os.environ[_name]


def cache_folder() -> Path:
    """The folder of files that can be computed or fetched again."""
    from platformdirs import user_cache_path

    return user_cache_path(_APP)


def config_folder() -> Path:
    """The folder of the user's own settings."""
    from platformdirs import user_config_path

    return user_config_path(_APP)


def data_folder() -> Path:
    """The folder of what takes long to make again, or cannot be: calibrations and draws."""
    from platformdirs import user_data_path

    return user_data_path(_APP)


def state_folder() -> Path:
    """The folder of history: kept runs, calls of a fallback."""
    from platformdirs import user_state_path

    return user_state_path(_APP)


def keyed_path(folder: Path, parts: Sequence[object], suffix: str) -> Path:
    """Name the file in ``folder`` that belongs to exactly these ``parts``.

    Args:
        folder: Folder of all files of this kind; it need not exist.
        parts: JSON values that the contents depend on. The file name is the first 24 hex digits of the
            sha256 of their JSON with sorted keys.
        suffix: End of the file name, with its dot.
    """
    import hashlib  # every command starts with this module, and OpenSSL takes a while to load

    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]
    return folder / f"{key}{suffix}"


def read_json(path: Path) -> Any:
    """Read a JSON file; None if it is missing, torn or of another format."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def within(folder: Path, path: Path) -> Path:
    """Return ``path`` if it is below ``folder``, before it is deleted or replaced.

    Links above it are followed; ``path`` itself may be one, since it is the link that goes.

    Raises:
        UsageError: It is elsewhere.
    """
    real = Path(os.path.realpath(path.parent), path.name)
    if ".." in real.parts or Path(os.path.realpath(folder)) not in real.parents:
        raise UsageError(
            f"{path} lies outside of {folder}, and files there are the user's own",
            hint=f"if a link leads there, remove the link: ls -l {folder}",
            slug="outside",
        )
    return path


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the place of ``path`` when the block ends without an error.

    A reader, another writer or a crash sees the old contents or the new ones, never a mixture: the
    temporary file has a name of its own, lies on the same disk, and is flushed to it before the rename.
    After an error it is removed and ``path`` is as it was.

    Args:
        path: File to make or to replace; missing folders are made. Where it is a link, the file that the
            link leads to is replaced. A device or a pipe is written to: it has no contents to keep, and
            whoever may replace it must not.

    Raises:
        OSError: The file cannot be written.
    """
    target = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():  # asked of the path: what /dev/stdout leads to has no name
        with path.open("wb") as file:
            yield file
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{_APP}-{os.urandom(8).hex()}.tmp")
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, draft)
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
