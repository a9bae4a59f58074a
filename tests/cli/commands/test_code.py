"""``adascale code`` as a user runs it, on a tiny model that writes two programs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import tiny
from commands import run

SQUARE = "def f(n):\n    return n * n\n"
DOUBLE = "def f(n):\n    return n + n\n"
FIVE = ["--test", "assert f(2) == 4", "--test", "assert f(5) == 25"]
NEVER = ["--test", "assert f(2) == 4", "--test", "assert f(2) == 5"]


@pytest.fixture(scope="module")
def coder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_chain(tmp_path_factory.mktemp("coder") / "coder.gguf", tiny.CODER)


@pytest.fixture
def code(env: dict[str, str], coder: Path):  # type: ignore[no-untyped-def]
    def call(*args: str, **more) -> subprocess.CompletedProcess[str]:  # type: ignore[no-untyped-def]
        return run(env, "code", "-m", str(coder), "--seed", "1", *args, **more)

    return call


def test_stdout_has_the_program_that_passes_and_nothing_else(code) -> None:  # type: ignore[no-untyped-def]
    done = code("Square n.", *FIVE)
    assert (done.stdout, done.returncode) == (SQUARE, 0), done.stderr
    assert "passes 2 of 2 tests · after " in done.stderr.splitlines()[-1]


def test_where_none_passes_the_line_says_what_fails(code) -> None:  # type: ignore[no-untyped-def]
    record = json.loads(code("Square n.", *NEVER, "-o", "samples", "2", "--json").stdout)
    assert (record["status"], record["passed"], record["untested"]) == ("failing", 1, False)
    done = code("Square n.", *NEVER, "-o", "samples", "3", "-T")
    assert done.returncode == 3, done.stderr
    assert done.stdout in (SQUARE, DOUBLE)
    assert "passes 1 of 2 tests: assert f(2) == 5 gave 4 · after 3 of 3 programs" in done.stderr


def test_tests_come_from_a_file_and_the_program_goes_to_one(code, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    tests, program = tmp_path / "test_f.py", tmp_path / "f.py"
    tests.write_text("from f import f\n\ndef test_five():\n    assert f(5) == 25\n")
    done = code("Square n.", "--tests", str(tests), "--output", str(program))
    assert (done.stdout, done.returncode, program.read_text()) == ("", 0, SQUARE), done.stderr
