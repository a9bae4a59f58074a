"""Searches of questions with known answers over a server, and the weights of votes that fit them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from adascale.engine.calibration.metrics import report
from adascale.engine.calibration.posterior import Posterior
from adascale.engine.calibration.votes import JudgedSearch, fit_votes
from adascale.engine.codec import build, to_plain
from adascale.engine.request import Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.outcomes import right_nodes
from adascale.engine.search.record import Record
from adascale.engine.strategies import Vote
from adascale.engine.strategies.redraws import REDRAWS
from adascale.engine.types import Problem

from ..lines import KeyedLines
from ..storage import data_folder, keyed_path
from ..upstream.session import UpstreamSession
from .artefact import Artefact, Card, question_key
from .rollouts import DrawPlan, kept_key, searched
from .training import check_enough

_SEARCHES = "searches"


def open_searches(session: UpstreamSession, plan: DrawPlan) -> KeyedLines:
    """The kept searches of a server's model; whatever changes a solution changes the name of their file."""
    asked = [*session.drawn_with("value"), plan.samples, plan.seed, plan.programs]
    return KeyedLines(keyed_path(data_folder() / _SEARCHES, asked, ".jsonl"))


@dataclass(frozen=True, slots=True, eq=False)
class VoteRun:
    """Searches of some problems by the model of a server.

    Attributes:
        session: The server.
        problems: Questions about values, with their answers.
        plan: Number of solutions of each.
        store: Keeps searches that have ended (``open_searches``).
    """

    session: UpstreamSession
    problems: Sequence[Problem]
    plan: DrawPlan
    store: KeyedLines

    def undrawn(self) -> list[Problem]:
        """Problems that were not searched."""
        return [each for each in self.problems if not self.store.has(_SEARCHES, kept_key(each, _SEARCHES))]

    def draw(self, driver: Driver) -> Iterator[tuple[Problem, str]]:
        """Search those, until the driver is interrupted; yields what ``RolloutRun.draw`` does."""
        modes = tuple(mode for mode, drawn in self.plan.trajectories.items() for _ in range(drawn))
        strategy = Vote(len(modes), modes=modes, redraws=REDRAWS)
        settings = Settings(self.session.conditions("value").possible(strategy), seed=self.plan.seed)
        for problem, record, error in searched(driver, self.undrawn(), settings):
            if not error:
                found = to_plain(_judged(record, problem))
                self.store.keep(_SEARCHES, kept_key(problem, _SEARCHES), found)
            yield problem, error

    def fit(self, data: Sequence[str]) -> Artefact:
        """Fit weights; the figures on the card are of questions held out.

        Args:
            data: Names of the question files, for the card.

        Raises:
            UsageError: too few problems have an answer.
        """
        solved: list[tuple[Problem, JudgedSearch]] = []
        for problem in sorted(self.problems, key=lambda each: each.id):
            key = kept_key(problem, _SEARCHES)
            found = self.store.read(_SEARCHES, key, lambda value, _: build(JudgedSearch, value))
            if found is not None and any(each.answer for each in found.solutions):
                solved.append((problem, found))
        check_enough(len(solved))
        session, plan = self.session, self.plan
        usual = Posterior.of_model("value", session.size)
        weights, held_out = fit_votes([found for _, found in solved], usual, plan.seed)
        card = Card(
            name=session.name,
            fingerprint=session.fingerprint,
            data=tuple(data),
            questions=tuple(question_key(problem.question) for problem, _ in solved),
            samples=plan.samples,
            programs=plan.programs,
            seed=plan.seed,
            held_out=report({"answer": held_out}),
            votes=weights,
        )
        return Artefact(None, card)


def _judged(record: Record, problem: Problem) -> JudgedSearch:
    """The solutions that a search counts: of prose, not those that were cut off before they had an answer."""
    spelled = {node: group.answer for group in record.groups for node in group.nodes}
    solutions = [replace(each, answer=spelled.get(each.node)) for each in record.candidates]
    cut = {node.id for node in record.tree if node.step is not None and node.step.finish == "length"}
    counted = [each for each in solutions if each.answer or each.mode != "prose" or each.node not in cut]
    return JudgedSearch(counted, right_nodes(record, problem))
