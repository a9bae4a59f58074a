"""Text that is piped in with a question is waited for, however late it comes."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator

import pytest

from adascale.cli.terminal import console
from adascale.engine.errors import UsageError

WAITS = "adascale: reading stdin ... (< /dev/null if nothing comes)"


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.FileIO]:
    """The other end of stdin."""
    reader, writer = os.pipe()
    with open(reader, encoding="utf-8") as stdin, open(writer, "wb", buffering=0) as other:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield other


def test_a_mark_that_turns_the_reading_direction_reaches_no_stream(
    capsys: pytest.CaptureFixture[str],
) -> None:
    turned = "\u202eno\u2066\u2069"
    console.write_payload(turned)
    console.write_piece(f"{turned}\n")
    console.say(turned)
    console.show_error(UsageError(turned, turned, hint=turned))
    console.write_json({"text": turned})
    out, err = capsys.readouterr()
    assert not set(turned) - set("no") & set(out + err)
    assert json.loads(out.splitlines()[-1]) == {"text": turned}


def test_an_error_with_a_long_name_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_error(UsageError("x" * 100_000, "y" * 100_000, hint="z" * 100_000))
    assert len(capsys.readouterr().err) < 4_000


def test_a_silent_pipe_is_named_and_its_late_text_is_read(
    pipe: io.FileIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def write_late(text: str) -> None:
        said.append(text)
        pipe.write(b"late\n")
        pipe.close()

    monkeypatch.setattr(console, "say", write_late)
    assert console.read_piped() == "late"
    assert said == [WAITS]


@pytest.mark.parametrize("text", ["", "here"])
def test_of_a_pipe_that_has_ended_or_has_text_nothing_is_said(
    pipe: io.FileIO, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    pipe.write(text.encode())
    pipe.close()
    assert console.read_piped() == text
    assert capsys.readouterr().err == ""
