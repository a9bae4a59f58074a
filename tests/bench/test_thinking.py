from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from adascale.engine.types import Problem
from bench.evidence.thinking import measure, with_template

pytestmark = pytest.mark.slow

PROBLEMS = [Problem(str(n), f"What is 9 * 2, the {n}th time?", "18") for n in range(2)]


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain that thinks for ever where it is asked to, and answers at once where it is not."""
    folder = tmp_path_factory.mktemp("thinker")
    chain = {**tiny.THINKER_FOR_EVER, ">": {tiny.HMM: 5.0}}
    return with_template(tiny.write_chain(folder / "plain.gguf", chain, 8192), folder / "thinker.gguf")


def test_a_budget_is_measured_by_what_it_costs_and_by_what_comes_of_it(thinker: Path) -> None:
    found = measure(thinker, 40, PROBLEMS, samples=2, seed=1)
    assert found.trajectories == 4
    assert {found.right, found.voted, found.answered, found.cut} == {1.0}
    assert found.thought > 40
    assert found.tokens == found.thought + 2


def test_without_a_budget_nothing_is_thought(thinker: Path) -> None:
    found = measure(thinker, 0, PROBLEMS, samples=2, seed=1)
    assert (found.thought, found.cut) == (0.0, 0.0)
    assert found.right == 0.0
