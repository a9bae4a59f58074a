"""Standard streams: text that is piped in, what may reach them, and those that are closed, full or unread."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Home

from adascale.cli.terminal import streams
from adascale.cli.terminal.errors import show_error
from adascale.cli.terminal.text import wrapped
from adascale.engine.errors import UsageError

WAITS = "adascale: reading stdin ... (< /dev/null if nothing comes)"


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.FileIO]:
    """The other end of stdin."""
    reader, writer = os.pipe()
    with open(reader, encoding="utf-8") as stdin, open(writer, "wb", buffering=0) as other:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield other


def test_no_stream_gets_a_mark_that_turns_the_reading_direction(
    capsys: pytest.CaptureFixture[str],
) -> None:
    turned = "\u202eno\u2066\u2069"
    streams.write_payload(turned)
    streams.write_piece(f"{turned}\n")
    streams.say(turned)
    show_error(UsageError(turned, turned, hint=turned))
    streams.write_json({"text": turned})
    out, err = capsys.readouterr()
    assert not set(turned) - set("no") & set(out + err)
    assert json.loads(out.splitlines()[-1]) == {"text": turned}


def test_a_terminal_wraps_between_words_and_commands_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    words, command = " ".join(["incomprehensible"] * 9), "adascale pull " + "x" * 50
    assert wrapped(words, stream) == words
    monkeypatch.setattr(stream, "isatty", lambda: True)
    show_error(UsageError(words, words, hint=command))
    *broken, hint = stream.getvalue().splitlines()
    assert max(map(len, broken)) <= 60
    assert {*" ".join(broken).split()} == {"error[usage]:", "incomprehensible"}
    assert hint == f"hint: {command}"


@pytest.mark.parametrize("is_late", [True, False])
def test_only_a_silent_pipe_is_reported(
    pipe: io.FileIO, monkeypatch: pytest.MonkeyPatch, is_late: bool
) -> None:
    lines: list[str] = []

    def write(text: str) -> None:
        lines.append(text)
        pipe.write(b"text\n")
        pipe.close()

    monkeypatch.setattr(streams, "say", write)
    if not is_late:
        write("")
    assert streams.read_piped() == "text"
    assert lines == ([WAITS] if is_late else [""])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, chain_gguf: Path) -> Home:
    return Home.asking(tmp_path_factory.mktemp("home"), chain_gguf, 30)


def run(home: Home, command: str) -> subprocess.CompletedProcess[str]:
    """A line for the shell, where ``$A`` is our command."""
    line = f'A="{sys.executable} -m adascale"; {command}'
    return subprocess.run(
        ["bash", "-c", line], env=home.env, cwd=home.folder, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("$A config path >&-", 2, "error[unwritable]: cannot write to stdout: bad file descriptor\n"),
        (
            "$A --version >/dev/full",
            5,
            "error[unwritable]: cannot write to stdout: no space left on device\n",
        ),
        ("$A ask <&-", 2, "error[empty-question]: the question is empty\n"),
        ("$A config path <&- >&- 2>&-", 2, ""),
    ],
)
def test_an_unusable_stream_is_reported_in_one_line(home: Home, command: str, code: int, said: str) -> None:
    done = run(home, command)
    assert (done.returncode, done.stderr.partition("hint: ")[0]) == (code, said)


@pytest.mark.slow
@pytest.mark.parametrize("stderr", ["/dev/full", ">(:)"])
def test_a_batch_does_not_end_where_stderr_cannot_be_written(home: Home, tmp_path: Path, stderr: str) -> None:
    (tmp_path / "0.jsonl").write_text("no trace, which is a warning")
    batch = f"$A batch {home.data} -m {home.model} -o samples 2 --limit 3 --traces {tmp_path}"
    done = run(home, f"(sleep .3; {batch}) 2> {stderr}")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 3)
    assert (tmp_path / "2.jsonl").exists()


@pytest.mark.slow
def test_a_batch_that_nobody_reads_any_more_ends_well(home: Home) -> None:
    done = run(
        home, f"$A batch {home.data} -m {home.model} -o samples 2 -q | head -1; exit ${{PIPESTATUS[0]}}"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("command", ["--help", "config path"])
def test_a_reader_that_ends_early_is_no_error(home: Home, command: str) -> None:
    done = run(home, f"$A {command} | true; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (0, "")
