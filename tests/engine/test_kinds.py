"""The table of kinds, and what a kind decides."""

from __future__ import annotations

from typing import get_args

import pytest

from adascale.engine.kinds import KINDS, kind_named, kind_of, recognise
from adascale.engine.kinds.base import Kind
from adascale.engine.types import Execution, KindName, Problem, Turn, Verdict

RAN = Execution("391\n", "", 0.1)
TESTED = Execution("", "", 0.1, "def f(n): ...", verdicts=(Verdict("passed"), Verdict("failed", "3")))


def test_each_name_has_a_line_in_the_table_and_a_kind() -> None:
    assert set(KINDS) == set(get_args(KindName))
    for name, entry in KINDS.items():
        assert isinstance(kind_named(name), Kind)
        assert entry.modes


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ({"answer": "4"}, "value"),
        ({"tests": [], "hidden": ""}, "value"),
        ({"tests": "assert f(2) == 4"}, "code"),
        ({"entry_point": "f"}, "code"),
    ],
)
def test_fields_of_a_record_say_its_kind(record: dict[str, object], kind: KindName) -> None:
    name, details = recognise("Square n.", record)
    assert name == kind
    assert bool(details) == (kind == "code")


@pytest.mark.parametrize(
    ("kind", "text", "execution", "answer", "shown"),
    [
        ("value", "It is \\boxed{391}.", None, "391", "391"),
        ("value", "print(17 * 23)", RAN, "391", "391"),
        ("text", "It is \\boxed{391}.", None, None, None),
        ("code", "def f(n): ...", TESTED, "1/2", "def f(n): ..."),
        ("code", "I cannot.", Execution("", "none", 0.0), None, None),
    ],
)
def test_a_kind_reads_and_shows_an_answer(
    kind: KindName, text: str, execution: Execution | None, answer: str | None, shown: str | None
) -> None:
    mode = "prose" if execution is None else "program"
    found = kind_named(kind).answer(mode, text, "stop", execution)
    assert found == answer
    assert kind_named(kind).shown(found, execution) == shown


def test_a_problem_holds_no_half_of_a_surrogate_pair() -> None:
    half = "7 \ud83d"
    problem = Problem(half, half, half, {half: [half, 1]}, (Turn("user", half),), details={"x": half})
    assert problem == Problem(
        "7 ?", "7 ?", "7 ?", {"7 ?": ["7 ?", 1]}, (Turn("user", "7 ?"),), details={"x": "7 ?"}
    )
    assert kind_of(problem).statement(problem) == "7 ?"
    assert Problem("1", "三 \U0001f58a").question == "三 \U0001f58a"
