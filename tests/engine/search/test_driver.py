"""The driver with scripted models: the log is the tree, costs add up, budgets hold.

A search depends on question, seed and schedule: not on neighbours, places, or how busy the machine is.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import (
    Fitted,
    ScriptedExecutor,
    ScriptedPolicy,
    ScriptedPRM,
    ended,
    judging,
    log_of,
    logs_of,
    scripted_step,
    sized,
    ticking,
    usage_of,
)

from adascale.engine.answers.choosing import SearchResult
from adascale.engine.calibration.posterior import Posterior
from adascale.engine.codec import to_plain
from adascale.engine.errors import (
    AdascaleError,
    ContextOverflowError,
    ModelCorruptError,
)
from adascale.engine.kinds.recognising import problem_of
from adascale.engine.ports import (
    Clock,
    Executor,
    Growth,
    Policy,
    Prefix,
    RewardModel,
    Score,
    SequenceLogprob,
)
from adascale.engine.request import Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import (
    AnswerFound,
    BranchGrew,
    BranchStarted,
    Event,
    NodesPruned,
    SearchFailed,
    SearchFinished,
    SearchStarted,
    StepProposed,
    StepScored,
    Warned,
    from_json,
    to_json,
)
from adascale.engine.search.record import replay
from adascale.engine.search.search import GREW_EVERY
from adascale.engine.search.tree import Tree
from adascale.engine.strategies import (
    STRATEGIES,
    Adaptive,
    Cut,
    Expand,
    Plan,
    Strategy,
    Vote,
    preset,
)
from adascale.engine.types import (
    ROOT,
    Budget,
    Estimate,
    Execution,
    KindName,
    Mode,
    Problem,
    Schedule,
    Step,
    Trial,
)

QUESTIONS = [Problem(f"q{i}", "?" * (i + 1)) for i in range(4)]


PARAMETERS = st.fixed_dictionaries(
    {"samples": st.integers(1, 6), "beams": st.integers(1, 3), "branching": st.integers(1, 3)},
    optional={"modes": st.sampled_from([("program",), ("prose", "program")])},
)

LONGEST = 4 * len("2 + 2 = 5\n\n") + len("Answer: 18.")
"""Tokens of the longest solution of ``script``: one per character."""


def script(prefix: Prefix, rng: random.Random) -> Step:
    """One to four steps, some with a wrong sum, then an answer: mostly right, sometimes missing or cut off.

    A program is right, wrong, fails, is none or is cut off.
    """
    if prefix.mode != "prose":
        ends = [("print(18)", "stop")] * 3 + [("print(20)", "stop"), ("1 / 0", "stop"), ("so", "stop")]
        text, finish = rng.choice([*ends, ("print(", "length")])
        return scripted_step(f"```python\n{text}\n```", finish, -rng.random())
    if len(prefix.steps) >= rng.randint(1, 4):
        text, finish = rng.choice(
            [("Answer: 18.", "stop")] * 3 + [("Answer: 20.", "stop"), ("hm", "stop"), ("on", "length")]
        )
        return scripted_step(text, finish, -rng.random())
    return scripted_step(rng.choice(["add\n\n", "multiply\n\n", "2 + 2 = 5\n\n"]), "step", -rng.random())


def reward(prefix: Prefix) -> float:
    return random.Random("".join(step.text for step in prefix.steps)).random()


def execute(program: str) -> Execution:
    printed = re.fullmatch(r"print\((\d+)\)", program)
    return Execution(f"{printed[1]}\n", "", 0.0) if printed else Execution("", "ZeroDivisionError", 0.0)


def driver_of(
    policy: Policy | None = None,
    prm: RewardModel | None = None,
    calibrator: Posterior | None = None,
    *,
    clock: Clock | None = None,
    executor: Executor | None = None,
) -> Driver:
    """A driver of scripted models, four at once."""
    policy, prm = policy or ScriptedPolicy(script, 4), prm or ScriptedPRM(reward)
    calibrators: dict[KindName, Posterior] = {} if calibrator is None else {"value": calibrator}
    return Driver(policy, prm, calibrators, clock or ticking(), executor or ScriptedExecutor(execute))


def search(driver: Driver, settings: Settings) -> list[Event]:
    """The log of the first question."""
    return [event for _, event in driver.run(QUESTIONS[:1], settings)]


def strategy_of(name: str, params: Mapping[str, Any]) -> Strategy:
    """A small strategy; code is written as programs, and calls and trees of steps have their own modes."""
    if name == "passing" and "modes" in params:
        params = {**params, "modes": ("program",)}
    if name in ("agreement", "beam"):
        params = {each: value for each, value in params.items() if each != "modes"}
    return sized(name, **params)


@dataclass(frozen=True, slots=True)
class Cutting(Strategy):
    """Cuts the first step that is scored, and waits for the rest."""

    name = "cutting"
    at_most = 3

    def plan(self, tree: Tree) -> Plan:
        first = yield [Expand(ROOT, 3, until="answer")]
        yield []  # meanwhile its branch begins the next step
        yield [Cut((first[0],), "no good")]
        while any(node.status == "open" and not tree.children(node.id) for node in tree):
            if not (yield []):
                break
        return None


RUNS: dict[str, st.SearchStrategy[Any]] = {
    "strategy": st.sampled_from(sorted(STRATEGIES)),
    "seed": st.integers(0, 10_000),
    "slots": st.integers(1, 9),
    "schedule": st.none() | st.builds(Schedule, st.integers(1, 6), st.integers(1, 6)),
    "params": PARAMETERS,
}
LIMITS = st.integers(1, 150)


@dataclass(slots=True)
class Counting(ScriptedPolicy):
    """Counts the tokens that it writes."""

    written: int = 0

    def advance(self) -> list[Growth]:
        growths = ScriptedPolicy.advance(self)
        self.written += sum(growth.new_tokens for growth in growths)
        return growths


@given(limit=st.none() | LIMITS, **RUNS)
@settings(max_examples=40, deadline=None)
def test_the_log_is_the_tree_and_the_costs_add_up(
    strategy: str,
    seed: int,
    slots: int,
    schedule: Schedule | None,
    limit: int | None,
    params: Mapping[str, Any],
) -> None:
    policy = Counting(script, slots)
    searches = Settings(strategy_of(strategy, params), Budget(limit), seed, schedule=schedule)
    logs = logs_of(driver_of(policy).run(QUESTIONS, searches))
    assert set(logs) == {problem.id for problem in QUESTIONS}
    for log in logs.values():
        assert [event.seq for event in log] == list(range(len(log)))
        last, tree = ended(log), replay(log)
        assert asdict(last.usage) == pytest.approx(asdict(usage_of(tree)))
        assert [from_json(to_json(event)) for event in log] == log
        candidates = {e.node for e in log if isinstance(e, AnswerFound)}
        assert all(tree[node].status == "terminal" for node in candidates)
        if last.result.best is not None:
            assert last.result.best in candidates
        sampled = sum(len(node.step.token_ids) for node in tree if node.step)
        assert sampled <= last.usage.generated_tokens
    assert sum(ended(log).usage.generated_tokens for log in logs.values()) == policy.written


@given(limit=LIMITS, **RUNS)
@settings(max_examples=40, deadline=None)
def test_a_budget_is_overshot_by_at_most_one_batch_once_there_is_an_answer(
    strategy: str, seed: int, slots: int, schedule: Schedule | None, limit: int, params: Mapping[str, Any]
) -> None:
    searches = Settings(strategy_of(strategy, params), Budget(limit), seed, schedule=schedule)
    log = search(driver_of(ScriptedPolicy(script, slots)), searches)
    last, tree = ended(log), replay(log)
    whole = [node for node in tree if node.status == "terminal" and node.step and node.step.finish == "stop"]
    assert last.usage.generated_tokens < limit + slots + LONGEST
    # More than a batch above the limit is only ever spent to finish the one solution that is shown, which a
    # program or call without an answer is not.
    answered = {event.node for event in log if isinstance(event, AnswerFound) and event.answer is not None}
    shown = [node for node in whole if node.mode == "prose" or node.id in answered]
    # While a program runs, the others write on for a batch.
    most = limit + slots * (1 + any(node.mode == "program" for node in tree))
    assert last.usage.generated_tokens < most or len(shown) <= 1
    if last.result.best is None:
        # No program that failed, text in the place of a call, or prose that was cut off can be shown.
        assert all(node.mode != "prose" for node in whole)
        cut_off = [node for node in tree if node.step is not None and node.step.finish == "length"]
        assert whole or any(node.status == "terminal" for node in cut_off)
    if last.result.stop_reason == "exhausted":
        unlimited = search(driver_of(ScriptedPolicy(script, slots)), replace(searches, budget=Budget()))
        assert ended(unlimited).result == last.result


def test_seconds_stop_a_search_and_what_was_sampled_is_kept() -> None:
    log = search(driver_of(), Settings(Vote(samples=5), Budget(max_seconds=20.0)))
    assert ended(log).result.stop_reason == "budget"
    pruned = [node for node in replay(log) if node.status == "pruned"]
    assert pruned
    assert all(node.step and node.step.finish == "length" for node in pruned)
    assert any(isinstance(event, NodesPruned) and event.reason == "budget" for event in log)


def test_a_generator_that_writes_nothing_holds_no_search_beyond_a_quarter_more_than_its_time() -> None:
    class Stalling(ScriptedPolicy):
        def advance(self) -> list[Growth]:
            return []

    driver = driver_of(Stalling(script, 4))
    last = ended(search(driver, Settings(Vote(samples=3), Budget(max_seconds=100.0))))
    assert (last.result.best, last.result.stop_reason) == (None, "budget")
    assert 125 <= last.t < 135


def test_an_interrupt_ends_every_search_with_its_best_answer() -> None:
    driver = driver_of(ScriptedPolicy(script, 10))
    started: list[str] = []
    results: dict[str, SearchResult] = {}
    for problem, event in driver.run(QUESTIONS, Settings(Vote(samples=5))):
        if isinstance(event, SearchStarted):
            started.append(problem.id)
        if isinstance(event, AnswerFound) and event.answer:
            driver.interrupt()
        if isinstance(event, SearchFinished):
            results[problem.id] = event.result
    assert len(started) > 1
    assert sorted(results) == sorted(started)
    assert {result.stop_reason for result in results.values()} == {"interrupted"}
    assert any(result.answer for result in results.values())


def test_a_solution_that_the_reward_model_cannot_read_is_worth_nothing_and_said_once() -> None:
    class Short(ScriptedPRM):
        def score(self, prefixes: Sequence[Prefix]) -> list[Score]:
            if any(len(prefix.steps) > 1 for prefix in prefixes):
                raise ContextOverflowError("the PRM's window is too small")
            return ScriptedPRM.score(self, prefixes)

    log = search(driver_of(prm=Short(lambda prefix: 0.5)), Settings(Vote(4)))
    assert ended(log).result.answer is not None
    tree = replay(log)
    assert {(node.depth > 1, node.reward) for node in tree if node.depth} == {(False, 0.5), (True, 0.0)}
    assert [event.notice.code for event in log if isinstance(event, Warned)] == ["prm-window"]


def test_a_cut_stops_the_branches_that_run_below_it() -> None:
    log = search(driver_of(), Settings(Cutting(), seed=2))
    tree = replay(log)
    reasons = {node: event.reason for event in log if isinstance(event, NodesPruned) for node in event.nodes}
    cut = next(node for node, reason in reasons.items() if reason == "no good")
    below = [node for node in tree if node.parent == cut]
    assert below
    assert all(reasons.get(node.id) == "cut" for node in below)
    assert len(reasons) == 1 + len(below)
    assert asdict(ended(log).usage) == pytest.approx(asdict(usage_of(tree)))
    assert sum(isinstance(event, AnswerFound) for event in log) == 2


@dataclass(frozen=True, slots=True)
class Waiting(Strategy):
    """Draws one trajectory, and waits for more than it has asked for."""

    name = "waiting"
    at_most = 1

    def plan(self, tree: Tree) -> Plan:
        yield [Expand(ROOT, 1, until="answer")]
        for _ in range(1000):
            yield []
        raise AssertionError("it is asked for ever")


def test_a_plan_that_waits_for_nothing_has_ended() -> None:
    assert ended(search(driver_of(), Settings(Waiting()))).result.stop_reason == "exhausted"


class Noting(ScriptedPolicy):
    """Keeps the ids of closed problems."""

    def __init__(self) -> None:
        super().__init__(script, 4)
        self.closed: list[str] = []

    def close_problem(self, problem: Problem) -> None:
        self.closed.append(problem.id)


@pytest.mark.parametrize("after", [SearchStarted, BranchGrew, SearchFinished])
def test_a_run_that_is_closed_early_closes_its_problems(after: type[Event]) -> None:
    policy = Noting()
    driver = driver_of(policy)
    happening = driver.run(QUESTIONS[:1], Settings(Vote(samples=5)))
    assert isinstance(happening, Generator)
    next(event for _, event in happening if isinstance(event, after))
    happening.close()
    assert policy.closed == ["q0"]
    assert not driver.busy


def test_one_question_under_two_ids_has_the_same_draws_where_their_seed_has_one_name() -> None:
    def steps(id_: str, name: str | None) -> list[str]:
        asked = [Problem(id_, "What is twice 9?")]
        log = driver_of().run(asked, Settings(Vote(samples=5), seed=3, seeded_as=name))
        return [event.step.text for _, event in log if isinstance(event, StepProposed)]

    assert steps("a", "1") == steps("b", "1") == steps("1", None)
    assert steps("a", None) != steps("b", None)


@pytest.mark.parametrize("at", range(0, 54, 9))
def test_a_cancelled_search_ends_with_its_branches_and_the_others_go_on(at: int) -> None:
    policy = Noting()
    driver = driver_of(policy)
    logs: dict[str, list[Event]] = {}
    cancelled = None
    for n, (problem, event) in enumerate(driver.run(QUESTIONS[:3], Settings(Vote(samples=5)))):
        logs.setdefault(problem.id, []).append(event)
        if n >= at and cancelled is None and problem.id not in policy.closed:
            driver.cancel(problem.id)
            cancelled, batches = problem.id, policy.batches
        if isinstance(event, SearchFinished) and problem.id == cancelled:
            assert policy.batches <= batches + 1
    for id_, log in logs.items():
        assert ended(log).result.stop_reason == ("interrupted" if id_ == cancelled else "exhausted")
    assert sorted(policy.closed) == ["q0", "q1", "q2"]
    assert not policy._running


class ProseAlone(Fitted):
    """A calibration that was fitted before there were programs."""

    modes = ("prose",)

    def estimate(self, prefix: Prefix, reward: float) -> Estimate:
        """Refuses programs."""
        assert prefix.mode == "prose", "the calibration has no estimate of programs"
        return Estimate(0.5, 0.6, 0.7, calibrated=True)


@pytest.mark.parametrize(("modes", "calibrated"), [(("prose",), True), (("prose", "program"), False)])
def test_a_calibration_without_programs_estimates_no_search_that_draws_them(
    modes: tuple[Mode, ...], calibrated: bool
) -> None:
    log = search(driver_of(calibrator=ProseAlone()), Settings(Vote(4, modes=modes)))
    estimates = [event.estimate for event in log if isinstance(event, StepScored)]
    assert estimates
    assert {estimate.calibrated for estimate in estimates} == {calibrated}


def test_a_text_is_reported_token_by_token() -> None:
    def tokens_of_events(kind: KindName) -> list[int]:
        log = driver_of().run([replace(QUESTIONS[0], kind=kind)], Settings(Vote(samples=1)))
        return [event.tokens for _, event in log if isinstance(event, BranchGrew)]

    assert tokens_of_events("value")[0] == GREW_EVERY
    assert tokens_of_events("text")[:3] == [1, 2, 3]


class HangingExecutor:
    """Runs programs that never end; tells that it is waited for."""

    def __init__(self, on_wait: Callable[[], None]) -> None:
        self.submitted: list[int] = []
        self.cancelled: list[int] = []
        self._on_wait = on_wait

    def submit(self, ticket: int, program: str | Trial) -> None:
        """Begin."""
        self.submitted.append(ticket)

    def cancel(self, ticket: int) -> None:
        """Note it."""
        self.cancelled.append(ticket)

    def collect(self, *, block: bool = False) -> list[tuple[int, Execution]]:
        """None has ended."""
        if block:
            self._on_wait()
        return []


def test_a_search_that_waits_for_its_programs_can_be_cancelled_with_them() -> None:
    executor = HangingExecutor(lambda: driver.cancel("q0"))
    policy = ScriptedPolicy(lambda prefix, rng: scripted_step("```python\nprint(18)\n```", "stop"), 4)
    driver = driver_of(policy, executor=executor)
    last = ended(search(driver, Settings(Vote(samples=3, modes=("program",)))))
    assert last.result.stop_reason == "interrupted"
    assert executor.cancelled == executor.submitted == [0, 1, 2]


def test_a_program_that_never_ends_does_not_hold_an_answer_beyond_the_time() -> None:
    now = [0.0]

    def wait() -> None:
        now[0] += 0.25

    class Hanging(HangingExecutor):
        """The first program ends, the others do not."""

        def collect(self, *, block: bool = False) -> list[tuple[int, Execution]]:
            ended = [(0, Execution("18", "", 0.1))] if self.submitted and not now[0] else []
            HangingExecutor.collect(self, block=block)
            return ended

    policy = ScriptedPolicy(lambda prefix, rng: scripted_step("```python\nprint(18)\n```", "stop"), 4)
    driver = driver_of(policy, clock=lambda: now[0], executor=Hanging(wait))
    last = ended(search(driver, Settings(Vote(samples=3, modes=("program",)), Budget(max_seconds=1.0))))
    assert (last.result.answer, last.result.stop_reason) == ("18", "budget")
    assert now[0] <= 1.5


def test_a_fact_is_its_greedy_answer_and_others_say_how_sure_it_is() -> None:
    def searched(logprob: float, others: str) -> float:
        def reply(prefix: Prefix, rng: random.Random) -> Step:
            is_greedy = rng.random() == random.Random(0).random()
            return Step("Canberra" if is_greedy else others, (1, 2, 3), logprob, "stop")

        judges: Any = {"value": judging("value", 0.5), "fact": judging("fact", 0.5)}
        driver = Driver(ScriptedPolicy(reply), SequenceLogprob(), judges, lambda: 0.0)
        capital = problem_of("1", "What is the capital of Australia?")
        log = [event for _, event in driver.run([capital], Settings(preset("fact", "medium")))]
        assert [each.greedy for each in replay(log).nodes if each.step] == [True, False, False, False]
        result = ended(log).result
        assert result.answer == "Canberra"
        assert result.confidence is not None
        return result.confidence.median

    unlikely, likely = searched(-3.0, "Canberra"), searched(-0.1, "Canberra")
    assert searched(-3.0, "Sydney") < unlikely < searched(-0.1, "Sydney") < likely


OF_VALUES = [name for name in STRATEGIES if name not in ("agreement", "readings")]


@dataclass(slots=True)
class BusyPolicy(ScriptedPolicy):
    """Writes on some of its branches in each batch, as chance has it."""

    delays: random.Random = field(default_factory=random.Random)

    def advance(self) -> list[Growth]:
        """One token for each of those branches, one at least."""
        chosen = [each for each in self._running if self.delays.random() < 0.6] or list(self._running)[:1]
        return [self._grow(branch, self._running[branch]) for branch in chosen]


class BusyExecutor(ScriptedExecutor):
    """Keeps the results of programs back, as chance has it."""

    delays = random.Random(0)

    def collect(self, *, block: bool = False) -> list[tuple[int, Execution]]:
        """Those that have ended, or for now none."""
        wait = not block and self.delays.random() < 0.7
        return [] if wait else ScriptedExecutor.collect(self, block=block)


def facts(log: Sequence[Event]) -> list[Any]:
    """Everything that happened, without times and costs."""
    return [
        {name: value for name, value in to_plain(event).items() if name not in ("t", "usage", "seq")}
        for event in log
    ]


@pytest.mark.parametrize("name", OF_VALUES)
@settings(max_examples=25)
@given(
    schedule=st.builds(Schedule, st.integers(1, 6), st.integers(1, 6)),
    slots=st.integers(1, 9),
    seed=st.integers(0, 99),
    both=st.booleans(),
    asked=st.integers(0, 3),
)
def test_neighbours_places_and_delays_change_neither_the_tree_nor_the_answer_nor_its_probability(
    name: str, schedule: Schedule, slots: int, seed: int, both: bool, asked: int
) -> None:
    strategy = sized(name, samples=6, beams=2, branching=2)
    if name in ("adaptive", "vote"):
        strategy = strategy.changed(modes=("prose", "program") if both else ("prose",), redraws=2)
    if name == "passing":
        strategy = strategy.changed(modes=("program",))
    question, posterior = QUESTIONS[asked], judging("value", 0.4)
    busy = BusyPolicy(script, slots, delays=random.Random(seed))
    lonely = driver_of(ScriptedPolicy(script, 64), calibrator=posterior)
    crowded = driver_of(busy, calibrator=posterior, executor=BusyExecutor(execute))
    searches = Settings(strategy, seed=seed, schedule=schedule)
    alone, beside = logs_of(lonely.run([question], searches)), logs_of(crowded.run(QUESTIONS, searches))
    assert facts(beside[question.id]) == facts(alone[question.id])


def test_as_many_run_side_by_side_as_the_search_is_wide() -> None:
    log = log_of(script, Vote(7), width=3)
    running, most = set(), 0
    for event in log:
        if isinstance(event, BranchStarted):
            running.add(event.branch)
        if isinstance(event, StepProposed) and event.ended:
            running.remove(event.branch)
        most = max(most, len(running))
    assert most == 3


def test_solutions_count_as_they_finish_and_those_that_run_end_with_the_search() -> None:
    def by_length(prefix: Prefix, rng: random.Random) -> Step:
        return scripted_step("so " * rng.randint(1, 50) + "Answer: 7.", "stop")

    log = log_of(by_length, Adaptive(samples=8))
    steps = {event.node: len(event.step.token_ids) for event in log if isinstance(event, StepProposed)}
    found = [steps[event.node] for event in log if isinstance(event, AnswerFound)]
    assert found == sorted(steps.values())[:3]
    assert ended(log).result.stop_reason == "confident"
    # The others were cut when the third had finished, in the same step.
    assert sorted(steps.values())[3:] == [found[-1]] * 5


class BreakingPolicy(ScriptedPolicy):
    """All branches of the second question break off in one batch."""

    def advance(self) -> list[Growth]:
        broken = {id_ for id_, run in self._running.items() if run.prefix.problem.id == "q1"}
        error = ModelCorruptError("it broke")
        grown = super().advance()
        return [replace(each, error=error) if each.branch in broken else each for each in grown]


class PickyPRM(ScriptedPRM):
    """Its window is too small for the second question."""

    def score(self, prefixes: Sequence[Prefix]) -> list[Score]:
        if any(prefix.problem.id == "q1" for prefix in prefixes):
            raise ContextOverflowError("it broke")
        return super().score(prefixes)


class RefusingExecutor(ScriptedExecutor):
    """Refuses the program of the second question."""

    def submit(self, ticket: int, program: str | Trial) -> None:
        if program == "print(2)":
            raise AdascaleError("it broke")
        super().submit(ticket, program)


def print_length(prefix: Prefix, rng: random.Random) -> Step:
    return scripted_step(f"```python\nprint({len(prefix.problem.question)})\n```", "stop")


@pytest.mark.parametrize(
    "driver",
    [
        driver_of(BreakingPolicy(print_length, 4)),
        driver_of(ScriptedPolicy(print_length, 4), PickyPRM(reward)),
        driver_of(ScriptedPolicy(print_length, 4), executor=RefusingExecutor(execute)),
    ],
    ids=["generator", "reward model", "executor"],
)
def test_a_failure_at_one_question_ends_its_search_alone(driver: Driver) -> None:
    logs = logs_of(driver.run(QUESTIONS[:3], Settings(Vote(samples=2, modes=("program",)))))
    assert isinstance(failed := logs["q1"].pop(), SearchFailed)
    assert failed.notice.message == "it broke"
    assert [type(log[-1]) for log in (logs["q0"], logs["q2"])] == [SearchFinished] * 2
