"""Drawing rollouts for a calibration: resumable, a question at a time, with the rate that was measured."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs

from adascale.engine.errors import ContextOverflowError
from adascale.engine.evaluation.outcomes import OutcomeFold
from adascale.engine.ports import Prefix, RewardModel
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import SearchFailed, SearchFinished, StepProposed
from adascale.engine.search.settings import Settings
from adascale.engine.strategies.base import SearchParams
from adascale.engine.strategies.rollouts import ROLLOUTS
from adascale.engine.types import Problem, Step

from ..llama.runtime import LlamaModel
from .artefact import Fingerprint
from .rollouts import FINISHES, FloatArray, Rollouts, RolloutStore

_TOKENS = 350
"""Of a trajectory, where none was seen yet: the fitting draws in bench/draws have 318 to 366 in the mean."""

_LOOKED_AT = 50

_CONTENTS = 2
"""Raised when the strategy that draws, or what is kept of it (labels, readings), changes."""


@dataclass(frozen=True, slots=True)
class Draws:
    """How many rollouts.

    Attributes:
        samples: Trajectories of each question, at least 1.
        rollouts: More of them from one prefix of one of those; 0 draws none.
        seed: Of the choice of questions, and of every draw.
    """

    samples: int = 4
    rollouts: int = 2
    seed: int = 0


def choose(files: Sequence[Sequence[Problem]], questions: int | None, seed: int) -> list[Problem]:
    """As many questions as asked for, spread evenly over the files and taken from each in turn.

    A larger number with the same seed contains a smaller one, so what was drawn for it is used again.
    """
    orders = []
    for problems in files:
        order = list(problems)
        random.Random(str(seed)).shuffle(order)
        orders.append(order)
    longest = max((len(order) for order in orders), default=0)
    turns = [order[i] for i in range(longest) for order in orders if i < len(order)]
    return turns if questions is None else turns[:questions]


def store_path(fingerprint: Fingerprint, draws: Draws) -> Path:
    """Where the rollouts of a generator are kept; what a draw is drawn with changes the name.

    Args:
        fingerprint: Of the generator, its prompt and its sampler.
        draws: How many rollouts.
    """
    import llama_cpp

    parts = [
        _CONTENTS,
        fingerprint.generator,
        fingerprint.prompt,
        dict(fingerprint.sampling),
        draws.samples,
        draws.rollouts,
        draws.seed,
        fingerprint.window,
        llama_cpp.__version__,
    ]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]
    return Path(platformdirs.user_data_dir("adascale")) / "rollouts" / f"{key}.sqlite"


def expected_tokens(
    store: RolloutStore, problems: Sequence[Problem], todo: int, draws: Draws = Draws()
) -> int:
    """Tokens that ``todo`` questions have or will take, by those that are kept or else by a guess."""
    kept = [found for problem in problems[:_LOOKED_AT] if (found := store.get(problem)) is not None]
    guess = _TOKENS * (draws.samples + draws.rollouts / 2)
    each = float(np.mean([r.tokens.sum() for r in kept])) if kept else guess
    return round(each * todo)


@dataclass(frozen=True, slots=True)
class Done:
    """A question that was finished in this run, or could not be searched (``error``).

    Attributes:
        problem: The question.
        tokens: What it took.
        spent: What this run has taken so far, the tokens of unfinished questions included.
        error: Why it could not be searched.
    """

    problem: Problem
    tokens: int
    spent: int
    error: str = ""


def draw(driver: Driver, problems: Sequence[Problem], store: RolloutStore, draws: Draws) -> Iterator[Done]:
    """Draw what the store lacks; each question is kept before it is reported.

    The driver must decode at an even width (``SessionOptions.even``): then a question's draws do not depend
    on which others are in flight, and a run that was killed and resumed ends with the same rollouts.
    """
    todo = [problem for problem in problems if not store.holds(problem)]
    folds: dict[str, OutcomeFold] = {}
    params, spent = SearchParams(samples=draws.samples, rollouts=draws.rollouts), 0
    for problem, event in driver.run(todo, Settings(ROLLOUTS, params, seed=draws.seed)):
        fold = folds.setdefault(problem.id, OutcomeFold(problem))
        fold.add(event)
        if isinstance(event, StepProposed):
            spent += event.usage.generated_tokens
        elif isinstance(event, SearchFailed):
            del folds[problem.id]
            yield Done(problem, 0, spent, event.message)
        elif isinstance(event, SearchFinished):
            del folds[problem.id]
            if event.result.stop_reason == "exhausted":
                store.put(Rollouts.of(fold))
                yield Done(problem, event.usage.generated_tokens, spent)


def score(
    prm: RewardModel, model: LlamaModel, problems: Sequence[Problem], store: RolloutStore, key: str
) -> Iterator[Done]:
    """Score every prefix of the kept rollouts with a PRM, where the store lacks its rewards.

    A question that the PRM cannot read (too long for its window) is reported with its error.
    """
    spent = 0
    for problem in problems:
        rollouts = store.get(problem)
        if rollouts is None or store.rewards(problem, key) is not None:
            continue
        try:
            rewards, tokens = _rewards(prm, model, rollouts)
        except ContextOverflowError as error:
            yield Done(problem, 0, spent, error.message)
        else:
            store.put_rewards(problem, key, rewards)
            spent += tokens
            yield Done(problem, tokens, spent)
        finally:
            prm.close_problem(problem)


def _rewards(prm: RewardModel, model: LlamaModel, rollouts: Rollouts) -> tuple[FloatArray, int]:
    rewards = np.zeros(len(rollouts.parent), np.float32)
    paths: list[tuple[Step, ...]] = [()]
    tokens = 0
    ends = np.cumsum(rollouts.tokens)
    for node in range(1, len(rewards)):
        ids = tuple(int(t) for t in rollouts.token_ids[ends[node - 1] : ends[node]])
        text = b"".join(map(model.piece, ids)).decode("utf-8", "replace")
        step = Step(text, ids, float(rollouts.logprob[node]), FINISHES[rollouts.finish[node]])
        paths.append((*paths[rollouts.parent[node]], step))
        [found] = prm.score([Prefix(rollouts.problem, paths[node])])
        rewards[node] = found.reward
        tokens += found.prm_tokens
    return rewards, tokens
