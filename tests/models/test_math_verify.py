"""math-verify in a process of its own: every comparison ends."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator

import pytest

from adascale.models import limited_child
from adascale.models.limited_child import CPU_SECONDS, LimitedChild, ask_math_verify


@pytest.fixture(scope="module", autouse=True)
def child() -> Iterator[LimitedChild]:
    """A child of these tests alone: other tests' comparisons take processor time as well."""
    child = LimitedChild(limited_child._child._code, "compares answers", "math-verify")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limited_child, "_child", child)
        yield child
    child._stop()


def test_a_verdict_depends_on_which_answer_is_gold() -> None:
    assert ask_math_verify("1 < x < 2", "(1,2)") is True
    assert ask_math_verify("(1,2)", "1 < x < 2") is False
    assert ask_math_verify(r"\frac{1}{", "}{") is False


@pytest.mark.parametrize("hostile", ["10^{10^{10}}", pytest.param("(x+1)^{5000}", marks=pytest.mark.slow)])
def test_a_hostile_answer_is_stopped_in_any_thread_and_the_next_has_a_verdict(
    hostile: str,
) -> None:
    ask_math_verify("1/2", "0.5")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found: list[bool | None] = []
    thread = threading.Thread(target=lambda: found.append(ask_math_verify("1+x", hostile)))
    thread.start()
    thread.join(60)
    assert found == [None]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # The kernel's limit goes by ticks, and the child's start and its earlier comparisons are in it.
    assert 0.75 * CPU_SECONDS <= spent < CPU_SECONDS + 3.0
    assert ask_math_verify(r"2\sqrt{3}", r"\sqrt{12}") is True
