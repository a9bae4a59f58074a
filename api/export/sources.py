"""Stores of rollouts and draws as sampled questions, one in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path

from adascale.engine.kinds import kind_of
from adascale.engine.ports import Prefix
from adascale.engine.search.prefix_outcomes import PrefixOutcome
from adascale.engine.search.waiting import Key, branch_seed
from adascale.engine.types import MODES, Mode, Problem, Step
from adascale.models.calibration.rollouts import RolloutStore
from adascale.models.draws.store import DrawStore, draw_key

from .sampled import SampledNode, SampledQuestion

NOT_DRAWN = "questions of which the store has no sampled solution with this seed"
"""Why a question is left out."""

_Origin = tuple[int, tuple[Step, ...], Key]
"""A prefix from which draws may have been made: its row, its steps, and its child indices."""


def read_rollouts(path: Path) -> Iterator[SampledQuestion]:
    """Yield every question of a store once for each mode: counted outcomes, and no estimates."""
    with closing(RolloutStore(path)) as store:
        models = store.models()
        for rollouts in store.every():
            is_judged = rollouts.mode == "code" or rollouts.problem.answer is not None
            nodes = tuple(
                SampledNode(
                    parent=node.parent,
                    text=node.text,
                    mode=rollouts.mode,
                    ended=node.is_end,
                    tokens=len(node.token_ids),
                    outcome=PrefixOutcome(int(node.right), node.total) if is_judged else None,
                    answer=node.answer,
                )
                for node in rollouts.nodes
            )
            yield SampledQuestion(rollouts.problem, nodes, models)


def read_draws(path: Path, problems: Sequence[Problem], seed: int) -> Iterator[SampledQuestion | str]:
    """Yield the questions that a store has draws of.

    The store knows a draw by a digest of its question, its prefix and its seed. So the questions come from
    the files that were evaluated, and draws are found by the seeds that a search gives them: first those from
    the question, then those from each prefix that they pass. Estimates and executions are not kept with
    draws: a program has no outcome here.

    Args:
        path: File of a ``DrawStore``.
        problems: Questions as they were evaluated, with their ids and answers.
        seed: Seed of the first repeat; later repeats follow while there are any.
    """
    with closing(DrawStore(path)) as store:
        models = store.models()
        for problem in problems:
            nodes = _DrawnNodes(store, problem).read(seed)
            of_prose = nodes[0].outcome or PrefixOutcome()
            question = SampledQuestion(problem, tuple(nodes), models, by_mode={"prose": of_prose})
            yield question if len(nodes) > 1 else NOT_DRAWN


class _DrawnNodes:
    """Collects the nodes of one question."""

    def __init__(self, store: DrawStore, problem: Problem) -> None:
        self._store = store
        self._problem = problem
        self._nodes = [SampledNode(-1, "", "prose", ended=False, tokens=0, outcome=PrefixOutcome())]

    def read(self, first_seed: int) -> list[SampledNode]:
        """The question, and all nodes below it."""
        seed, before = first_seed, 0
        while len(self._nodes) > before:
            before = len(self._nodes)
            for mode in MODES:
                origins: list[_Origin] = [(0, (), ())]
                while origins:
                    origins += self._draws_from(origins.pop(), seed, mode)
            seed += 1
        return self._nodes

    def _draws_from(self, origin: _Origin, seed: int, mode: Mode) -> Iterator[_Origin]:
        """Add the draws from a prefix; yield the prefixes that they pass."""
        row, before, above = origin
        for index in count():
            key = (*above, index)
            number = branch_seed(seed, self._problem.id, key, mode)
            name = draw_key(Prefix(self._problem, before, mode=mode), number, greedy=False)
            steps = self._store.get(name, "answer") or self._store.get(name, "step")
            if steps is None:
                return
            rows = [row]
            for at, step in enumerate(steps, 1):
                self._add(rows[-1], (*before, *steps[:at]), mode)
                rows.append(len(self._nodes) - 1)
                if step.finish == "step":
                    yield rows[-1], (*before, *steps[:at]), key
                key = (*key, 0)
            self._judge(rows)

    def _add(self, parent: int, steps: tuple[Step, ...], mode: Mode) -> None:
        last, ended, answer = steps[-1], steps[-1].finish != "step", None
        if ended and mode == "prose":
            text = "".join(step.text for step in steps if not step.is_thought)
            answer = kind_of(self._problem).answer(self._problem, mode, text, last.finish, None)
        outcome = PrefixOutcome() if mode == "prose" else None
        node = SampledNode(parent, last.text, mode, ended, len(last.token_ids), None, outcome, answer)
        self._nodes.append(node)

    def _judge(self, rows: Sequence[int]) -> None:
        """Count a draw for the prefix that it started from and those that it passed."""
        end = self._nodes[rows[-1]]
        if end.ended and end.mode == "prose" and self._problem.answer is not None:
            right = kind_of(self._problem).is_right(self._problem, end.answer, None, None)
            for row in rows:
                outcome = (self._nodes[row].outcome or PrefixOutcome()) + PrefixOutcome(int(right), 1)
                self._nodes[row] = replace(self._nodes[row], outcome=outcome)
