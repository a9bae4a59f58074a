"""Checks, reads and writes files that a user names; what cannot be used is an error with a hint."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from adascale.engine.errors import DiskFullError, UsageError, conversion_hint, is_disk_full, reason_of
from adascale.models.storage import atomic_write

ANSWER_SCHEMA = "adascale.answer/1"
"""Schema of the records of answers, which ``report.answer_record`` makes."""


def unwritable(path: Path, error: OSError, hint: str = "") -> UsageError | DiskFullError:
    """The error for a file that could not be written; without a ``hint`` it has the usual one."""
    message = f"cannot write {path}: {reason_of(error)}"
    if is_disk_full(error):
        return DiskFullError(message, hint="free some space, and run the same command again")
    usual = "name a file in a folder that exists" if isinstance(error, FileNotFoundError) else ""
    return UsageError(message, hint=hint or usual, slug="unwritable")


@contextmanager
def writing(path: Path, hint: str = "") -> Iterator[None]:
    """Turn an ``OSError`` into the error for a file that could not be written.

    Raises:
        DiskFullError: there is no room for it.
        UsageError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise unwritable(path, error, hint) from error


def read_text(path: Path) -> str:
    """The text of a file with its line ends, without a byte order mark.

    Raises:
        UsageError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {reason_of(error)}",
            hint=f"ls -l {shlex.quote(str(path))} shows whether it is there, and who may read it",
            slug="unreadable",
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} is not UTF-8 (byte {error.start})",
            hint=f"{conversion_hint(error.object)} {shlex.quote(str(path))}",
            slug="unreadable",
        ) from error


def write_file(path: Path, data: bytes, hint: str = "") -> None:
    """Write a file atomically: after an error the old file is unchanged.

    Args:
        path: File to create or replace.
        data: New contents.
        hint: Hint of the error if it cannot be written.

    Raises:
        DiskFullError: there is no room for it.
        UsageError: it cannot be written.
    """
    with writing(path, hint), atomic_write(path) as file:
        file.write(data)


NAMES_FILES = ("model", "prm", "calibration")
"""Settings whose values may name files."""


def with_absolute_path(setting: str, value: str) -> str:
    """The value of a setting in ``NAMES_FILES`` for use in any folder; one that names no file is unchanged.

    Raises:
        ModelNotFoundError: no model has this name.
        UsageError: there is no PRM format of this name.
    """
    from adascale.models.files.catalog import parse
    from adascale.models.upstream.address import is_address

    if setting == "calibration":
        return value if value in ("auto", "none") else str(Path(value).absolute())
    before = ""
    if setting == "prm":
        from adascale.models.prm.formats import split_reference

        if (reference := split_reference(value)[1]) in ("probe", "self", "none"):
            return value
        before, value = value.removesuffix(reference), reference
    if is_address(value):
        return value
    file = parse(value)
    return before + (str(file.absolute()) if isinstance(file, Path) else value)


def check_writable(path: Path) -> None:
    """Refuse an output that could not be written, before hours of work.

    Raises:
        UsageError: it is a folder, it cannot be written, or its folder is missing or not writable.
    """
    try:
        path.stat()
    except FileNotFoundError:
        pass
    except OSError as error:  # a name that is too long, or a link to itself, among others
        raise unwritable(path, error, "another name, not so long, in a folder that can be read") from error
    if path.is_dir():
        raise UsageError(
            f"cannot write {path}: it is a folder",
            hint=f"name a file in it: {shlex.quote(str(path / 'NAME'))}",
            slug="unwritable",
        )
    if not path.parent.is_dir():
        raise unwritable(path, FileNotFoundError(2, f"there is no folder {path.parent}"))
    is_device = path.exists() and not path.is_file()  # it is written to in place, and so is a pipe
    needed = path if is_device else path.parent
    if not os.access(needed, os.W_OK):
        raise UsageError(
            f"cannot write {path}: {needed} is not writable",
            hint="name a file in a folder of your own",
            slug="unwritable",
        )


_TRACE_BEGIN = b'{"kind":"search_started"'


def is_trace(path: Path) -> bool:
    """True for a file that can be read and begins as every trace does."""
    try:
        with path.open("rb") as file:
            return file.read(len(_TRACE_BEGIN)) == _TRACE_BEGIN
    except OSError:
        return False


def check_output(
    path: Path,
    hint: str,
    *,
    is_ours: Callable[[Path], bool] | None = None,
    reads: Iterable[str | Path] = (),
    overwrite: bool = False,
) -> None:
    """Refuse an output that would destroy something else; a link counts as the file that it leads to.

    Devices, pipes and empty files may be written to.

    Args:
        path: File to write.
        hint: Hint of the error.
        is_ours: Recognises files of this kind that adascale writes; None if they cannot be recognised.
        reads: Inputs and models of this run; ``-`` is stdin.
        overwrite: Replace any file that is no input.

    Raises:
        UsageError: it is an input, is a file of another kind, or cannot be written.
    """
    check_writable(path)
    check_apart(path, reads, hint)
    if overwrite or not path.is_file() or path.stat().st_size == 0:
        return
    if is_ours is None or not is_ours(path):
        other = "" if is_ours is None else " and was not written by this command"
        raise UsageError(f"{path} is there already{other}", hint=hint, slug="output-exists")


def check_apart(output: str | Path, sources: Iterable[str | Path], hint: str) -> None:
    """Refuse an output that is one of the inputs, even under another name or through a link.

    Args:
        output: File to write; ``-`` is stdout.
        sources: Files that are read, of which only regular ones count; ``-`` is stdin.
        hint: Hint of the error.

    Raises:
        UsageError: the output is one of the sources.
    """
    there = _status(output, 1)
    for source in sources:
        here = _status(source, 0)
        if there is None or here is None or not os.path.samestat(here, there):
            continue
        written = "stdout" if str(output) == "-" else str(output)
        read = "stdin" if str(source) == "-" else str(source)
        other = ["two names of one file"] if written != read else []
        raise UsageError(
            f"the output {written} is the input {read}: it would be written over",
            *other,
            hint=hint,
            slug="output-is-input",
        )


def _status(name: str | Path, standard: int) -> os.stat_result | None:
    """Status of a regular file; None for other files, which may be input and output at once."""
    try:
        found = os.fstat(standard) if str(name) == "-" else os.stat(name)
    except (OSError, ValueError):
        return None
    return found if stat.S_ISREG(found.st_mode) else None
