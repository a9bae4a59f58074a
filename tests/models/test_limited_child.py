"""A child process that answers requests, each within a limit of processor time."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from adascale.engine.errors import AdascaleError
from adascale.models.limited_child import ChildEndedError, LimitedChild

CODE = """
import os
from adascale.models.limited_child import serve

def reply(request):
    if request == "hang":
        return 3 ** 10**9  # one call, which neither a thread nor a handler of a signal can stop
    if request == "exit":
        raise SystemExit(7)
    if request == "half":
        os.write(1, b'["ha')
        os._exit(9)
    return [request, request]

serve(reply)
"""


@pytest.fixture(scope="module")
def child() -> Iterator[LimitedChild]:
    found = LimitedChild(CODE, "tests", "pytest")
    yield found
    found._stop()


def test_a_request_is_any_json_and_has_a_reply(child: LimitedChild) -> None:
    for request in ({"a": [1, None]}, "half a pair: \ud83d", "two\nlines", "x" * 3_000_000):
        assert child.ask(request) == [request, request]


def test_an_endless_computation_is_killed_and_the_next_request_has_a_reply(child: LimitedChild) -> None:
    with pytest.raises(ChildEndedError) as ended:
        child.ask("hang")
    assert ended.value.args == (-signal.SIGPROF,)
    assert child.ask("again") == ["again", "again"]


def test_a_partial_reply_is_no_reply(child: LimitedChild) -> None:
    """The kernel may end a child that uses too much memory wherever it is."""
    with pytest.raises(ChildEndedError) as ended:
        child.ask("half")
    assert ended.value.args == (9,)
    assert child.ask("again") == ["again", "again"]


def test_a_child_that_was_killed_between_requests_is_replaced(child: LimitedChild) -> None:
    assert child.ask("first")
    assert child._process is not None
    child._process.kill()
    child._process.wait()
    assert child.ask("second") == ["second", "second"]


def test_a_child_that_does_not_start_is_an_error() -> None:
    with pytest.raises(AdascaleError, match="the process that tests does not start") as caught:
        LimitedChild("import no_such_module", "tests", "pytest").ask("first")
    assert caught.value.hint == "pip install --force-reinstall pytest"


PARENT = """
import sys
from adascale.models.limited_child import LimitedChild
LimitedChild(sys.argv[1], "tests", "pytest").ask(sys.argv[2])
"""


def assert_ended(children: list[psutil.Process], within: float) -> None:
    [child] = children
    psutil.wait_procs([child], timeout=within)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_child_that_waits_for_requests_ends_with_its_parent() -> None:
    idle_parent = f"{PARENT}print(flush=True)\nsys.stdin.read()\n"
    command = [sys.executable, "-P", "-c", idle_parent, CODE, "request"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"\n"
        children = psutil.Process(parent.pid).children()
        parent.kill()
    assert_ended(children, within=30)
