"""An answer that a program gave, as text and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sample_log import Log, programs

from adascale.cli.report import answer_payload, answer_record
from adascale.engine.answer import Answer
from adascale.engine.search.events import SearchFinished
from adascale.engine.search.record import Record
from adascale.engine.types import ROOT


def answered_by(log: Log, node: int | None) -> Answer:
    """The answer of a search with the solution that ends at ``node`` as the one that is shown."""
    log.end()
    last = log.events[-1]
    assert isinstance(last, SearchFinished)
    shown = replace(last, result=replace(last.result, best=node))
    return Answer.of(Record.of([*log.events[:-1], shown]))


def test_all_that_it_printed_stands_below_it() -> None:
    log = Log()
    log.program("print(9)\nprint(9 * 3)", 0.9, output="9\n27\n", answer="27")

    assert answer_payload(answered_by(log, node=1), verbose=1).splitlines()[2:] == [
        "→ 9",
        "  27",
        "Answer: 27",
    ]


@pytest.mark.parametrize(("node", "mode"), [(3, "prose"), (5, "program")])
def test_its_record_says_how_it_reasons_and_how_many_programs_agree(node: int, mode: str) -> None:
    record = answer_record(answered_by(programs(running=False), node))

    assert record["confidence"]["band"] == "very likely"
    assert (record["mode"], record["solution"].startswith("```python")) == (mode, mode == "program")
    assert record["execution"] == (
        {"output": "27.0\n", "error": "", "seconds": 0.01} if mode == "program" else None
    )
    agreement = record["agreement"]
    assert (agreement["solutions"], agreement["agree"]) == (4, 3)
    assert [(a["answer"], a["solutions"]) for a in agreement["answers"]] == [("27", 3)]
    json.dumps(record)


def test_without_a_solution_there_is_no_mode() -> None:
    log = Log()
    log.program("1 / 0", 0.1, error="ZeroDivisionError")
    answer = answered_by(log, None)

    found = answer_record(answer)

    assert answer_payload(answer) == ""
    assert (found["status"], found["mode"], found["execution"]) == ("no_answer", None, None)
    assert found["agreement"]["solutions"] == 1


def test_a_thought_stands_beside_its_solution_and_is_no_part_of_it() -> None:
    log = Log()
    branch = log.start(ROOT)
    first = log.step(
        ROOT, "<think>\nIs it 26?\n\n", 0.3, branch=branch, tokens=9, ended=False, thought="part"
    )
    last = log.step(first, "I have to answer.\n</think>\n\n", 0.4, branch=branch, ended=False, thought="cut")
    end = log.finish_path(last, "It is \\boxed{27}.", 0.9, "27", branch=branch)
    answer = answered_by(log, end)
    found = answer_record(answer)
    assert found["solution"] == "It is \\boxed{27}."
    assert found["thought"] == {
        "text": "<think>\nIs it 26?\n\nI have to answer.\n</think>\n\n",
        "tokens": 29,
        "cut": True,
    }
    assert answer_payload(answer, verbose=1) == "It is 27.\nAnswer: 27"
    assert answer_record(answered_by(programs(running=False), 3))["thought"] is None
