"""Looks and votes on questions with options, for a calibration of their kind: drawn, kept, and fitted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Self

from adascale.engine.answers.result import PROFILES, ModeProfile
from adascale.engine.answers.weighing import Vote as OptionVote
from adascale.engine.calibration.options import OptionsCalibration
from adascale.engine.errors import DecodeAbortedError
from adascale.engine.fitting.options import OptionExample, fit_weights, held_out
from adascale.engine.fitting.report import report
from adascale.engine.kinds import kind_of
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import SearchFailed, SearchFinished
from adascale.engine.search.record import Record
from adascale.engine.search.settings import Settings
from adascale.engine.strategies import Vote
from adascale.engine.types import Problem

from ..draws.playback import ReplayingPolicy
from ..draws.store import DrawStore
from ..question_sets import only_kind
from .artefact import Artefact, Card, question_key, software_versions

if TYPE_CHECKING:
    from ..session import OpenSession

_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class DrawnOptions:
    """The draws of a question.

    Attributes:
        problem: The question.
        example: Its look, its votes, and the correct option; None if it could not be searched.
        tokens: Tokens of all its solutions.
        error: Reason why it could not be searched, or empty.
    """

    problem: Problem
    example: OptionExample | None
    tokens: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class OptionDraws:
    """Draws of a session's models on questions with options, all of one kind; what was drawn before is kept.

    Attributes:
        session: The open models; their draws are repeatable.
        problems: The questions, with their answers.
        samples: Solutions of each, one or more.
        seed: Seed of the solutions.
        policy: Plays back what is kept.
        driver: Searches.
    """

    session: OpenSession
    problems: Sequence[Problem]
    samples: int
    seed: int
    policy: ReplayingPolicy
    driver: Driver

    @classmethod
    @contextmanager
    def open(
        cls, session: OpenSession, problems: Sequence[Problem], samples: int, seed: int
    ) -> Iterator[Self]:
        """Open the store of these models."""
        with closing(DrawStore(session.draws_path(only_kind(problems)))) as store:
            policy = session.replay_policy(store)
            driver = session.driver(lambda: 0.0, policy)
            policy.look_ahead(driver)
            yield cls(session, problems, samples, seed, policy, driver)

    def draw(self) -> Iterator[DrawnOptions]:
        """Look at each question and draw its solutions; ends early if the session is interrupted."""
        settings = Settings(Vote(samples=self.samples), seed=self.seed)
        known = {problem.id: problem for problem in self.problems}
        records: dict[str, Record] = {}
        for asked, event in self.driver.run(self.problems, settings, _AT_ONCE):
            problem = known[asked.id]
            record = records[problem.id] = Record.after(records.get(problem.id), event)
            if not isinstance(event, SearchFinished | SearchFailed):
                continue
            del records[problem.id]  # with the states of its steps
            if isinstance(event, SearchFailed):
                yield DrawnOptions(problem, None, error=event.notice.message)
            elif event.result.stop_reason == "exhausted":
                try:
                    yield DrawnOptions(problem, self._example(problem, record), event.usage.generated_tokens)
                except DecodeAbortedError:
                    return

    def look(self, problem: Problem) -> tuple[float, ...]:
        """Mean log-probability of each option of a question over all looks."""
        names = kind_of(problem).options(problem)
        looks = [self.policy.look(look, problem).log_probs for look in kind_of(problem).looks(problem)]
        return tuple(fmean(seen[at] for seen in looks) for at in range(len(names)))

    def _example(self, problem: Problem, record: Record) -> OptionExample:
        kind = kind_of(problem)
        names = kind.options(problem)
        right = next(at for at, name in enumerate(names) if kind.is_right(problem, name, None, None))
        ends = sorted(record.candidates, key=lambda each: record.tree.draw_order(each.node))
        votes = [OptionVote(names.index(each.answer), each.mode) for each in ends if each.answer is not None]
        return OptionExample(self.look(problem), tuple(votes), right)


def fit_options(draws: OptionDraws, drawn: Sequence[DrawnOptions], data: Sequence[str]) -> Artefact:
    """Fit a calibration; the figures on its card are of questions held out.

    Args:
        draws: The session and the questions that they belong to.
        drawn: Questions that could be searched.
        data: Names of the question files, for the card.
    """
    kind, session = only_kind(draws.problems), draws.session
    examples = [each.example for each in drawn if each.example is not None]
    leans = kind == "yes-no"
    tokens = fmean(each.tokens / draws.samples for each in drawn)
    calibration = OptionsCalibration(
        fit_weights(examples, leans=leans),
        {"prose": ModeProfile(PROFILES["prose"].spread, tokens), "program": PROFILES["program"]},
    )
    card = Card(
        name=f"{session.files.pair_name}+{kind}",
        fingerprint=session.prompts.fingerprints[kind],
        method="beta",
        data=tuple(data),
        questions=tuple(question_key(each.problem.question) for each in drawn),
        samples=draws.samples,
        rollouts=0,
        seed=draws.seed,
        versions=software_versions(),
        held_out=report(dict(zip(("look", "answer"), held_out(examples, leans=leans), strict=True))),
    )
    return Artefact(calibration, card)
