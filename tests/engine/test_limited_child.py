"""A child process that answers requests, each within a limit of processor time."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from adascale.engine import limited_child
from adascale.engine.errors import AdascaleError
from adascale.engine.limited_child import ChildEndedError, LimitedChild

CODE = """
from adascale.engine.limited_child import serve

def reply(request):
    if request == "hang":
        return 3 ** 10**9  # one call, which neither a thread nor a handler of a signal can stop
    if request == "exit":
        raise SystemExit(7)
    return [request, request]

serve(reply)
"""


def start_error() -> AdascaleError:
    return AdascaleError("it does not start")


@pytest.fixture(scope="module")
def child() -> Iterator[LimitedChild]:
    found = LimitedChild(CODE, start_error)
    yield found
    found.stop()


def test_a_request_is_any_json_and_has_a_reply(child: LimitedChild) -> None:
    for request in ({"a": [1, None]}, "half a pair: \ud83d", "two\nlines", "x" * 3_000_000):
        assert child.ask(request) == [request, request]


def test_a_computation_without_end_is_ended_and_the_next_request_has_a_reply(child: LimitedChild) -> None:
    with pytest.raises(ChildEndedError) as ended:
        child.ask("hang")
    assert ended.value.out_of_time
    assert ended.value.exit_code == -signal.SIGPROF
    assert child.ask("again") == ["again", "again"]


def test_a_child_that_ends_by_itself_was_not_out_of_time(child: LimitedChild) -> None:
    with pytest.raises(ChildEndedError) as ended:
        child.ask("exit")
    assert ended.value.exit_code == 7
    assert not ended.value.out_of_time


def test_a_child_that_was_killed_between_requests_is_replaced(child: LimitedChild) -> None:
    assert child.ask("first")
    assert child._process is not None
    child._process.kill()
    child._process.wait()
    with pytest.raises(ChildEndedError):
        child.ask("second")
    assert child.ask("third") == ["third", "third"]


def test_an_interrupt_leaves_no_reply_for_the_next_request(
    child: LimitedChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(process: Any, line: bytes) -> bytes:
        exchange(process, line)
        raise KeyboardInterrupt

    exchange = limited_child._exchange
    with monkeypatch.context() as patch:
        patch.setattr(limited_child, "_exchange", interrupted)
        with pytest.raises(KeyboardInterrupt):
            child.ask("first")
    assert child._process is None
    assert child.ask("second") == ["second", "second"]


def test_a_child_that_does_not_start_is_an_error() -> None:
    with pytest.raises(AdascaleError, match="it does not start"):
        LimitedChild("import no_such_module", start_error).ask("first")
