"""Checks, reads and writes files that a user names; every failure is an error with a hint."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adascale.engine.errors import DiskFullError, UsageError, conversion_hint, is_disk_full, reason_of
from adascale.models.storage import atomic_write


@contextmanager
def writing(path: Path, hint: str = "") -> Iterator[None]:
    """Turn an ``OSError`` into the error of a file that cannot be written.

    Args:
        path: The file.
        hint: Hint of the error, instead of the usual one.

    Raises:
        DiskFullError: the disk is full.
        UsageError: the file cannot be written.
    """
    try:
        yield
    except OSError as error:
        message = f"cannot write {path}: {reason_of(error)}"
        if is_disk_full(error):
            raise DiskFullError(message, hint="free some space, and run the same command again") from error
        usual = "name a file in a folder that exists" if isinstance(error, FileNotFoundError) else ""
        raise UsageError(message, hint=hint or usual, slug="unwritable") from error


def read_text(path: Path) -> str:
    """The text of a file with its line ends, without a byte order mark.

    Raises:
        UsageError: it cannot be read, or is not UTF-8.
    """
    name = shlex.quote(str(path))
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        hint = f"ls -l {name} shows whether it is there, and who may read it"
        raise UsageError(f"cannot read {path}: {reason_of(error)}", hint=hint, slug="unreadable") from error
    except UnicodeDecodeError as error:
        hint = f"{conversion_hint(error.object)} {name}"
        message = f"{path} is not UTF-8 (byte {error.start})"
        raise UsageError(message, hint=hint, slug="unreadable") from error


def write_file(path: Path, text: str, hint: str = "") -> None:
    """Write a file atomically: after an error the old file is unchanged.

    Args:
        path: File to create or replace.
        text: New contents; a lone surrogate becomes a question mark.
        hint: Hint of the error if it cannot be written.

    Raises:
        DiskFullError: the disk is full.
        UsageError: the file cannot be written.
    """
    with writing(path, hint), atomic_write(path) as file:
        file.write(text.encode("utf-8", "replace"))


def check_writable(path: Path) -> None:
    """Refuse an output that could not be written, before hours of work.

    Raises:
        UsageError: it is a folder, it cannot be written, or its folder is missing or not writable.
    """
    with writing(path, "name a file in a folder of your own"):
        with suppress(FileNotFoundError):
            path.stat()  # an error for a name that is too long
        if path.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        if not path.parent.is_dir():
            raise FileNotFoundError(2, f"there is no folder {path.parent}")
        is_device = path.exists() and not path.is_file()  # such as a pipe: it is written to in place
        target = path if is_device else path.parent
        if not os.access(target, os.W_OK):
            raise PermissionError(13, f"{target} is not writable")


def check_output(path: Path, hint: str, *, reads: Iterable[str | Path] = (), overwrite: bool = False) -> None:
    """Refuse an output that would destroy another file; a link counts as the file that it leads to.

    Devices, pipes and empty files may be written to.

    Args:
        path: File to write.
        hint: Hint of the error.
        reads: Inputs and models of this run; ``-`` is stdin.
        overwrite: Replace any file that is no input.

    Raises:
        UsageError: it is an input, it exists, or it cannot be written.
    """
    check_writable(path)
    check_apart(path, reads, hint)
    if not overwrite and path.is_file() and path.stat().st_size:
        raise UsageError(f"{path} is there already", hint=hint, slug="output-exists")


def check_apart(output: str | Path, sources: Iterable[str | Path], hint: str) -> None:
    """Refuse an output that is one of the inputs, even under another name or through a link.

    Args:
        output: File to write; ``-`` is stdout.
        sources: Files to read, of which only regular ones count; ``-`` is stdin.
        hint: Hint of the error.

    Raises:
        UsageError: the output is one of the sources.
    """
    target = _status(output, 1)
    for source in sources:
        status = _status(source, 0)
        if target and status and os.path.samestat(status, target):
            output_name = "stdout" if str(output) == "-" else str(output)
            read = "stdin" if str(source) == "-" else str(source)
            raise UsageError(
                f"the output {output_name} is the input {read}: it would be written over",
                *(["two names of one file"] if output_name != read else []),
                hint=hint,
                slug="output-is-input",
            )


def _status(name: str | Path, standard: int) -> os.stat_result | None:
    """Status of a regular file; None for other files, which may be input and output at once."""
    try:
        status = os.fstat(standard) if str(name) == "-" else os.stat(name)
    except (OSError, ValueError):
        return None
    return status if stat.S_ISREG(status.st_mode) else None


NAMES_FILES = ("model", "prm", "calibration")
"""Settings whose values may name files."""


def with_absolute_path(setting: str, value: str) -> str:
    """The value of a setting in ``NAMES_FILES`` for use in any folder, with the file's absolute path.

    A catalogue name or an address is unchanged.

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
