"""Searches of questions with known answers, which calibrations are fitted on: drawn, and kept one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from adascale.engine.request import Conditions, Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import (
    BranchGrew,
    Event,
    PromptRead,
    SearchFailed,
    SearchFinished,
    StepProposed,
    from_json,
    to_json,
)
from adascale.engine.search.record import Record
from adascale.engine.strategies import Vote
from adascale.engine.strategies.base import REDRAWS
from adascale.engine.types import Mode, Problem, Reading

from ..lines import Arrays, KeyedLines
from ..storage import data_folder, keyed_path
from .artefact import Fingerprint

_TABLE = "rollouts"

_ARRAYS = "event", "states", "numbers"
"""Arrays beside a log: the places of its events with a ``Reading``, ``[n, 2, width]`` states, and ``[n, 2]``
numbers."""


class RolloutStore(KeyedLines):
    """Logs of searches that have ended, with the generator's states, which no log has, as arrays beside them.

    The file belongs to one generator, prompt, sampler, seed and number of draws.
    """

    def put(self, problem: Problem, log: Sequence[Event]) -> None:
        """Keep the whole search of a problem."""
        readings = [(at, reading) for at, event in enumerate(log) if (reading := _reading(event)) is not None]
        arrays: Arrays = {
            "event": np.array([at for at, _ in readings], np.int64),
            "states": np.array([(each.last, each.mean) for _, each in readings], np.float16),
            "numbers": np.array([(each.min_logprob, each.entropy) for _, each in readings]),
        }
        self.keep(_TABLE, _key(problem), [*map(to_json, log)], arrays if readings else None)

    def holds(self, problem: Problem) -> bool:
        """True if the search of a question with this id and answer is kept."""
        return self.has(_TABLE, _key(problem))

    def get(self, problem: Problem) -> Record | None:
        """The search of a question, with its states; None if it is not kept."""
        return self.read(_TABLE, _key(problem), _fold)

    def every(self) -> Iterator[Record]:
        """All searches without their states, in the order in which they were put."""
        for value in self.values(_TABLE):
            with self.decoding():
                record = _fold(value, {})
            yield record


def _key(problem: Problem) -> str:
    return repr((problem.id, problem.question, problem.answer))


def _reading(event: Event) -> Reading | None:
    if isinstance(event, PromptRead):
        return event.reading
    return event.step.reading if isinstance(event, StepProposed) else None


def _fold(value: Any, arrays: Arrays) -> Record:
    log = [from_json(each) for each in value]
    for at, states, numbers in zip(*(arrays.get(name, ()) for name in _ARRAYS), strict=True):
        event, reading = log[at], Reading(*states.astype(np.float32), *numbers.tolist())
        if isinstance(event, StepProposed):
            log[at] = replace(event, step=replace(event.step, reading=reading))
        elif isinstance(event, PromptRead):
            log[at] = replace(event, reading=reading)
    return Record.of(log)


@dataclass(frozen=True, slots=True)
class DrawPlan:
    """Solutions that are drawn of each question.

    Attributes:
        samples: Number of solutions in prose.
        seed: Seed of the choice of questions, and of every draw.
        programs: Number of programs; 0 leaves the calibration without them.
    """

    samples: int
    seed: int
    programs: int

    @property
    def tokens(self) -> int:
        """About how many tokens the solutions of a question have.

        Solutions in prose have 318 to 366 in the mean, programs 130 (``bench/draws/rollouts-*``).
        """
        return 350 * self.samples + 130 * self.programs

    def settings(self, conditions: Conditions) -> Settings:
        """Settings of each search: wrong sums are drawn again as in any search of these models."""
        counts: dict[Mode, int] = {"prose": self.samples, "program": self.programs}
        modes = tuple(mode for mode, count in counts.items() for _ in range(count))
        strategy = conditions.possible(Vote(len(modes), modes=modes, redraws=REDRAWS))
        return Settings(strategy, seed=self.seed, models=conditions.models)

    def store_path(self, fingerprint: Fingerprint) -> Path:
        """The store of a model's rollouts; whatever changes a draw changes its name.

        The number of draws at once and the device move logits in their last digits, and do not count:
        rollouts that were resumed so are still samples of the same model.
        """
        parts = [asdict(fingerprint), asdict(self), version("llama_cpp_python")]
        return keyed_path(data_folder() / _TABLE, parts, ".jsonl")


@dataclass(frozen=True, slots=True, eq=False)
class RolloutRun:
    """Searches of some problems: the kept ones, and the missing ones.

    Attributes:
        problems: Questions about values, with their answers.
        plan: Number of solutions of each.
        store: Keeps the searches, question by question.
    """

    problems: Sequence[Problem]
    plan: DrawPlan
    store: RolloutStore

    def undrawn(self) -> list[Problem]:
        """Problems whose searches are missing."""
        return [problem for problem in self.problems if not self.store.holds(problem)]

    def draw(self, driver: Driver, conditions: Conditions) -> Iterator[tuple[Problem, str]]:
        """Search what the store lacks; each search is kept before it is reported.

        The driver must decode at an even width, as a session with the purpose ``rollouts`` does: then
        a question's draws do not depend on which others are in flight, and a run that was killed and resumed
        ends with the same rollouts.

        Yields:
            Each question whose search ended, with the reason why it failed, or an empty text.
        """
        logs = dict[str, list[Event]]()
        for problem, event in driver.run(self.undrawn(), self.plan.settings(conditions)):
            if not isinstance(event, BranchGrew):
                logs.setdefault(problem.id, []).append(event)
            if isinstance(event, SearchFailed):
                yield problem, event.notice.message
            elif isinstance(event, SearchFinished) and event.result.stop_reason == "exhausted":
                self.store.put(problem, logs.pop(problem.id))
                yield problem, ""
