"""Solutions as small records: every strategy that draws whole solutions is replayed on them without a model.

A file is gzipped JSON Lines. The first line says what drew them: model, calibration, seed, cost of a token
and of a decode step. Each other line is a question: its answer, its own estimate, its distance from the
calibration's questions, a greedy and some sampled solutions, each with its answer, how it ended, and for
every step its tokens, their log-probability and its lower, median and upper estimate. ``slips`` are the steps
with a wrong sum, ``again`` what was drawn in the place of such a step: solutions from there on; ``texts`` are
those of the steps, so that what was read in them can be read again. ``program`` has the same of programs,
each with its ``execution``: what it printed, and its error. Hidden states are left out.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from adascale.engine.answers.program import read_program
from adascale.engine.calibration.head import Calibration
from adascale.engine.calibration.posterior import Posterior, rate_of_size
from adascale.engine.kinds import OptionsPrompt
from adascale.engine.ports import (
    BranchStart,
    Growth,
    OptionLogits,
    Prefix,
    PrefixWork,
    SequenceLogprob,
)
from adascale.engine.search.branches import branch_seed
from adascale.engine.search.driver import Driver
from adascale.engine.search.tree import Tree
from adascale.engine.strategies import Adaptive, Expand, Strategy
from adascale.engine.types import ROOT, BranchId, Estimate, Execution, Mode, Problem, Step, Trial
from adascale.models.calibration.artefact import Artefact, load_artefact, read_installed
from adascale.models.llama.stepcost import StepCosts

from ..common import read_lines
from ..kept_draws import DrawStore, PlayedBranch, ReplayingPolicy, draw_key

SCHEMA = "adascale.draws/1"

_UNKNOWN_SUM = ("a wrong sum",)
"""A record says which steps have a wrong sum, and not which one."""


@dataclass(frozen=True, slots=True)
class KnownStep(Step):
    """A step whose estimate was kept instead of what it was read from."""

    estimate: Estimate = field(default=Estimate(0.0, 0.0, 0.0, False), compare=False)


def load(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Header and questions of a file."""
    header, *records = read_lines(path)
    assert header["schema"] == SCHEMA, f"{path} holds no draws"
    return header, records


_NO_FIGURES = str.maketrans("0123456789", "abcdefghij")


def problem_of(record: Mapping[str, Any]) -> Problem:
    """The question of a record, which has no text: its id stands for it, without figures to be left out."""
    return Problem(record["id"], record["id"].translate(_NO_FIGURES), record["gold"])


def _text(solution: Mapping[str, Any], at: int, answer: str | None) -> str:
    """A program's own text; of prose its numbers and the answer that was read in it are enough."""
    if "execution" in solution:
        return str(solution["texts"][at])
    numbers = " ".join(re.findall(r"\d[\d.,]*", "".join(solution["texts"])))
    return f"{numbers} \\boxed{{{answer}}}" if answer is not None else ""


def _steps(solution: Mapping[str, Any]) -> tuple[Step, ...]:
    last = len(solution["tokens"]) - 1
    answer = solution["answer"]
    slips = solution.get("slips", ())
    return tuple(
        KnownStep(
            text=_text(solution, at, answer if at == last else None),
            token_ids=(0,) * tokens,
            logprob=solution["logprobs"][at],
            finish=solution["finish"] if at == last else "step",
            wrong_sums=_UNKNOWN_SUM if at in slips else (),
            estimate=Estimate.of_quantiles(solution["estimates"][at]),
        )
        for at, tokens in enumerate(solution["tokens"])
    )


def by_mode(record: Mapping[str, Any]) -> Mapping[Mode, Mapping[str, Any]]:
    """Prompt, estimate, greedy and sampled solutions of a question in each mode."""
    modes: dict[Mode, Mapping[str, Any]] = {"prose": record}
    return modes | {"program": record["program"]} if "program" in record else modes


def question_estimates(records: Sequence[Mapping[str, Any]]) -> dict[tuple[str, Mode], Estimate]:
    """Estimate of each question in each mode."""
    return {
        (record["id"], mode): Estimate.of_quantiles(own["question"])
        for record in records
        for mode, own in by_mode(record).items()
    }


@dataclass(frozen=True, slots=True)
class AllTurns(Adaptive):
    """``adaptive`` that takes the turns of programs that fail: prose in their place was not recorded."""

    def _draw(self, tree: Tree, mode: Mode) -> Expand:
        return Expand(ROOT, 1, "answer", mode=mode)


