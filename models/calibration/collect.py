"""Draws and scores the rollouts of a calibration, question by question; resumable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from adascale.engine.errors import ContextOverflowError, ModelError
from adascale.engine.ports import RewardModel
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import SearchFailed, SearchFinished, StepProposed
from adascale.engine.search.record import Record
from adascale.engine.search.settings import Settings
from adascale.engine.strategies import Strategy
from adascale.engine.strategies.rollouts import RolloutDraws
from adascale.engine.types import Mode, Problem

from ..storage import data_folder, keyed_path
from .artefact import Fingerprint
from .rollouts import FloatArray, Rollouts, RolloutStore

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

    @property
    def strategy(self) -> Strategy:
        """The strategy that draws them."""
        return RolloutDraws(self.samples, programs=self.programs)

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
        return keyed_path(data_folder() / "rollouts", [*asked, *own, llama_cpp.__version__], ".sqlite")


@dataclass(frozen=True, slots=True)
class FinishedQuestion:
    """A question that was finished in this run, or could not be searched.

    Attributes:
        problem: The question.
        tokens: Tokens generated for it in this run.
        spent: Tokens generated in this run so far, for unfinished questions too.
        error: Reason why it could not be searched, or empty.
    """

    problem: Problem
    tokens: int
    spent: int
    error: str = ""


def draw_rollouts(
    driver: Driver,
    problems: Sequence[Problem],
    store: RolloutStore,
    plan: DrawPlan,
) -> Iterator[FinishedQuestion]:
    """Draw what the store lacks; each question is kept before it is reported.

    Args:
        driver: Draws.
        problems: Questions with their answers.
        store: Keeps the rollouts.
        plan: Rollouts of each problem.

    The driver must decode at an even width, as that of a session whose purpose is ``rollouts`` does: then a
    question's draws do not depend on which others are in flight, and a run that was killed and resumed ends
    with the same rollouts.
    """
    todo = {p.id: p for p in problems if not is_drawn(p, store, plan)}
    records: dict[str, Record] = {}
    spent = 0
    for asked, event in driver.run(list(todo.values()), Settings(plan.strategy, seed=plan.seed)):
        problem = todo[asked.id]
        records[problem.id] = Record.after(records.get(problem.id), event)
        if isinstance(event, StepProposed):
            spent += event.usage.generated_tokens
        elif isinstance(event, SearchFailed):
            del records[problem.id]
            yield FinishedQuestion(problem, 0, spent, event.notice.message)
        elif isinstance(event, SearchFinished):
            record = records.pop(problem.id)
            if event.result.stop_reason == "exhausted":
                for mode in plan.trajectories:
                    store.put(Rollouts.of(record, mode))
                yield FinishedQuestion(problem, event.usage.generated_tokens, spent)


def is_drawn(problem: Problem, store: RolloutStore, plan: DrawPlan) -> bool:
    """True if the store holds everything that is planned for a problem."""
    return all(store.holds(problem, mode) for mode in plan.trajectories)


def score_rollouts(
    prm: RewardModel, problems: Sequence[Problem], store: RolloutStore, key: str
) -> Iterator[FinishedQuestion]:
    """Score every prefix of the rollouts of some problems with a PRM, and keep its rewards under a key.

    A question that the PRM cannot read (too long for its window, say) is reported with its error.
    """
    spent = 0
    for problem in problems:
        rollouts = store.get(problem)
        if rollouts is None:
            continue
        try:
            rewards, tokens = _score_nodes(prm, rollouts)
        except (ContextOverflowError, ModelError) as error:
            yield FinishedQuestion(problem, 0, spent, error.message)
        else:
            store.put_rewards(problem, key, rewards)
            spent += tokens
            yield FinishedQuestion(problem, tokens, spent)
        finally:
            prm.close_problem(problem)


def _score_nodes(prm: RewardModel, rollouts: Rollouts) -> tuple[FloatArray, int]:
    """``[nodes]`` rewards, and the tokens that were read for them."""
    rewards = np.zeros(len(rollouts.nodes), np.float32)
    tokens = 0
    for row in range(1, len(rollouts.nodes)):
        [found] = prm.score([rollouts.prefix(row)])
        rewards[row] = found.reward
        tokens += found.prm_tokens
    return rewards, tokens
