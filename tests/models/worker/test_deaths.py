"""What is made of a worker's end: who is to blame, what it said at last, and what is passed on."""

from __future__ import annotations

import signal

import pytest

from adascale.engine.errors import AdascaleError, ModelCorruptError, WorkerAbortedError, WorkerDiedError
from adascale.models.options import SessionOptions
from adascale.models.worker import client
from adascale.models.worker.client import Worker

ASSERTION = "/home/me/some where/ggml.c:7: GGML_ASSERT(a / b > 0.c) failed"
LOADING = """
from adascale.models.worker.server import Told, encode
open(1, "wb").write(encode(Told("loading", "my.gguf")))
"""


def dying(says: str, number: int, before: str = "") -> str:
    """A worker that dies of a signal."""
    end = f"sys.stderr.write({says!r}); sys.stderr.flush(); os.kill(os.getpid(), {number:d})"
    return f"import os, sys\n{before}\n{end}"


def ending(monkeypatch: pytest.MonkeyPatch, command: str) -> WorkerDiedError:
    """Why a worker could not be opened."""
    monkeypatch.setattr(client, "_COMMAND", command)
    with pytest.raises(WorkerDiedError) as caught, Worker(SessionOptions("any")):
        pass
    return caught.value


@pytest.mark.parametrize(
    ("says", "fact"),
    [
        (f"{ASSERTION}\n{ASSERTION}\n", "ggml.c:7: GGML_ASSERT(a / b > 0.c) failed"),
        (f"{ASSERTION}\n{ASSERTION[:-12]}", "ggml.c:7: GGML_ASSERT(a / b > 0.c) failed"),  # another thread's
        ("terminate called after throwing an instance of 'X'\n  what():  map::at\n", "map::at"),
    ],
)
def test_an_abort_is_told_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], says: str, fact: str
) -> None:
    error = ending(monkeypatch, dying(f"before\n{says}", signal.SIGABRT))
    assert isinstance(error, WorkerAbortedError)
    assert (error.facts, error.hint) == ((fact,), "")
    assert capfd.readouterr().err == f"before\n{says}", "all is passed on"


@pytest.mark.parametrize(
    ("says", "number", "before", "kind"),
    [
        (ASSERTION, signal.SIGABRT, LOADING, ModelCorruptError),
        ("", signal.SIGSEGV, LOADING, ModelCorruptError),
        ("", signal.SIGKILL, LOADING, WorkerDiedError),
        ("", signal.SIGILL, LOADING, WorkerDiedError),
        ("/x/ggml-cuda.cu:9: CUDA error\n", signal.SIGABRT, LOADING, WorkerDiedError),
        ("  what():  std::bad_alloc\n", signal.SIGABRT, LOADING, WorkerDiedError),
        (ASSERTION, signal.SIGABRT, "", WorkerDiedError),
    ],
)
def test_a_file_is_to_blame_only_for_an_abort_while_it_is_opened(
    monkeypatch: pytest.MonkeyPatch, says: str, number: signal.Signals, before: str, kind: type[AdascaleError]
) -> None:
    monkeypatch.setattr(client, "_COMMAND", dying(says, number, before))
    with pytest.raises(kind) as caught, Worker(SessionOptions("any")):
        pass
    if kind is ModelCorruptError:
        assert caught.value.message == "my.gguf makes llama.cpp abort while it is opened"
        assert caught.value.slug == "bad-gguf"
        said = "ggml.c:7: GGML_ASSERT(a / b > 0.c) failed" if says else "was ended by SIGSEGV"
        assert said in caught.value.facts[0]
    else:
        assert caught.value.message.endswith(number.name)
        assert ("memory" in caught.value.hint) == (number == signal.SIGKILL)


def test_a_line_that_is_no_message_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    error = ending(monkeypatch, "print('hello', flush=True); import time; time.sleep(60)")
    assert error.facts == ("no message: b'hello\\n'",)
