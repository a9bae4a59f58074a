"""Rollouts on questions, kept one by one, to fit calibrations on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adascale.engine.codec import build, to_plain
from adascale.engine.errors import ContextOverflowError, ModelError
from adascale.engine.ports import Prefix, RewardModel
from adascale.engine.request import Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import ModelDescription, SearchFailed, SearchFinished
from adascale.engine.search.outcomes import prefix_outcomes
from adascale.engine.search.record import Record
from adascale.engine.search.tree import Node, Tree
from adascale.engine.strategies.redraws import RolloutDraws
from adascale.engine.types import ROOT, BranchId, Finish, Mode, Problem, Reading, Step

from ..lines import Arrays, KeyedLines
from ..storage import data_folder, keyed_path
from .artefact import Fingerprint

HalfArray = NDArray[np.float16]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RolloutNode:
    """A step of a trajectory, or the question.

    Attributes:
        parent: Row of the node before it, which comes first; -1 for the question.
        origin: Row where the draw that wrote it started: 0 for the question.
        right: Correct outcomes of the draws through it (``prefix_outcomes``).
        total: Number of draws through it.
        finish: Why the step ended; ``step`` for the question.
        text: Text of the step; empty for the question.
        token_ids: Tokens of the step.
        wrong_sum: True where the step has a wrong sum.
        logprob: Sum of the log-probabilities of its tokens, in nats.
        min_logprob, entropy: As ``engine.types.Reading`` has them.
        answer: Final answer (``Kind.answer``); None where the step is no end or has none.
    """

    parent: int
    origin: int
    right: int
    total: int
    finish: Finish = "step"
    text: str = ""
    token_ids: tuple[int, ...] = ()
    wrong_sum: bool = False
    logprob: float = 0.0
    min_logprob: float = 0.0
    entropy: float = 0.0
    answer: str | None = None

    @property
    def is_end(self) -> bool:
        """True for the last step of a draw."""
        return self.finish != "step"


@dataclass(frozen=True, slots=True, eq=False)
class Rollouts:
    """All trajectories of one question and mode.

    Attributes:
        problem: The question.
        mode: How they reason.
        nodes: The question first, then draw after draw.
        last, mean: ``[nodes, width]`` float16, the pooled states of each step (``engine.types.Reading``).
    """

    problem: Problem
    mode: Mode
    nodes: Sequence[RolloutNode]
    last: HalfArray
    mean: HalfArray

    @classmethod
    def of(cls, record: Record, mode: Mode = "prose") -> Rollouts:
        """The trajectories of a mode in a finished search whose steps were read; its answer is known."""
        nodes = _in_order(record.tree, mode)
        row = {node.id: index for index, node in enumerate(nodes)}
        outcomes = prefix_outcomes(record, mode)
        candidates = {candidate.node: candidate for candidate in record.candidates}
        kept: list[RolloutNode] = []
        states = []
        for node in nodes:
            step, outcome, end = node.step, outcomes[node.id], candidates.get(node.id)
            reading = record.tree.readings.get(mode) if step is None else step.reading
            assert reading is not None, "the generator's states were not kept"
            states.append((reading.last, reading.mean))
            if step is None or node.parent is None or node.branch is None:
                kept.append(RolloutNode(-1, 0, outcome.right, outcome.total))
                continue
            assert step.finish is not None, "a node has a whole step"
            kept.append(
                RolloutNode(
                    parent=row[node.parent],
                    origin=row[record.branches[node.branch].parent],
                    right=outcome.right,
                    total=outcome.total,
                    finish=step.finish,
                    text=step.text,
                    token_ids=step.token_ids,
                    wrong_sum=bool(step.wrong_sums),
                    logprob=step.logprob or 0.0,  # known: the generator is a file
                    min_logprob=reading.min_logprob,
                    entropy=reading.entropy,
                    answer=None if end is None else end.answer,
                )
            )
        last, mean = (np.array(part, np.float16) for part in zip(*states, strict=True))
        return cls(record.started.problem, mode, tuple(kept), last, mean)

    def path(self, row: int) -> list[int]:
        """Rows from the first step below the question to this one."""
        chain = []
        while row > 0:
            chain.append(row)
            row = self.nodes[row].parent
        return chain[::-1]

    def prefix(self, row: int) -> Prefix:
        """The question and the steps to this row, as a search would have them."""
        steps = []
        for at in self.path(row):
            node = self.nodes[at]
            wrong_sums = (node.text,) if node.wrong_sum else ()
            steps.append(
                Step(node.text, node.token_ids, node.logprob, node.finish, self._reading(at), wrong_sums)
            )
        return Prefix(self.problem, tuple(steps), self._reading(0), self.mode)

    def _reading(self, row: int) -> Reading:
        last, mean = self.last[row].astype(np.float32), self.mean[row].astype(np.float32)
        return Reading(last, mean, self.nodes[row].min_logprob, self.nodes[row].entropy)

    def ends_from(self, origin: int) -> list[int]:
        """Ends of the draws that started at a row; 0 for the question."""
        return [row for row, node in enumerate(self.nodes) if node.is_end and node.origin == origin]

    def counted_samples(self) -> list[int]:
        """Ends of the draws from the question as ``adaptive`` would reach them, and count them.

        The others share a prefix with one of them, or are prose that was cut off before it gave an answer.
        """
        ends = ((end, self.nodes[end]) for end in map(self.replacement_of, self.ends_from(0)))
        is_prose = self.mode == "prose"
        return [at for at, end in ends if end.answer is not None or end.finish == "stop" or not is_prose]

    def replacement_of(self, end: int) -> int:
        """The trajectory that replaces this one when ``adaptive`` redraws a wrong sum."""
        for before, row in pairwise(self.path(end)):
            if not self.nodes[row].wrong_sum or self.nodes[row].is_end:
                continue
            others = self.ends_from(before)
            firsts = [self.path(other)[len(self.path(before))] for other in others]
            sound = [o for o, first in zip(others, firsts, strict=True) if not self.nodes[first].wrong_sum]
            return self.replacement_of(sound[0]) if sound else end
        return end


def _in_order(tree: Tree, mode: Mode) -> list[Node]:
    """The root, then draw after draw of a mode, those from the root first, ordered by their tokens.

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


