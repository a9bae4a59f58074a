"""A model whose programs fail, or say something else than its prose, is told without labels."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from event_logs import records_of

from adascale.engine.execution import Execution
from adascale.engine.ports import Prefix
from adascale.engine.search.driver import Driver
from adascale.engine.search.program_guard import ProgramUse
from adascale.engine.search.record import Record
from adascale.engine.search.settings import Settings
from adascale.engine.strategies import Margin, Strategy, Vote
from adascale.engine.types import Mode, Problem, Step
from bench.scripted import ScriptedExecutor, ScriptedPolicy, ScriptedPRM, scripted_step

BOTH: tuple[Mode, ...] = ("program", "prose")


def searched(prints: Callable[[random.Random], str], strategy: Strategy, questions: int = 30) -> list[Record]:
    """Searches by a model whose prose says 18 in two of three, and whose programs print something."""

    def script(prefix: Prefix, rng: random.Random) -> Step:
        if prefix.mode == "program":
            return scripted_step(f"```python\nprint({prints(rng)} + 0)\n```", "stop")
        return scripted_step(f"Answer: {18 if rng.random() < 2 / 3 else rng.randint(100, 10**6)}.", "stop")

    def execute(program: str) -> Execution:
        value = program[6:-5]
        return Execution(value, "", 0.0) if value.isdecimal() else Execution("", "NameError", 0.0)

    policy, prm, executor = ScriptedPolicy(script, 8), ScriptedPRM(lambda _: 0.5), ScriptedExecutor(execute)
    driver = Driver(policy, prm, {}, lambda: 0.0, executor=executor)
    asked = [Problem(str(at), "?") for at in range(questions)]
    return list(records_of(driver.run(asked, Settings(strategy))).values())


def used(records: list[Record]) -> ProgramUse:
    use = ProgramUse()
    for record in records:
        use = use.after(record)
    return use


GOOD = "18"
LITTLE = "nothing"


@pytest.mark.parametrize("strategy", [Vote(6, modes=BOTH), Margin(12, modes=BOTH)])
@pytest.mark.parametrize(
    ("prints", "fault"),
    [
        (lambda rng: GOOD if rng.random() < 2 / 3 else str(rng.randint(100, 10**6)), ""),
        (lambda rng: GOOD if rng.random() < 1 / 2 else LITTLE, ""),
        (lambda rng: LITTLE, "gave no answer"),
        (lambda rng: str(rng.randint(100, 10**6)), "agree with prose in 0%"),
    ],
)
def test_programs_that_fail_or_never_agree_are_a_fault(
    prints: Callable[[random.Random], str], fault: str, strategy: Strategy
) -> None:
    records = searched(prints, strategy)
    assert fault in used(records).fault
    assert bool(used(records).fault) == bool(fault)
    assert not used(records[:19]).fault, "too early to tell"


def test_prose_alone_says_nothing_of_programs() -> None:
    assert used(searched(lambda rng: GOOD, Vote(4))) == ProgramUse()


def test_three_failed_programs_end_programs_for_a_question_unless_one_gave_an_answer() -> None:
    def modes(record: Record) -> list[Mode]:
        return [record.tree[each.node].mode for each in record.candidates]

    strategy = Margin(12, lead=12, modes=BOTH)
    for record in searched(lambda rng: LITTLE, strategy, 3):
        assert modes(record).count("program") == 3
        assert len(modes(record)) == 12
    at_times = searched(lambda rng: GOOD if rng.random() < 1 / 2 else LITTLE, strategy, 12)
    ended_early = [record for record in at_times if modes(record).count("program") == 3]
    assert len(at_times) - len(ended_early) > 0
    for record in ended_early:
        assert all(
            each.answer is None for each in record.candidates if record.tree[each.node].mode == "program"
        )
