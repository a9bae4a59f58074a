"""When a worker ends: with its parent, in the middle of a search if need be, and by an error of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from adascale.engine.request import Request, Settings
from adascale.engine.search.events import SearchFinished
from adascale.engine.strategies import Vote
from adascale.engine.types import Problem
from adascale.models.options import SessionOptions
from adascale.models.worker.server import OpenModels, SearchEvent, StartRun, decode, encode

MAIN = "from adascale.models.worker.server import main; main()"


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A worker."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-P", "-c", MAIN], stdin=pipe, stdout=pipe, stderr=pipe) as worker:
        yield worker
        worker.kill()


def test_a_worker_ends_with_its_parent_while_it_searches(
    process: subprocess.Popen[bytes], chain_gguf: Path
) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    options = SessionOptions(str(chain_gguf), branches=2, threads=1)
    asked = Request(Problem("q", "What is 9 * 2?"), Settings(Vote(samples=1_000_000)))
    for message in (OpenModels(options, confirm=False, verbose=False), StartRun(), asked):
        process.stdin.write(encode(message))
    process.stdin.flush()
    message = next(found for found in map(decode, process.stdout) if isinstance(found, SearchEvent))
    assert not isinstance(message.event, SearchFinished)
    process.stdin.close()
    process.stdout.read()  # what it has written so far
    assert process.wait(10) == 0


def test_a_worker_that_fails_while_its_parent_stays_is_not_aborted(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(encode(StartRun()))
    process.stdin.flush()
    assert process.wait(60) >= 0, process.stderr.read()
