"""Stores of rollouts and draws as sampled questions, one in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from adascale.engine.kinds import kind_of
from adascale.engine.ports import Prefix
from adascale.engine.search.prefix_outcomes import PrefixOutcome
from adascale.engine.search.waiting import Key, branch_seed
from adascale.engine.types import MODES, Mode, Problem, Step
from adascale.models.calibration.rollouts import RolloutStore
from adascale.models.draws.store import DrawStore, draw_key

from .sampled import Omission, SampledNode, SampledQuestion

NOT_DRAWN = Omission("questions of which the store has no sampled solution with this seed")


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


def read_draws(path: Path, problems: Sequence[Problem], seed: int) -> Iterator[SampledQuestion | Omission]:
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
            of_prose: Mapping[Mode, PrefixOutcome] = (
                {} if nodes[0].outcome is None else {"prose": nodes[0].outcome}
            )
            question = SampledQuestion(problem, tuple(nodes), models, by_mode=of_prose)
            yield question if len(nodes) > 1 else NOT_DRAWN


@dataclass(frozen=True, slots=True)
class _Origin:
    """A prefix from which draws may have been made.

    Attributes:
        row: Row of the prefix.
        steps: Its steps.
        key: Its child indices.
    """

    row: int = 0
    steps: tuple[Step, ...] = ()
    key: Key = ()


class _DrawnNodes:
    """Collects the nodes of one question."""

    def __init__(self, store: DrawStore, problem: Problem) -> None:
        self._store = store
        self._problem = problem
        self._nodes = [SampledNode(-1, "", "prose", ended=False, tokens=0)]
        self._outcomes = [PrefixOutcome()]

    def read(self, first_seed: int) -> list[SampledNode]:
        """The question, and all nodes below it."""
        for seed in count(first_seed):
            before = len(self._nodes)
            for mode in MODES:
                origins = [_Origin()]
                while origins:
                    origins += self._draws_from(origins.pop(), seed, mode)
            if len(self._nodes) == before:
                break
        return [
            replace(node, outcome=outcome if node.mode == "prose" else None)
            for node, outcome in zip(self._nodes, self._outcomes, strict=True)
        ]

    def _draws_from(self, origin: _Origin, seed: int, mode: Mode) -> Iterator[_Origin]:
        """Add the draws from a prefix; yield the prefixes that they pass."""
        for index in count():
            key = (*origin.key, index)
            number = branch_seed(seed, self._problem.id, key, mode)
            name = draw_key(Prefix(self._problem, origin.steps, mode=mode), number, greedy=False)
            steps = self._store.get(name, "answer") or self._store.get(name, "step")
            if steps is None:
                return
            yield from self._add(origin, steps, key, mode)

    def _add(self, origin: _Origin, steps: tuple[Step, ...], key: Key, mode: Mode) -> Iterator[_Origin]:
        row, before, on_the_way = origin.row, origin.steps, [origin.row]
        for step in steps:
            before = (*before, step)
            self._nodes.append(self._drawn_node(row, before, mode))
            self._outcomes.append(PrefixOutcome())
            row = len(self._nodes) - 1
            on_the_way.append(row)
            if step.finish == "step":
                yield _Origin(row, before, key)
            key = (*key, 0)
        end = self._nodes[row]
        if end.ended and mode == "prose" and self._problem.answer is not None:
            right = kind_of(self._problem).is_right(self._problem, end.answer, None, None)
            one = PrefixOutcome(int(right), 1)
            for each in on_the_way:
                self._outcomes[each] += one

    def _drawn_node(self, parent: int, steps: tuple[Step, ...], mode: Mode) -> SampledNode:
        last, ended, answer = steps[-1], steps[-1].finish != "step", None
        if ended and mode == "prose":
            text = "".join(step.text for step in steps if not step.is_thought)
            answer = kind_of(self._problem).answer(self._problem, mode, text, last.finish, None)
        return SampledNode(
            parent=parent,
            text=last.text,
            mode=mode,
            ended=ended,
            tokens=len(last.token_ids),
            answer=answer,
        )