@dataclass(frozen=True, slots=True)
class KeptRollouts:
    """Rollouts as the lines of a store have them, without their states."""

    problem: Problem
    mode: Mode
    nodes: tuple[RolloutNode, ...]


_ROLLOUTS, _REWARDS, _MODELS = "rollouts", "rewards", "models"


class RolloutStore(KeyedLines):
    """Finished questions: each is kept the moment it is done, whatever happens next.

    The file belongs to one generator, prompt, sampler, seed and number of draws.
    """

    def put_models(self, models: ModelDescription) -> None:
        """Keep the generator and the sampler; models that judge have no part in a draw."""
        self.keep(_MODELS, "", to_plain(ModelDescription(models.generator, sampling=models.sampling)))

    def models(self) -> ModelDescription:
        """Generator and sampler of the contents; empty if nobody said."""
        found = self.read(_MODELS, "", lambda value, _: value)
        return ModelDescription() if found is None else build(ModelDescription, found)

    def put(self, rollouts: Rollouts) -> None:
        """Keep a question in a mode, without its ``meta``, for good: later ones change nothing."""
        if not self.holds(rollouts.problem, rollouts.mode):
            kept = KeptRollouts(replace(rollouts.problem, meta={}), rollouts.mode, tuple(rollouts.nodes))
            states = {"last": rollouts.last, "mean": rollouts.mean}
            self.keep(_ROLLOUTS, kept_key(rollouts.problem, rollouts.mode), to_plain(kept), states)

    def holds(self, problem: Problem, mode: Mode = "prose") -> bool:
        """True where a question with this id and answer is done in a mode."""
        return self.has(_ROLLOUTS, kept_key(problem, mode))

    def get(self, problem: Problem, mode: Mode = "prose") -> Rollouts | None:
        """The rollouts of a question in a mode; None where it is not done."""

        def read(value: Any, arrays: Arrays) -> Rollouts:
            nodes = build(KeptRollouts, value).nodes
            if {len(arrays["last"]), len(arrays["mean"])} != {len(nodes)}:
                raise ValueError(f"states of another number than {len(nodes)} nodes")
            return Rollouts(problem, mode, nodes, arrays["last"], arrays["mean"])

        return self.read(_ROLLOUTS, kept_key(problem, mode), read)

    def every(self) -> Iterator[KeptRollouts]:
        """All rollouts without their states, in the order in which they were put."""
        for value in self.values(_ROLLOUTS):
            with self.decoding():
                kept = build(KeptRollouts, value)
            yield kept

    def put_rewards(self, problem: Problem, prm: str, rewards: FloatArray) -> None:
        """Keep ``[nodes]`` raw rewards of a question by one PRM."""
        self.keep(_REWARDS, kept_key(problem, prm), None, {"rewards": rewards.astype(np.float32)})

    def rewards(self, problem: Problem, prm: str) -> FloatArray | None:
        """``[nodes]`` rewards that ``put_rewards`` kept; None without any."""
        return self.read(_REWARDS, kept_key(problem, prm), lambda _, arrays: arrays["rewards"])


def kept_key(problem: Problem, what: str) -> str:
    """The key of what is kept of a question: rollouts of a mode, rewards of a PRM, or a search."""
    return json.dumps([problem.id, problem.question, problem.answer, what])


_TOKENS: Mapping[Mode, int] = {"prose": 350, "program": 130}
"""About the tokens of a trajectory: those of the fitting questions have 318 to 366 in the mean."""


