"""Rollouts on questions and code tasks, kept one by one, to fit calibrations on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adascale.engine.answers.equality import is_right
from adascale.engine.code.suite import CodeTask, Suite
from adascale.engine.codec import build, to_plain
from adascale.engine.search.events import ModelDescription
from adascale.engine.search.outcomes import prefix_outcomes
from adascale.engine.search.record import Record
from adascale.engine.search.tree import Node, Tree
from adascale.engine.types import FINISHES, ROOT, BranchId, Mode, NodeId, Problem

from ..blobs import BlobStore, Table, pack, pack_texts, unpack, unpack_texts

_JUDGE = 1
"""Raised when what counts as a right answer changes: older rollouts are judged again as they are read."""

HalfArray = NDArray[np.float16]
IntArray = NDArray[np.int32]
BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Rollouts:
    """All trajectories of one question and mode as arrays; row 0 is the question, then draw after draw.

    Attributes:
        problem: The question.
        parent: ``[nodes]``, -1 for the question; a parent comes before its children.
        origin: ``[nodes]``, where the draw that wrote the node started: 0 for the question.
        right, total: ``[nodes]``, outcomes of the draws through each node (``prefix_outcomes``); sums of
            probabilities where ``label`` has been used.
        tokens, finish: ``[nodes]``, length of the step and index in ``FINISHES``.
        wrong_sum: ``[nodes]``, whether the step has a wrong sum.
        logprob, min_logprob, entropy: ``[nodes]``, of the step, in nats.
        last, mean: ``[nodes, width]`` float16, the pooled states of the step (``engine.types.Reading``).
        token_ids: ``[sum of tokens]``, all steps one after another.
        answers: Final answer of each node, of a program's how many given tests it passes (``Trial.outcome``);
            None where it is no end or has none.
        texts: Text of each step, empty for the question; none at all in rollouts of an older version.
        mode: How they reason.
    """

    problem: Problem
    parent: IntArray
    origin: IntArray
    right: IntArray | FloatArray
    total: IntArray
    tokens: IntArray
    finish: IntArray
    wrong_sum: BoolArray
    logprob: FloatArray
    min_logprob: FloatArray
    entropy: FloatArray
    last: HalfArray
    mean: HalfArray
    token_ids: IntArray
    answers: tuple[str | None, ...]
    texts: tuple[str, ...] = ()
    mode: Mode = "prose"

    @classmethod
    def of(cls, record: Record, mode: Mode = "prose", right: Collection[NodeId] | None = None) -> Rollouts:
        """The trajectories of a mode in a finished search whose steps were read.

        Args:
            record: Of the search.
            mode: How they reason.
            right: Ends of those that are right; None where the question's answer is known.
        """
        tree, nodes = record.tree, _in_order(record.tree, mode)
        outcomes = prefix_outcomes(record, mode, right)
        answers = {candidate.node: candidate.answer for candidate in record.candidates}
        row = {node.id: index for index, node in enumerate(nodes)}
        steps = [node.step for node in nodes]
        readings = [tree.readings.get(mode), *(step.reading for step in steps if step is not None)]
        assert all(reading is not None for reading in readings), "the generator's states were not kept"
        known = [reading for reading in readings if reading is not None]

        def ints(values: Sequence[int]) -> IntArray:
            return np.array(values, np.int32)

        def floats(values: Sequence[float]) -> FloatArray:
            return np.array(values, np.float32)

        return cls(
            problem=record.started.problem,
            parent=ints([-1 if node.parent is None else row[node.parent] for node in nodes]),
            origin=ints([0 if n.branch is None else row[record.branches[n.branch].parent] for n in nodes]),
            right=ints([outcomes[node.id].right for node in nodes]),
            total=ints([outcomes[node.id].total for node in nodes]),
            tokens=ints([len(step.token_ids) if step else 0 for step in steps]),
            finish=ints([FINISHES.index(step.finish) if step else 0 for step in steps]),
            wrong_sum=np.array([step is not None and bool(step.wrong_sums) for step in steps]),
            logprob=floats([step.logprob if step else 0.0 for step in steps]),
            min_logprob=floats([reading.min_logprob for reading in known]),
            entropy=floats([reading.entropy for reading in known]),
            last=np.array([reading.last for reading in known], np.float16),
            mean=np.array([reading.mean for reading in known], np.float16),
            token_ids=ints([token for step in steps if step for token in step.token_ids]),
            answers=tuple(answers.get(node.id) for node in nodes),
            texts=tuple(step.text if step else "" for step in steps),
            mode=mode,
        )

    def path(self, node: int) -> list[int]:
        """Nodes from the first step below the question to ``node``."""
        chain = []
        while node > 0:
            chain.append(node)
            node = int(self.parent[node])
        return chain[::-1]

    def samples(self) -> list[int]:
        """Ends of the draws from the question itself; the others share a prefix with one of them."""
        return self.ends_from(0)

    def ends_from(self, origin: int) -> list[int]:
        """Ends of the draws that started at a node."""
        return [node for node in self.ends() if self.origin[node] == origin]

    def replacement_of(self, end: int) -> int:
        """The end that ``adaptive`` reaches from the same draw: it redraws a step with a wrong sum."""
        for before, node in pairwise(self.path(end)):
            if not self.wrong_sum[node] or FINISHES[self.finish[node]] != "step":
                continue
            others = self.ends_from(before)
            firsts = [self.path(n)[len(self.path(before))] for n in others]
            sound = [n for n, first in zip(others, firsts, strict=True) if not self.wrong_sum[first]]
            return self.replacement_of(sound[0]) if sound else end
        return end

    def counts(self, end: int) -> bool:
        """Whether a search counts a solution: not prose that was cut off before it gave an answer."""
        ended = self.answers[end] is not None or FINISHES[self.finish[end]] == "stop"
        return ended or self.mode != "prose"

    def judge(self) -> Rollouts:
        """The same rollouts with their answers judged once more; tests of a code task judge only once."""
        if self.mode == "code":
            return self
        gold = self.problem.answer
        assert gold is not None, "outcomes need the right answer"
        judged = self.label({end: float(is_right(self.answers[end], gold=gold)) for end in self.ends()})
        return replace(judged, right=judged.right.astype(np.int32))

    def label(self, chances: Mapping[int, float]) -> Rollouts:
        """The same rollouts, with the probability of each end that it is right."""
        right = np.zeros(len(self.right), np.float32)
        for end, chance in chances.items():
            below = self.path(int(self.origin[end]))
            right[[self.origin[end], *self.path(end)[len(below) :]]] += chance
        return replace(self, right=right)

    def ends(self) -> list[int]:
        """Ends of all draws."""
        return [node for node in range(1, len(self.parent)) if FINISHES[self.finish[node]] != "step"]

    def to_bytes(self) -> bytes:
        """For ``RolloutStore``."""
        arrays = {at: getattr(self, name) for name, at in _ARRAYS.items()}
        task = self.problem.for_search().task
        tests = {} if task is None else {"tests": pack_texts([json.dumps(to_plain(task.given))])}
        return pack({**arrays, **tests, "texts": pack_texts(self.texts), "judge": np.array(_JUDGE)})

    @classmethod
    def from_bytes(
        cls, problem: Problem, answers: tuple[str | None, ...], data: bytes, mode: Mode = "prose"
    ) -> Rollouts:
        """The inverse of ``to_bytes``; what an older judge wrote is judged again.

        A problem without its task gets that of the given tests, which older versions did not keep.

        Raises:
            Exception: nearly any, where ``to_bytes`` did not make the blob.
        """
        arrays = unpack(data)
        texts = unpack_texts(arrays["texts"]) if "texts" in arrays else ()
        if problem.task is None and "tests" in arrays:
            [given] = unpack_texts(arrays["tests"])
            problem = replace(problem, task=CodeTask(build(Suite, json.loads(given))))
        own = {name: arrays[at] for name, at in _ARRAYS.items()}
        sizes = {name: len(array) for name, array in own.items() if name != "token_ids"}
        if set(sizes.values()) != {len(answers)}:
            raise ValueError(f"arrays of other lengths than {len(answers)} nodes: {sizes}")
        rollouts = cls(problem, **own, answers=answers, texts=texts, mode=mode)
        return rollouts if arrays.get("judge") == _JUDGE or problem.answer is None else rollouts.judge()


_NO_ARRAYS = ("problem", "answers", "texts", "mode")

_ARRAYS: Mapping[str, str] = {
    field.name: field.name for field in fields(Rollouts) if field.name not in _NO_ARRAYS
} | {"wrong_sum": "slipped"}
"""Fields that are arrays, by their names in a blob."""


def _in_order(tree: Tree, mode: Mode) -> list[Node]:
    """The root, then draw after draw of a mode, those from the root first, ordered by what they say.

    Nodes are numbered as their steps are finished, and that depends on who else was running.
    """
    draws: dict[BranchId | None, list[Node]] = {}
    for node in tree:
        if node.branch is None or node.mode == mode:
            draws.setdefault(node.branch, []).append(node)
    [root] = draws.pop(None)

    def key(nodes: list[Node]) -> tuple[bool, list[tuple[int, ...]]]:
        return nodes[0].parent != ROOT, [node.step.token_ids for node in nodes if node.step is not None]

    return [root, *(node for nodes in sorted(draws.values(), key=key) for node in nodes)]


_ROLLOUTS = Table("rollouts", ("problem",), {"answers": "TEXT", "arrays": "BLOB"})
_REWARDS = Table("rewards", ("problem", "prm"), {"rewards": "BLOB"})


class RolloutStore:
    """Finished questions in one SQLite file: each is kept the moment it is done, whatever happens next.

    Args:
        path: Created if missing; belongs to one generator, prompt, sampler, seed and number of draws.
    """

    def __init__(self, path: Path) -> None:
        self._blobs = BlobStore(path, (_ROLLOUTS, _REWARDS))

    def close(self) -> None:
        """Close the file."""
        self._blobs.close()

    def put_models(self, models: ModelDescription) -> None:
        """Keep what draws the rollouts."""
        self._blobs.put_models(models)

    def models(self) -> ModelDescription:
        """What drew the rollouts; empty in a store of an older version."""
        return self._blobs.models()

    def put(self, rollouts: Rollouts) -> None:
        """Keep a question in a mode; atomic, and for good."""
        key = _key(rollouts.problem, rollouts.mode)
        self._blobs.add(_ROLLOUTS, [key], json.dumps(rollouts.answers), rollouts.to_bytes())

    def holds(self, problem: Problem, mode: Mode = "prose") -> bool:
        """Whether a question with this id and answer is done in a mode."""
        return self._blobs.holds(_ROLLOUTS, _key(problem, mode))

    def get(self, problem: Problem, mode: Mode = "prose") -> Rollouts | None:
        """The rollouts of a question in a mode; None where it is not done."""
        row = self._blobs.get(_ROLLOUTS, _key(problem, mode))
        if row is None:
            return None
        with self._blobs.decoding():
            return Rollouts.from_bytes(problem, tuple(json.loads(row[0])), row[1], mode)

    def every(self) -> Iterator[Rollouts]:
        """All rollouts, in the order in which they were put; the problems have no ``meta``."""
        for key, answers, data in self._blobs.rows(_ROLLOUTS):
            with self._blobs.decoding():
                name, question, answer, *mode = json.loads(key)
                problem = Problem(name, question, answer)
                rollouts = Rollouts.from_bytes(problem, tuple(json.loads(answers)), data, *mode[:1])
            yield rollouts

    def put_rewards(self, problem: Problem, prm: str, rewards: FloatArray) -> None:
        """Keep ``[nodes]`` raw rewards of a question by one PRM; atomic."""
        self._blobs.put(_REWARDS, [_key(problem), prm], rewards.astype(np.float32).tobytes())

    def rewards(self, problem: Problem, prm: str) -> FloatArray | None:
        """``[nodes]`` rewards that ``put_rewards`` kept; None without any."""
        row = self._blobs.get(_REWARDS, _key(problem), prm)
        if row is None:
            return None
        with self._blobs.decoding():
            return np.frombuffer(row[0], np.float32)


def _key(problem: Problem, mode: Mode = "prose") -> str:
    parts = [problem.id, problem.question, problem.answer]
    if mode != "prose":
        parts.append(mode)
    if problem.task is not None:
        tests = json.dumps(to_plain(problem.task), sort_keys=True)
        parts.append(hashlib.sha256(tests.encode()).hexdigest())
    return json.dumps(parts)
