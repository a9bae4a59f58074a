"""Files that a user names: what can be written is told from what cannot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adascale.cli.disk.files import check_writable
from adascale.engine.errors import UsageError


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A pipe in a folder that takes no files; by way of ``os.access``, since root may write anywhere."""
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def allow_only(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path in paths)


def test_a_pipe_needs_no_folder_that_takes_files(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allow_only(monkeypatch, pipe)
    check_writable(pipe)


def test_a_file_needs_a_folder_that_takes_files_and_a_pipe_needs_itself(
    pipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = pipe.with_name("out.json")
    allow_only(monkeypatch, pipe.parent)
    check_writable(file)
    with pytest.raises(UsageError, match="cannot write"):
        check_writable(pipe)
    allow_only(monkeypatch, file)
    with pytest.raises(UsageError, match="cannot write"):
        check_writable(file)
