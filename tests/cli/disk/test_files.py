"""Files that a user names: what can be written is told from what cannot."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from adascale.cli.disk.files import check_output, check_writable, is_trace, read_text
from adascale.engine.errors import UsageError


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A pipe in a folder that takes no files; by way of ``os.access``, since root may write anywhere."""
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_what_cannot_be_read_or_written_is_told_with_a_fix(tmp_path: Path) -> None:
    latin = tmp_path / "my tests.py"
    latin.write_bytes("# é".encode("latin1"))
    with pytest.raises(UsageError, match=r"is not UTF-8 \(byte 2\)") as error:
        read_text(latin)
    assert error.value.hint.endswith(f"iconv -f latin1 -t utf-8 '{latin}'")
    with pytest.raises(UsageError, match="no such file") as error:
        read_text(tmp_path / "none")
    assert error.value.hint
    with pytest.raises(UsageError, match="it is a folder") as error:
        check_writable(tmp_path)
    assert error.value.hint == f"name a file in it: {tmp_path / 'NAME'}"
    with pytest.raises(UsageError, match="file name too long"):
        check_writable(tmp_path / ("x" * 300))


def test_a_text_keeps_its_line_ends(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b'\xef\xbb\xbfa,b\r\n"x\r\ny",z\r\n')
    assert read_text(tmp_path / "t.csv") == 'a,b\r\n"x\r\ny",z\r\n'


def allow_only(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path in paths)


def test_a_file_needs_a_folder_that_takes_files_and_a_pipe_needs_itself(
    pipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = pipe.with_name("out.json")
    allow_only(monkeypatch, pipe.parent)
    check_writable(file)
    with pytest.raises(UsageError, match=f"{pipe} is not writable"):
        check_writable(pipe)
    allow_only(monkeypatch, file)
    with pytest.raises(UsageError, match=f"{pipe.parent} is not writable") as error:
        check_writable(file)
    assert error.value.hint


TRACE = b'{"kind":"search_started"'


@pytest.mark.parametrize(
    ("old", "options", "refused"),
    [
        (TRACE, {"is_ours": is_trace}, ""),
        (b"A trace begins with " + TRACE, {"is_ours": is_trace}, "was not written by this command"),
        (b"GGUF", {"is_ours": is_trace}, "was not written by this command"),
        (b"precious", {}, "is there already"),
        (b"precious", {"overwrite": True}, ""),
    ],
)
@pytest.mark.parametrize("link", [None, Path.symlink_to, Path.hardlink_to])
def test_only_a_file_of_ours_is_replaced_unasked(
    tmp_path: Path, old: bytes, options: dict[str, Any], refused: str, link: Any
) -> None:
    (target := tmp_path / "old").write_bytes(old)
    output = target
    if link is not None:
        link(output := tmp_path / "link", target)
    with pytest.raises(UsageError, match=refused) if refused else nullcontext():
        check_output(output, "another name", **options)
    with pytest.raises(UsageError, match="it would be written over"):
        check_output(output, "another name", **{**options, "overwrite": True}, reads=[target])
    check_output(tmp_path / "new", "another name", **options, reads=[target])
