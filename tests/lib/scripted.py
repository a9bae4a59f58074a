"""A generator, a PRM and an executor that follow scripts, fixed calibrators, and searches with them."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from adascale.engine.answers.choosing import FinishedSearch
from adascale.engine.calibration.options import OPTIONS, OptionWeights
from adascale.engine.calibration.posterior import SPREADS, VOTES, Posterior
from adascale.engine.kinds import OptionsPrompt
from adascale.engine.kinds.recognising import problem_of
from adascale.engine.ports import (
    AnswerEstimates,
    BranchStart,
    Clock,
    Growth,
    OptionLogits,
    Prefix,
    PrefixWork,
    Score,
    SequenceLogprob,
)
from adascale.engine.request import SearchRequest, Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import Event, SearchFinished
from adascale.engine.search.record import Record
from adascale.engine.search.tree import Tree
from adascale.engine.strategies import STRATEGIES, ModeChoice, Strategy, preset, strategy_named
from adascale.engine.types import (
    BranchId,
    Budget,
    Estimate,
    Execution,
    Finish,
    KindName,
    Mode,
    Problem,
    Schedule,
    Step,
    Trial,
    Until,
    Usage,
)

Script = Callable[[Prefix, random.Random], Step]
"""Draws the next whole step of a prefix; the random generator is seeded by the branch."""


@dataclass(slots=True)
class _ScriptedBranch:
    prefix: Prefix
    until: Until
    rng: random.Random
    step: Step
    position: int = 0


def pieces(text: str) -> tuple[int, ...]:
    """Token ids of a scripted text: one per character."""
    return tuple(ord(character) for character in text)


def scripted_step(text: str, finish: Finish = "step", logprob: float = -1.0) -> Step:
    """A step whose tokens are its characters."""
    return Step(text, pieces(text), logprob, finish)


@dataclass(slots=True)
class ScriptedPolicy:
    """Plays ``script`` one token (character) per branch and batch.

    Attributes:
        script: Draws steps.
        slots: Branches that run at the same time.
        flops_per_token: As a real policy reports it.
        batches: Decode batches so far.
        logits: Log-probabilities of the options that a prompt asks for; without it all are equal.
    """

    script: Script
    slots: int = 8
    flops_per_token: float = 2.0
    batches: int = 0
    logits: Callable[[OptionsPrompt], Sequence[float]] | None = None
    _running: dict[BranchId, _ScriptedBranch] = field(default_factory=dict)

    def open(self, problem: Problem, mode: Mode = "prose") -> PrefixWork:
        """The prompt has one token per character of the question."""
        return PrefixWork(len(problem.question), 0)

    def option_logits(self, asked: OptionsPrompt, problem: Problem) -> OptionLogits:
        """The log-probabilities of ``looks``; the prompt has one token per character."""
        seen = [0.0] * len(asked.words) if self.logits is None else self.logits(asked)
        return OptionLogits(tuple(seen), len(asked.text))

    def start(self, id_: BranchId, branch: BranchStart) -> None:
        """Begin a branch; the script sees the same random numbers for the same seed."""
        assert len(self._running) < self.slots, "more branches than slots"
        rng = random.Random(0 if branch.greedy else branch.seed)
        step = self.script(branch.prefix, rng)
        self._running[id_] = _ScriptedBranch(branch.prefix, branch.until, rng, step)

    def advance(self) -> list[Growth]:
        """One token for every running branch, in the order in which they were started."""
        self.batches += 1
        return [self._grow(branch, run) for branch, run in list(self._running.items())]

    def _grow(self, branch: BranchId, run: _ScriptedBranch) -> Growth:
        first = run.position == 0
        reused = len(run.prefix.problem.question) + sum(len(s.token_ids) for s in run.prefix.steps)
        prefix = PrefixWork(0, reused) if first else PrefixWork()
        run.position += 1
        if run.position < len(run.step.token_ids):
            text, tokens = run.step.text[: run.position], run.step.token_ids[: run.position]
            part = replace(run.step, text=text, token_ids=tokens, finish=None)
            return Growth(branch, 1, part, prefix, thinks=part.is_thought)
        done = run.step
        if done.finish != "step" or run.until == "step":
            del self._running[branch]
        else:
            run.prefix = replace(run.prefix, steps=(*run.prefix.steps, done))
            run.step, run.position = self.script(run.prefix, run.rng), 0
        return Growth(branch, 1, done, prefix)

    def cancel(self, id_: BranchId) -> None:
        """End a branch."""
        del self._running[id_]

    def close_problem(self, problem: Problem) -> None:
        """Nothing is kept."""


@dataclass(slots=True)
class ScriptedPRM:
    """Scores a prefix by a function of its text; counts only the new step's tokens."""

    reward: Callable[[Prefix], float]
    flops_per_token: float = 2.0

    def score(self, prefixes: Sequence[Prefix]) -> list[Score]:
        """One reward per prefix."""
        return [Score(self.reward(prefix), len(prefix.steps[-1].token_ids)) for prefix in prefixes]

    def close_problem(self, problem: Problem) -> None:
        """Nothing is kept."""


