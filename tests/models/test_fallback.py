"""What another server replies: its answer, or a notice that says why it has none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from loopback import KEY, Reply, listening
from replies import answers, breaks_off, errs, is_silent, says

from adascale.engine.answer import FallbackAnswer
from adascale.engine.errors import UsageError
from adascale.engine.kinds.recognising import problem_of
from adascale.engine.types import Notice
from adascale.models import fallback
from adascale.models.fallback import Fallback
from adascale.models.options import FallbackOptions

QUESTION = problem_of("1", "What is 17 * 23?")
ELSEWHERE = "http://127.0.0.1:9/v1/chat/completions"


@pytest.fixture(autouse=True)
def no_calls_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fallback, "state_folder", lambda: tmp_path)


def told(reply: Reply) -> FallbackAnswer | Notice:
    with listening(reply) as other:
        options = FallbackOptions(f"{other.url}#large", seconds=0.3)
        found = Fallback(options, KEY).ask(QUESTION, lambda: False)
    assert len(other.asked) == 1, "a redirection is not followed"
    assert KEY not in repr(found)
    return found


@pytest.mark.parametrize(
    ("reply", "notice"),
    [
        (is_silent, "completed no reply for 0.3 s"),
        (breaks_off, "broke off in the middle"),
        (errs(401, KEY), "requires a key"),
        (errs(429, KEY), "has too many requests"),
        (answers(b"", 307, Location=ELSEWHERE), "refuses the request"),
        (answers(b" " * 3_000_000), "writes no chat completion"),
        (says(None), "gives no answer"),
        (says("I like turtles."), "gives no answer"),
        (says("It is 39", finish_reason="length"), "gives no answer"),
    ],
)
def test_whatever_goes_wrong_there_is_a_notice(reply: Reply, notice: str) -> None:
    found = told(reply)
    assert isinstance(found, Notice)
    assert (found.code, notice in found.message) == ("no-fallback", True)


@pytest.mark.parametrize(
    "url", ["nowhere", f"https://me:{KEY}@example.org", f"https://example.org/v1?key={KEY}"]
)
def test_a_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        Fallback(FallbackOptions(url), None)


@pytest.mark.parametrize("is_of_today", [True, False])
def test_the_calls_of_another_day_do_not_count(is_of_today: bool, tmp_path: Path) -> None:
    (tmp_path / "fallback.calls").write_bytes(b"." * FallbackOptions().calls)
    if is_of_today:
        options = FallbackOptions(ELSEWHERE)
        found = Fallback(options, KEY).ask(QUESTION, lambda: False)
        assert isinstance(found, Notice)
        assert "calls of today are made" in found.message
    else:
        os.utime(tmp_path / "fallback.calls", (0, 0))
        assert isinstance(told(says("It is 391.")), FallbackAnswer)