@dataclass(frozen=True, slots=True)
class DrawPlan:
    """Rollouts that are drawn of each question.

    Attributes:
        samples: Number of trajectories in prose.
        seed: Seed of the choice of questions, and of every draw.
        programs: Number of programs; 0 leaves the calibration without them.
    """

    samples: int
    seed: int
    programs: int

    @property
    def trajectories(self) -> Mapping[Mode, int]:
        """Number of trajectories of each mode."""
        prose: dict[Mode, int] = {"prose": self.samples}
        return {**prose, "program": self.programs} if self.programs else prose

    @property
    def tokens(self) -> int:
        """About how many tokens the trajectories of a question have."""
        return sum(_TOKENS[mode] * drawn for mode, drawn in self.trajectories.items())

    def store_path(self, fingerprint: Fingerprint) -> Path:
        """The store of a generator's rollouts; whatever changes a draw changes its name.

        The number of draws at once and the device move logits in their last digits, and do not count:
        rollouts that were resumed so are still samples of the same model.

        Args:
            fingerprint: The generator, its prompt and its sampler.
        """
        import llama_cpp

        own: list[object] = [self.samples, self.seed, fingerprint.window]
        if self.programs and fingerprint.program:
            own += [self.programs, asdict(fingerprint.program)]
        asked = [fingerprint.generator, fingerprint.prompt, dict(fingerprint.sampling)]
        return keyed_path(data_folder() / "rollouts", [*asked, *own, llama_cpp.__version__], ".jsonl")


def searched(
    driver: Driver, problems: Sequence[Problem], settings: Settings
) -> Iterator[tuple[Problem, Record, str]]:
    """Each search that came to its end or failed, and the reason why it failed, or an empty text."""
    known, records = {problem.id: problem for problem in problems}, dict[str, Record]()
    for asked, event in driver.run(problems, settings):
        records[asked.id] = Record.after(records.get(asked.id), event)
        if isinstance(event, SearchFailed):
            yield known[asked.id], records.pop(asked.id), event.notice.message
        elif isinstance(event, SearchFinished) and event.result.stop_reason == "exhausted":
            yield known[asked.id], records.pop(asked.id), ""


@dataclass(frozen=True, slots=True, eq=False)
class RolloutRun:
    """Rollouts of some problems: what is kept, and what is to be drawn and scored yet.

    Attributes:
        problems: Questions about values, with their answers.
        plan: Number of rollouts of each.
        store: Keeps the rollouts, question by question.
        prm: Key of a PRM's rewards in the store; None without a PRM.
    """

    problems: Sequence[Problem]
    plan: DrawPlan
    store: RolloutStore
    prm: str | None = None

    def undrawn(self) -> list[Problem]:
        """Problems of which rollouts are missing."""
        modes = self.plan.trajectories
        return [each for each in self.problems if not all(self.store.holds(each, mode) for mode in modes)]

    def unscored(self) -> list[Problem]:
        """Problems whose rollouts the PRM has not scored; none without a PRM."""
        if self.prm is None:
            return []
        drawn = [problem for problem in self.problems if self.store.holds(problem)]
        return [problem for problem in drawn if self.store.rewards(problem, self.prm) is None]

    def draw(self, driver: Driver) -> Iterator[tuple[Problem, str]]:
        """Draw what the store lacks; each question is kept before it is reported.

        The driver must decode at an even width, as that of a session whose purpose is ``rollouts`` does: then
        a question's draws do not depend on which others are in flight, and a run that was killed and resumed
        ends with the same rollouts.

        Yields:
            Each question that ended, with the reason why it could not be searched, or an empty text.
        """
        plan = self.plan
        strategy = RolloutDraws(plan.samples, programs=plan.programs, modes=tuple(plan.trajectories))
        settings = Settings(strategy, seed=plan.seed)
        for problem, record, error in searched(driver, self.undrawn(), settings):
            for mode in () if error else plan.trajectories:
                self.store.put(Rollouts.of(record, mode))
            yield problem, error

    def score(self, model: RewardModel) -> Iterator[tuple[Problem, str]]:
        """Score every prefix that the PRM has not scored; yields what ``draw`` does.

        A question that it cannot read (too long for its window, say) is reported with its error.

        Raises:
            DecodeAbortedError: the session was aborted; what is scored is kept.
        """
        assert self.prm is not None, "there is a PRM"
        for problem in self.unscored():
            rollouts = self.store.get(problem)
            assert rollouts is not None, "they are drawn"
            rewards = np.zeros(len(rollouts.nodes), np.float32)
            try:
                for row in range(1, len(rewards)):
                    [found] = model.score([rollouts.prefix(row)])
                    rewards[row] = found.reward
            except (ContextOverflowError, ModelError) as error:
                yield problem, error.message
            else:
                self.store.put_rewards(problem, self.prm, rewards)
                yield problem, ""
            finally:
                model.close_problem(problem)