def within(strategy: Strategy, header: Mapping[str, Any]) -> Strategy:
    """The strategy, with no more solutions of a question than are recorded."""
    if not isinstance(strategy, Adaptive) or "program" not in strategy.modes:
        return strategy
    if strategy.modes == ("program",):
        return replace(strategy, samples=min(strategy.samples, header.get("programs", 0)))
    if header["samples"] >= strategy.samples:
        return strategy
    return AllTurns(**{each.name: getattr(strategy, each.name) for each in fields(strategy)})


def adaptive(header: Mapping[str, Any]) -> Strategy:
    """``adaptive`` as ``ask`` has it, in the modes that are recorded."""
    modes: tuple[Mode, ...] = ("prose", "program") if header.get("programs") else ("prose",)
    return within(Adaptive(modes=modes), header)


def expected_rate(header: Mapping[str, Any]) -> float:
    """Accuracy expected of the model by its size: a token costs two FLOPs a parameter."""
    return rate_of_size(header["flops_per_token"] / 2)


class RecordedExecutor:
    """Implements ``engine.ports.Executor``: what each recorded program printed."""

    def __init__(self, records: Sequence[Mapping[str, Any]]) -> None:
        self._known: dict[str, Execution] = {}
        self._ended: list[tuple[int, Execution]] = []
        for record in records:
            own = by_mode(record).get("program", {"samples": (), "greedy": None})
            for solution in filter(None, [*own["samples"], own["greedy"]]):
                program = read_program(solution["texts"][0])
                if program is not None:
                    output, error = solution["execution"]
                    self._known[program] = Execution(output, error, 0.0)

    def submit(self, ticket: int, program: str | Trial) -> None:
        self._ended.append((ticket, self._known[str(program)]))

    def cancel(self, ticket: int) -> None:
        self._ended = [each for each in self._ended if each[0] != ticket]

    def collect(self, *, block: bool = False) -> Sequence[tuple[int, Execution]]:
        ended, self._ended = self._ended, []
        return ended


class TimedPolicy(ReplayingPolicy):
    """Plays one search after another on a clock that counts what its steps cost.

    Attributes:
        now: Seconds that have gone by.
        steps: Decode steps so far, by the number of branches that ran side by side.
    """

    def __init__(self, store: DrawStore, flops_per_token: float, seconds: Callable[[int], float]) -> None:
        super().__init__(NoGenerator(flops_per_token), store, seconds)
        self.now = 0.0
        self.steps = Counter[int]()

    def _play(self, branches: Mapping[BranchId, PlayedBranch]) -> list[Growth]:
        side_by_side, grown = len(branches), super()._play(branches)
        self.steps[side_by_side] += grown[0].new_tokens
        self.now += sum(each.seconds or 0.0 for each in grown)
        return grown


class RecordStore(DrawStore):
    """Draws of records in the place of a file; what it has not is an error, since nothing can draw it.

    Args:
        header, records: As ``load`` returns them.
        orders: Seeds that have samples: the first gives them as they were drawn, each other one in a random
            order of its own.
    """

    def __init__(
        self, header: Mapping[str, Any], records: Sequence[Mapping[str, Any]], orders: int = 1
    ) -> None:
        self._prompts: dict[tuple[str, Mode], int] = {}
        self._draws: dict[str, tuple[Step, ...]] = {}
        for record in records:
            for mode, own in by_mode(record).items():
                self._prompts[record["id"], mode] = own["prompt_tokens"]
                root = Prefix(problem_of(record), mode=mode)
                self._draws[draw_key(root, 0, True)] = _steps(own["greedy"])
                samples = list(own["samples"])
                for order in range(orders):
                    for index, solution in enumerate(samples):
                        self._keep(root, header["seed"] + order, (index,), solution)
                    random.Random(f"{record['id']} {order}").shuffle(samples)

    def _keep(self, start: Prefix, seed: int, key: tuple[int, ...], solution: Mapping[str, Any]) -> None:
        """A solution, by the key of its draw, and the redraws of its steps."""
        steps = _steps(solution)
        branch = branch_seed(seed, start.problem.id, key, start.mode)
        self._draws[draw_key(start, branch, False)] = steps
        for at, others in solution.get("again", {}).items():
            before = replace(start, steps=(*start.steps, *steps[: int(at)]))
            for index, other in enumerate(others):
                self._keep(before, seed, (*key, *(0,) * (int(at) - 1), index), other)

    def prompt(self, problem: Problem, mode: Mode) -> PrefixWork:
        return PrefixWork(self._prompts[problem.id, mode])

    def put_prompt(self, problem: Problem, mode: Mode, prompt: PrefixWork) -> NoReturn:
        raise AssertionError("records hold every prompt")

    def get(self, key: str) -> tuple[Step, ...]:
        return self._draws[key]

    def option_logits(self, asked: OptionsPrompt, problem: Problem) -> None:
        return None

    def put_option_logits(self, asked: OptionsPrompt, problem: Problem, seen: OptionLogits) -> NoReturn:
        raise AssertionError("records have no options")

    def put(self, key: str, steps: tuple[Step, ...]) -> NoReturn:
        raise AssertionError("records hold all that can be drawn")

    def __contains__(self, key: str) -> bool:
        return key in self._draws


