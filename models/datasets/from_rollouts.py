"""The rollouts of a calibration as sampled questions: counted outcomes, and no estimates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from adascale.engine.datasets.sampled import SampledNode, SampledQuestion
from adascale.engine.datasets.writing import Omission
from adascale.engine.search.events import ModelDescription
from adascale.engine.search.outcomes import PrefixOutcome
from adascale.engine.types import FINISHES

from ..calibration.rollouts import Rollouts, RolloutStore

NO_TEXTS = Omission("questions whose rollouts were kept without texts, by an older version")
NO_TESTS = Omission("code tasks whose rollouts were kept without their tests, by an older version")


def read_rollouts(path: Path) -> Iterator[SampledQuestion | Omission]:
    """Every question of a store, once for each mode, one at a time."""
    with closing(RolloutStore(path)) as store:
        models = store.models()
        for rollouts in store.every():
            if not rollouts.texts:
                yield NO_TEXTS
            elif rollouts.mode == "code" and rollouts.problem.task is None:
                yield NO_TESTS
            else:
                yield sampled_question(rollouts, models)


def sampled_question(rollouts: Rollouts, models: ModelDescription) -> SampledQuestion:
    """The rollouts of one question; those of an older version have no texts and cannot be read."""
    nodes = tuple(_node(rollouts, row) for row in range(len(rollouts.parent)))
    return SampledQuestion(rollouts.problem, nodes, models)


def _node(rollouts: Rollouts, row: int) -> SampledNode:
    is_judged = rollouts.mode == "code" or rollouts.problem.answer is not None
    return SampledNode(
        parent=int(rollouts.parent[row]),
        text=rollouts.texts[row],
        mode=rollouts.mode,
        ended=row > 0 and FINISHES[rollouts.finish[row]] != "step",
        tokens=int(rollouts.tokens[row]),
        outcome=PrefixOutcome(int(rollouts.right[row]), int(rollouts.total[row])) if is_judged else None,
        answer=rollouts.answers[row],
    )
