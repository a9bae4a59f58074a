"""Files that a user names: what cannot be used is an error with a hint."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from adascale.cli.disk.files import check_output, check_writable, read_text
from adascale.engine.errors import UsageError


def test_an_unreadable_file_is_an_error_with_a_fix(tmp_path: Path) -> None:
    latin = tmp_path / "my tests.py"
    latin.write_bytes("# é".encode("latin1"))
    with pytest.raises(UsageError, match=r"is not UTF-8 \(byte 2\)") as error:
        read_text(latin)
    assert error.value.hint.endswith(f"iconv -f latin1 -t utf-8 '{latin}'")
    with pytest.raises(UsageError, match="no such file"):
        read_text(tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "message"),
    [(".", "it is a folder"), ("x" * 300, "file name too long"), ("none/o.json", "there is no folder")],
)
def test_an_impossible_output_is_an_error_with_a_fix(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        check_writable(tmp_path / name)
    assert "in a folder of your own" in error.value.hint


def test_a_text_keeps_its_line_ends(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b'\xef\xbb\xbfa,b\r\n"x\r\ny",z\r\n')
    assert read_text(tmp_path / "t.csv") == 'a,b\r\n"x\r\ny",z\r\n'


def test_a_file_needs_a_writable_folder_and_a_pipe_needs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe, file = tmp_path / "pipe", tmp_path / "out.json"
    os.mkfifo(pipe)
    for writable, refused in ((tmp_path, pipe), (pipe, file)):
        monkeypatch.setattr(os, "access", lambda path, mode, only=writable: path == only)  # root may write
        check_writable(file if refused == pipe else pipe)
        with pytest.raises(UsageError, match="is not writable"):
            check_writable(refused)


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("link", [None, Path.symlink_to, Path.hardlink_to])
def test_a_file_is_replaced_only_if_asked_and_an_input_never(
    tmp_path: Path, overwrite: bool, link: Any
) -> None:
    (target := tmp_path / "old").write_bytes(b"precious")
    output = target
    if link is not None:
        link(output := tmp_path / "link", target)
    with nullcontext() if overwrite else pytest.raises(UsageError, match="is there already"):
        check_output(output, "another name", overwrite=overwrite)
    with pytest.raises(UsageError, match="it would be written over"):
        check_output(output, "another name", overwrite=True, reads=[target])
    check_output(tmp_path / "new", "another name", reads=[target])
