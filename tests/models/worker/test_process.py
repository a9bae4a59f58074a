"""Messages survive the way through a pipe, and a worker ends with its parent or by an error of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adascale.engine import errors
from adascale.engine.request import Conditions, Request, Settings
from adascale.engine.search.events import (
    Event,
    GeneratorDescription,
    ModelDescription,
    PromptRead,
    SearchFailed,
    SearchFinished,
    StepProposed,
    from_json,
)
from adascale.engine.strategies import STRATEGIES, Beam, Vote
from adascale.engine.types import Budget, Notice, Problem, Reading
from adascale.models.files.cache import DownloadPlan, Transfer
from adascale.models.options import SessionOptions
from adascale.models.worker.server import (
    Cancel,
    Consent,
    EndOfQuestions,
    Interrupt,
    ModelsOpened,
    OpenModels,
    Report,
    RunEnded,
    SearchEvent,
    StartRun,
    decode,
    encode,
)

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "docs" / "demo.jsonl"
MODELS = ModelDescription(
    GeneratorDescription("a", "a.gguf", "00ff", 2048),
    calibration={"auc": 0.5},
    sampling={"top_p": 0.9},
)
NOTICE = Notice("some-code", "a message", ("a fact", "another"), "a hint")
PLAIN = Settings(Vote())
ASKED = Problem("q/1", "What is 1 + 1?", None, {"line": 3, "tags": ["a", {"b": None}], "p": 0.5})


def events(path: Path) -> list[Event]:
    return [from_json(json.loads(line)) for line in path.read_text().splitlines()]


def sent(event: Event) -> bytes:
    return encode(SearchEvent(ASKED.id, event))


@pytest.mark.parametrize(
    "message",
    [
        OpenModels(SessionOptions("some.gguf", offline=True), confirm=True, verbose=False),
        Consent(True),
        StartRun(),
        Request(ASKED, Settings(Beam(beams=2, adapt="k"), Budget(100), 7, MODELS, (NOTICE,), "1")),
        Request(Problem("half a pair", "\ud800 and \N{OLD HUNGARIAN CAPITAL LETTER A}\n"), PLAIN),
        *(Request(ASKED, Settings(strategy())) for strategy in STRATEGIES.values()),
        Cancel("q/1"),
        EndOfQuestions(),
        Interrupt(),
        Report("status", "Loading\x1b[1m"),
        Report("log", "one\ntwo\n"),
        Transfer("a", 1, 2, "checking"),
        DownloadPlan("a", "hub", 1, 3, Path("/some/where"), "MIT"),
        ModelsOpened(
            {"value": Conditions(MODELS, (NOTICE,)), "code": Conditions(MODELS, ())},
            ("prose", "program"),
            (("generator", Path("/a.gguf"), "00ff"),),
        ),
        RunEnded(),
        SearchFailed(notice=NOTICE, error_type="ModelNotFoundError"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_is_decoded_as_it_was(message: Any) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode(line) == message


def test_an_event_is_decoded_as_it_was() -> None:
    for event in events(DEMO):
        happened = decode(sent(event))
        assert happened.problem == ASKED.id
        assert happened.event == event


def test_events_are_sent_without_hidden_states() -> None:
    reading = Reading(np.ones(896, np.float32), np.ones(896, np.float32))
    demo = events(DEMO)
    step = next(event for event in demo if isinstance(event, StepProposed))
    prompt = next(event for event in demo if isinstance(event, PromptRead))
    assert sent(replace(step, step=replace(step.step, reading=reading))) == sent(step)
    assert sent(replace(prompt, reading=reading)) == sent(prompt)


@pytest.mark.parametrize("kind", ["ModelNotFoundError", "ContextOverflowError", "AdascaleError"])
def test_an_error_keeps_its_class(kind: str) -> None:
    error = getattr(errors, kind)("a message", "a fact", hint="a hint", slug="some-code")
    same = SearchFailed.of(error).error()
    assert type(same) is type(error)
    assert vars(same) == vars(error)


def test_a_file_whose_name_is_not_utf8_is_refused() -> None:
    with pytest.raises(errors.UsageError, match="not UTF-8"):
        encode(OpenModels(SessionOptions("m\udcff.gguf"), confirm=True, verbose=False))


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
    asked = Request(Problem("q", "What is twice 9?"), Settings(Vote(samples=1_000_000)))
    for message in (OpenModels(options, confirm=False, verbose=False), StartRun(), asked):
        process.stdin.write(encode(message))
    process.stdin.flush()
    message = next(found for found in map(decode, process.stdout) if isinstance(found, SearchEvent))
    assert not isinstance(message.event, SearchFinished)
    process.stdin.close()
    process.stdout.read()  # what it has written so far
    assert process.wait(10) == 0


@pytest.mark.parametrize("line", [encode(StartRun()), b"no message\n"])
def test_a_worker_that_fails_exits_without_an_abort(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(line)
    process.stdin.flush()
    assert process.wait(60) >= 0, process.stderr.read()
