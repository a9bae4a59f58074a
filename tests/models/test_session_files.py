"""The files of a session: each is verified and its header read once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import adascale
from adascale.models.files.gguf_header import GGUFHeader
from adascale.models.options import SessionOptions
from adascale.models.session import Session


@pytest.mark.parametrize(("prm", "files"), [("probe", 1), ("self", 1), ("judge={other}", 2)])
def test_a_session_reads_the_header_of_each_file_once(
    prm: str, files: int, tmp_path: Path, chain_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shutil.copy(chain_gguf, tmp_path / "other.gguf")
    headers: list[GGUFHeader] = []
    parse = GGUFHeader.parse

    def count(header: GGUFHeader) -> None:
        headers.append(header)
        parse(header)

    monkeypatch.setattr(GGUFHeader, "parse", count)
    with Session(SessionOptions(str(chain_gguf), prm=prm.format(other=other), branches=2)) as session:
        assert adascale.ask("What is 9 * 2?", session, strategy="greedy").answer == "18"
    assert len(headers) == files