@dataclass(frozen=True, slots=True, eq=False)
class RecordedHead(Calibration):
    """The calibration that ships, which judges answers, with recorded estimates of questions and steps."""

    questions: Mapping[tuple[str, Mode], Estimate]
    distances: Mapping[str, float]

    def question(self, prefix: Prefix) -> Estimate:
        return self.questions[prefix.problem.id, prefix.mode]

    def estimate(self, prefix: Prefix, reward: float) -> Estimate:
        step = prefix.steps[-1]
        assert isinstance(step, KnownStep)
        return step.estimate

    def distance(self, prefix: Prefix) -> float:
        return self.distances[prefix.problem.id]


@dataclass(frozen=True, slots=True)
class NoGenerator:
    """Implements ``engine.ports.Policy``: nothing can be drawn beyond what was recorded."""

    flops_per_token: float
    slots: int = 1

    def open(self, problem: Problem, mode: Mode) -> NoReturn:
        raise AssertionError("records hold every prompt")

    def option_logits(self, asked: OptionsPrompt, problem: Problem) -> NoReturn:
        raise AssertionError("records have no options")

    def start(self, id_: BranchId, branch: BranchStart) -> NoReturn:
        raise AssertionError("records hold all that can be drawn")

    def advance(self) -> Sequence[Growth]:
        return ()

    def cancel(self, branch: BranchId) -> None:
        return None

    def close_problem(self, problem: Problem) -> None:
        pass


def description(header: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by which a report names the draws that it is made from."""
    known = ("model", "generator", "calibration", "calibration_sha256", "seed")
    return {name: header[name] for name in known}


def digest(artefact: Artefact) -> str:
    """sha256 of the file that a calibration was read from."""
    assert artefact.path is not None, "it was read from a file"
    return hashlib.sha256(artefact.path.read_bytes()).hexdigest()


def calibration_of(header: Mapping[str, Any], given: Path | None) -> Calibration:
    """The very calibration of a file's estimates: with another one its answers would be judged by both."""
    known = read_installed().artefacts
    for artefact in known if given is None else [load_artefact(given)]:
        if digest(artefact) == header["calibration_sha256"] and artefact.head is not None:
            return artefact.head
    raise SystemExit(
        f"the draws were made with another {header['calibration']} "
        f"(sha256 {header['calibration_sha256'][:12]}); --calibration FILE takes the one of then, "
        "which the history of models/calibration/shipped has"
    )


class Replay(NamedTuple):
    """Recorded questions that can be searched.

    Attributes:
        header: Header of the file.
        driver: Plays the records; its clock is that of the policy.
        problems: The questions; each asks its own id.
        policy: The generator.
    """

    header: dict[str, Any]
    driver: Driver
    problems: list[Problem]
    policy: TimedPolicy


def replay_driver(
    path: Path,
    orders: int = 1,
    *,
    calibration: Path | None = None,
    calibrator: Posterior | None = None,
    curve: StepCosts | None = None,
) -> Replay:
    """A driver that plays the records of a file.

    ``calibration`` is a file; by default the one with the header's sha256 is looked for. ``calibrator`` takes
    its place, ``curve`` that of the recorded cost of decode steps.
    """
    header, records = load(path)
    if curve is None:
        curve = StepCosts({int(size): seconds for size, seconds in header["step_seconds"].items()})
    policy = TimedPolicy(
        RecordStore(header, records, orders),
        header["flops_per_token"],
        lambda branches: curve.cheapest(branches)[0],
    )
    if calibrator is None:
        distances = {record["id"]: record["distance"] for record in records}
        own = calibration_of(header, calibration)
        head = RecordedHead(own.models, own.domains, question_estimates(records), distances)
        calibrator = Posterior(prior=expected_rate(header), head=head)
    problems = [problem_of(record) for record in records]
    executor = RecordedExecutor(records)
    driver = Driver(policy, SequenceLogprob(), {"value": calibrator}, lambda: policy.now, executor)
    return Replay(header, driver, problems, policy)