@dataclass(slots=True)
class ScriptedExecutor:
    """Runs programs by a function; an execution arrives one ``collect`` late, unless it is waited for."""

    run: Callable[[Any], Execution]
    waits: bool = False
    _submitted: list[tuple[int, str | Trial]] = field(default_factory=list)
    _ended: list[tuple[int, Execution]] = field(default_factory=list)

    def submit(self, ticket: int, program: str | Trial) -> None:
        """Run a program."""
        self._submitted.append((ticket, program))

    def cancel(self, ticket: int) -> None:
        """Forget a program."""
        self._submitted = [each for each in self._submitted if each[0] != ticket]
        self._ended = [each for each in self._ended if each[0] != ticket]

    def collect(self, *, block: bool = False) -> list[tuple[int, Execution]]:
        """Those that were submitted before the last call; with ``block`` all."""
        ran = [(ticket, self.run(program)) for ticket, program in self._submitted]
        self._submitted = []
        arrived, self._ended = (self._ended + ran, []) if block or self.waits else (self._ended, ran)
        return arrived


def ticking() -> Clock:
    """A clock that goes on by a second whenever it is read, from 0."""
    return map(float, itertools.count()).__next__


def usage_of(tree: Tree) -> Usage:
    """Sum over all nodes."""
    return sum((node.usage for node in tree), Usage())


def logs_of(events: Iterable[tuple[Problem, Event]]) -> dict[str, list[Event]]:
    """The log of each problem by its id, in the order in which they began."""
    logs: dict[str, list[Event]] = {}
    for problem, event in events:
        logs.setdefault(problem.id, []).append(event)
    return logs


def records_of(events: Iterable[tuple[Problem, Event]]) -> dict[str, Record]:
    """The record of each problem by its id, in the order in which they began."""
    return {id_: Record.of(log) for id_, log in logs_of(events).items()}


def ended(log: Sequence[Event]) -> SearchFinished:
    """The end of a search that did not fail."""
    last = log[-1]
    assert isinstance(last, SearchFinished)
    return last


def sized(name: str, **numbers: Any) -> Strategy:
    """The strategy of a name with those of the numbers that it has."""
    return strategy_named(name, **{each: n for each, n in numbers.items() if STRATEGIES[name].has(each)})


ASKED = Problem("p", "?", "18")


def log_of(
    script: Script | ScriptedPolicy,
    strategy: Strategy,
    problem: Problem = ASKED,
    *,
    judge: Posterior | None = None,
    reward: Callable[[Prefix], float] | None = None,
    execute: Callable[[Any], Execution] | None = None,
    slots: int = 8,
    width: int | None = None,
    **settings: Any,
) -> list[Event]:
    """The log of a search with a scripted generator.

    Args:
        script: Draws each step.
        strategy: Strategy of the search.
        problem: The question.
        judge: Calibrator of its kind; without one nothing is a probability.
        reward: Reward of each prefix, by default that of its likelihood.
        execute: Runs programs.
        slots: Branches that run at once.
        width: Branches that run side by side all the time; None for all that the strategy draws.
        settings: Other settings.
    """
    policy = script if isinstance(script, ScriptedPolicy) else ScriptedPolicy(script, slots)
    prm = SequenceLogprob() if reward is None else ScriptedPRM(reward)
    judges = {} if judge is None else {problem.kind: judge}
    driver = Driver(policy, prm, judges, ticking(), execute and ScriptedExecutor(execute))
    schedule = Schedule.even(width) if width else None
    return [event for _, event in driver.run([problem], Settings(strategy, schedule=schedule, **settings))]


def one_by_one(answers: str, strategy: Strategy) -> list[Event]:
    """A search of width 1 whose solutions have these answers, in turn; a dot is one without an answer."""
    said = iter(answers)

    def script(prefix: Prefix, rng: random.Random) -> Step:
        answer = next(said)
        return scripted_step("Light scatters." if answer == "." else f"Answer: {ord(answer)}.", "stop")

    return log_of(script, strategy, width=1)


