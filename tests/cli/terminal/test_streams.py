"""Standard streams that are closed, full, or read by nobody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from commands import Home


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
        ("$A --help >/dev/full", 5, "error[system]: the system says: no space left on device\n"),
        ("$A ask <&-", 2, "error[empty-question]: the question is empty\n"),
        ("$A tree 2>&-", 2, ""),
        ("$A config path <&- >&- 2>&-", 2, ""),
    ],
)
def test_a_stream_that_cannot_be_used_is_told_in_one_line(
    home: Home, command: str, code: int, said: str
) -> None:
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
def test_what_nobody_reads_any_more_ends_as_by_sigpipe(home: Home) -> None:
    done = run(
        home, f"$A batch {home.data} -m {home.model} -o samples 2 -q | head -1; exit ${{PIPESTATUS[0]}}"
    )
    assert (done.returncode, done.stderr) == (141, "")
    assert len(done.stdout.splitlines()) == 1
