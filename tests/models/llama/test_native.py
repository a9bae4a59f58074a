"""The seam to llama.cpp where machines differ."""

from __future__ import annotations

import ctypes
import sys

import pytest

from adascale.models.llama.native import AbortFlag


def test_the_abort_flag_reads_the_c_library_of_windows_there(monkeypatch: pytest.MonkeyPatch) -> None:
    here = ctypes.CDLL(None)
    opened: list[str] = []

    def open_on_windows(name: str | None) -> ctypes.CDLL:
        if name is None:
            raise TypeError("argument of type 'NoneType' is not iterable")
        opened.append(name)
        return here

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "CDLL", open_on_windows)
    flag = AbortFlag()
    assert opened == ["msvcrt"]
    flag.set()
    assert flag
