"""The searches of an evaluation: every draw is kept, progress is shown, outcomes are compared."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from adascale.engine.evaluation.compare import Comparison
from adascale.engine.evaluation.evaluate import Contestant, Outcome, evaluate
from adascale.engine.search.settings import Conditions, Settings
from adascale.engine.types import KindName, Notice, Problem

from ..options.by_command import EvalOptions
from ..terminal.console import say
from ..terminal.progress import Progress
from ..terminal.text import duration
from .models import stoppable

if TYPE_CHECKING:
    from adascale.models.draws.playback import ReplayingPolicy
    from adascale.models.session import OpenSession


def search_all(
    session: OpenSession,
    kind: KindName,
    contestants: Sequence[Contestant],
    problems: Sequence[Problem],
    options: EvalOptions,
) -> Comparison | None:
    """Search every problem with every contestant, and compare the outcomes; None if it was interrupted.

    What was drawn before is played back, and every new draw is kept.
    """
    from adascale.models.draws.store import DrawStore

    found = Comparison(contestants, [problem.id for problem in problems])
    rounds = len(contestants) * options.repeats
    with closing(DrawStore(session.draws_path(kind))) as store:
        policy = session.replay_policy(store)
        searching = session.driver(lambda: 0.0, policy)
        with (
            stoppable(session, searching) as driver,
            Progress("questions", quiet=bool(options.terminal.quiet)) as progress,
            session.make_executor() as executor,
        ):
            run = functools.cache(executor.run)
            outcomes = evaluate(
                driver,
                contestants,
                problems,
                options.repeats,
                options.seed,
                run,
                session.modes,
                options.width or session.width,
            )
            for outcome in _show_rounds(outcomes, len(problems), rounds, policy, progress):
                found.add(outcome)
        if found.searches < rounds * len(problems):
            say(f"adascale: {len(store):,} continuations are kept; the same command continues")
            return None
    return found


def _show_rounds(
    outcomes: Iterable[Outcome], questions: int, rounds: int, policy: ReplayingPolicy, progress: Progress
) -> Iterator[Outcome]:
    """Pass outcomes on, and show the progress of each round, which is one strategy in one repeat.

    Args:
        outcomes: Round by round.
        questions: Questions of each round.
        rounds: Number of rounds.
        policy: Counts the tokens that the generator draws.
        progress: Where to show it.
    """
    began, before = time.monotonic(), policy.drawn_tokens
    for count, outcome in enumerate(outcomes):
        yield outcome
        number, done = count // questions + 1, count % questions + 1
        seconds = max(time.monotonic() - began, 1e-9)
        # What later rounds lack is not known yet: the time left is that of this one.
        left = duration(seconds / done * (questions - done))
        note = f"{(policy.drawn_tokens - before) / seconds:.0f} tokens/s, {left} left of this strategy"
        progress.show(f"{outcome.entry} ({number}/{rounds}):", done, questions, note)
        if done == questions:
            began, before = time.monotonic(), policy.drawn_tokens


def warnings_of(conditions: Conditions, contestants: Sequence[Contestant]) -> Iterable[Notice]:
    """Warnings of the models, and of contestants whose modes the calibration does not know; each once."""
    settings = [Settings(entry.strategy).under(conditions) for entry in contestants]
    return dict.fromkeys(notice for each in settings for notice in each.in_mode("auto", ()).warnings)