def searched(strategy: str, seed: int, budget: int | None) -> list[Event]:
    """A whole search with invented steps."""

    def script(prefix: Prefix, rng: random.Random) -> Step:
        last = prefix.mode == "code" or len(prefix.steps) >= 3 or rng.random() < 0.3
        text = f"the answer is {rng.randrange(3)}" if last else f"step {rng.randrange(100)}\n"
        return scripted_step(text, "stop" if last else "step")

    def reward(prefix: Prefix) -> float:
        return random.Random("".join(step.text for step in prefix.steps)).random()

    small = sized(strategy, samples=6, beams=2, branching=3)
    more: dict[str, Any] = {"budget": Budget(max_tokens=budget), "seed": seed, "width": 4}
    return log_of(script, small, Problem("q", "what?"), reward=reward, slots=5, **more)


class Fitted(Posterior):
    """Base of a calibrator that passes scores on, weighs no options, and that nothing replaces."""

    __setattr__ = object.__setattr__  # doubles below it have attributes of their own

    @property
    def modes(self) -> tuple[Mode, ...]:
        """All that have wrong answers."""
        return tuple(SPREADS)


def judging(kind: KindName, prior: float) -> Posterior:
    """The posterior of a kind of question, as nobody has fitted it, with this prior."""
    return Posterior(kind, prior, VOTES[kind], OPTIONS.get(kind))


def around(p: float) -> Estimate:
    """An estimate that is almost sure of a probability."""
    return Estimate(max(0.0, p - 0.05), p, min(1.0, p + 0.05), calibrated=True)


class Believing(Fitted):
    """Takes rewards for probabilities, and the vote share shrunk towards the question's for the answer's.

    Args:
        question: Probability of the question, or that of each mode.
    """

    def __init__(self, question: float | Mapping[Mode, float]) -> None:
        super().__init__()
        self._question = question

    def _p(self, mode: Mode) -> float:
        return self._question if isinstance(self._question, float) else self._question[mode]

    def question(self, prefix: Prefix) -> Estimate:
        return around(self._p(prefix.mode))

    def estimate(self, prefix: Prefix, reward: float) -> Estimate:
        failed = prefix.execution is not None and prefix.execution.error
        return around(0.001 if failed else reward)

    def judge(self, prefix: Prefix, finished: FinishedSearch) -> AnswerEstimates:
        votes, n = len(finished.groups[0].nodes), len(finished.candidates)
        p = self._p(prefix.mode)
        return AnswerEstimates(around((votes + p) / (n + 1) if votes > 1 else p / 2))


PLANETS = problem_of("1", "Which planet is the largest?\nA. Mars\nB. Jupiter")
PRIME = problem_of("1", "Is 91 prime?")
WEIGHTS = OptionWeights(1.0, 0.0, {"prose": 0.6, "program": 0.9}, 1.0, 0.2)


def search_options(
    problem: Problem,
    p: float,
    says: str = "Answer: B",
    strategy: Strategy | None = None,
    mode: ModeChoice = "prose",
    weights: OptionWeights = WEIGHTS,
) -> tuple[Record, list[Event]]:
    """A search, one solution after another, in which a look favours Jupiter, or no, with this probability."""

    def see(asked: OptionsPrompt) -> Sequence[float]:
        favoured = 1 if asked.prompt == "look-yes-no" else int("Jupiter" in asked.text.splitlines()[-1])
        if asked.prompt == "look-choice" and asked.words[0] == "B":
            favoured = 1 - favoured
        return [math.log(p if at == favoured else 1 - p) for at in range(2)]

    def script(prefix: Prefix, rng: random.Random) -> Step:
        text = f"```python\nprint({says[8:]!r})\n```" if prefix.mode == "program" else says
        return scripted_step(text, "stop")

    policy = ScriptedPolicy(script)
    policy.logits = see
    calibrators = {problem.kind: Posterior(problem.kind, options=weights)}
    executor = ScriptedExecutor(lambda program: Execution(says[8:], "", 0.1))
    driver = Driver(policy, SequenceLogprob(), calibrators, lambda: 0.0, executor=executor)
    usual = preset(problem.kind, "medium")
    settings = SearchRequest(strategy=strategy or usual, mode=mode, width=1).settings(problem)
    log = [event for _, event in driver.run([problem], settings)]
    return Record.of(log), log
