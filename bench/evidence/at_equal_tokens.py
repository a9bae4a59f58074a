"""All cells together: ``adaptive`` against fixed votes and votes-only stopping rules at the same tokens.

Usage: ``python -m bench.evidence.at_equal_tokens FILE.jsonl.gz ... [--orders 8]``

Each file is a cell: one model on one set of questions (``recorded_draws``). A rule of one number (the vote of
k; a lead of two votes among k at most) is played at several k. "At the same tokens" means mixed: in each cell
the two k whose tokens lie around those of ``adaptive`` are played in such shares that the tokens are equal.
Where programs were drawn too, ``adaptive`` chooses between the modes as long as there are programs left, each
of them alone is a row, and so are the rules that read agreement of both (arXiv 2604.17433). FLOPs count every
prompt that was read. Intervals are 95 %, paired, over questions that are drawn again within each cell (2,000
rounds); the shares of a mixture are found anew in each round.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from adascale.engine.answers.equality import is_right
from adascale.engine.answers.result import Standing
from adascale.engine.evaluation.contestants import parse_contestants
from adascale.engine.evaluation.evaluate import AT_ONCE, Contestant, evaluate
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import AnswersJudged
from adascale.engine.search.judging_order import FAILURES
from adascale.engine.search.record import Record
from adascale.engine.search.settings import Settings
from adascale.engine.search.tree import Tree
from adascale.engine.strategies import Adaptive, Margin, Plan, Strategy, Vote
from adascale.engine.strategies.base import whole_trajectories
from adascale.engine.strategies.redraws import REDRAWS
from adascale.engine.strategies.vote_stopping import Sequential, all_drawn
from adascale.engine.types import Mode, Problem

from ..baselines import AdaptiveConsistency, EarlyStopping, FirstTo, ProseAndProgram, VoteUntil
from ..common import close, table
from . import recorded_draws

Array = NDArray[np.float64]

ROUNDS = 2000
RIGHT, TOKENS, SECONDS, FLOPS = range(4)
COLUMNS = 4

ADAPTIVE = "adaptive"

READ_ESTIMATES = ("adaptive@low", "best-of-n:16+n")
"""Rules that read estimates, besides ``adaptive`` as it is; higher efforts draw more than is recorded."""

READ_BOTH = ("adaptive/prose", "adaptive/program")
"""Those that read estimates where there are programs."""

READ_VOTES = ("greedy", "vote:4", "vote:8", "vote:16")
"""Rules that draw all at once: they are played without a calibration, in a tenth of the time."""

READ_VOTES_OF_BOTH = ("vote:16/both", "vote:16/both+redraw", "vote:12/both+redraw")
"""Those that are played where there are programs."""

SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16)
"""Most solutions of the members of a family."""

BOTH: tuple[Mode, ...] = "prose", "program"

VOTES: Sequence[Strategy] = [Vote(k) for k in (1, 2, 4, 6, 8, 12, 16)]

Rule = Margin | VoteUntil

LEAD = Margin(lead=2)
STOPPING: Mapping[str, Rule] = {
    "a lead of two": LEAD,
    "adaptive-consistency": AdaptiveConsistency(),
    "first-to:3": FirstTo(votes=3),
    "esc:5": EarlyStopping(window=5),
}
"""Rules that judge one solution after another, in prose: each ends earlier or later on the same way."""

STOPPING_OF_BOTH: Mapping[str, Rule] = {
    "a lead of two in both modes": LEAD.changed(modes=BOTH),
    "the same with redraws": LEAD.changed(modes=BOTH, redraws=REDRAWS),
    "cpff": ProseAndProgram(),
}


@dataclass(frozen=True, slots=True)
class RuleComparison:
    """One rule against ``adaptive``.

    Attributes:
        rule: Its name.
        accuracy: Mean over all questions, in [0, 1].
        tokens: Generated tokens a question.
        seconds: Seconds of one question alone, by the recorded cost of decode steps.
        flops: FLOPs of a question, prompts included.
        gain: Accuracy of ``adaptive`` minus that of the rule.
        gain_ci: Its 95 % interval.
        tokens_share: Tokens of ``adaptive`` over those of the rule.
        seconds_share: The same of seconds.
        flops_share: The same of FLOPs.
    """

    rule: str
    accuracy: float
    tokens: float
    seconds: float
    flops: float
    gain: float
    gain_ci: tuple[float, float]
    tokens_share: float
    seconds_share: float
    flops_share: float

    @classmethod
    def of(cls, rule: str, ours: Array, theirs: Array, again: Array) -> RuleComparison:
        """From ``[COLUMNS]`` means of both, and the gains on questions that were drawn again."""
        low, high = np.quantile(again, [0.025, 0.975])
        return cls(
            rule,
            accuracy=float(theirs[RIGHT]),
            tokens=float(theirs[TOKENS]),
            seconds=float(theirs[SECONDS]),
            flops=float(theirs[FLOPS]),
            gain=float(ours[RIGHT] - theirs[RIGHT]),
            gain_ci=(float(low), float(high)),
            tokens_share=float(ours[TOKENS] / theirs[TOKENS]),
            seconds_share=float(ours[SECONDS] / theirs[SECONDS]),
            flops_share=float(ours[FLOPS] / theirs[FLOPS]),
        )


@dataclass(frozen=True, slots=True)
class Cell:
    """Figures of every rule on one file.

    Attributes:
        name: Name of the file.
        results: By rule, ``[questions, COLUMNS]``: share right, tokens, seconds and FLOPs, means over orders.
        families: By family, ``[numbers, questions, COLUMNS]``, ascending.
    """

    name: str
    results: Mapping[str, Array]
    families: Mapping[str, Array]

    @property
    def questions(self) -> int:
        """How many there are."""
        return len(self.results["adaptive"])


def play(
    path: Path,
    strategies: Mapping[str, Strategy],
    orders: int,
    *,
    calibrated: bool = True,
) -> dict[str, Array]:
    """``[questions, COLUMNS]`` of each strategy; see ``recorded_draws.replay_driver``."""
    header, driver, problems = recorded_draws.replay_driver(path, orders, calibrated=calibrated)
    at = {problem.id: index for index, problem in enumerate(problems)}
    sums = {name: np.zeros((len(problems), COLUMNS)) for name in strategies}
    entries = [Contestant(name, recorded_draws.within(each, header)) for name, each in strategies.items()]
    for outcome in evaluate(driver, entries, problems, orders, header["seed"]):
        usage = outcome.usage
        found = (outcome.right, usage.generated_tokens, usage.seconds, usage.flops)
        sums[outcome.entry][at[outcome.problem]] += found
    return {name: total / orders for name, total in sums.items()}


@dataclass(frozen=True, slots=True)
class Endless(Sequential):
    """Judges every solution."""

    name: ClassVar[str] = "endless"

    def plan(self, tree: Tree) -> Plan:
        """Judge one trajectory after the other, to the last."""
        yield whole_trajectories(self.samples, self.modes, sure=min(2, self.samples))
        while not all_drawn(tree, self.samples):
            yield ()
        return "confident"


@dataclass(frozen=True, slots=True)
class Judged:
    """A question after one more solution was judged.

    Attributes:
        standing: Its votes.
        answers: Answer of each solution so far.
        columns: Whether the leading answer is right, and the costs so far.
    """

    standing: Standing
    answers: Sequence[str | None]
    columns: tuple[float, float, float, float]


def play_stopping(path: Path, rules: Mapping[str, Rule], orders: int) -> dict[str, Array]:
    """``[SIZES, questions, COLUMNS]`` of each rule, with so many solutions at most.

    Rules with the same modes and redraws draw the same solutions, so these are judged once for all of them.
    """
    header, driver, problems = recorded_draws.replay_driver(path, orders, calibrated=False)
    found = {name: np.zeros((len(SIZES), len(problems), COLUMNS)) for name in rules}
    for order in range(orders):
        ways: dict[Strategy, Mapping[str, Sequence[Judged]]] = {}
        for name, rule in rules.items():
            is_plain = not isinstance(rule, ProseAndProgram)
            samples = min(rule.samples, _recorded(header, rule.modes))
            way: Strategy = Endless(samples, modes=rule.modes, redraws=rule.redraws)
            if not is_plain:
                way = rule.changed(samples=samples)
            if way not in ways:
                ways[way] = _judged(driver, problems, way, header["seed"] + order)
            for at, problem in enumerate(problems):
                found[name][:, at] += _ends(ways[way][problem.id], rule if is_plain else None)
    return {name: total / orders for name, total in found.items()}


def _recorded(header: Mapping[str, Any], modes: Sequence[Mode]) -> int:
    """Most solutions by turns that a file has, also of a question whose programs crash and are left out."""
    by_mode: dict[Mode, int] = {"prose": header["samples"], "program": header.get("programs", 0)}
    by_turns = len(modes) * min(by_mode[mode] for mode in modes)
    return by_turns if len(modes) == 1 else min(by_turns, by_mode["prose"] + FAILURES)


def _judged(
    driver: Driver, problems: Sequence[Problem], strategy: Strategy, seed: int
) -> Mapping[str, Sequence[Judged]]:
    records: dict[str, Record] = {}
    judged: dict[str, list[Judged]] = {problem.id: [] for problem in problems}
    for problem, event in driver.run(problems, Settings(strategy, seed=seed), AT_ONCE):
        record = records[problem.id] = Record.after(records.get(problem.id), event)
        if isinstance(event, AnswersJudged):
            usage, standing = record.usage, event.standing
            by_node = {node: group.answer for group in event.groups for node in group.nodes}
            answers = [by_node.get(candidate.node) for candidate in record.candidates]
            right = _is_right(standing.answer, problem.answer or "")
            columns = (right, usage.generated_tokens, usage.seconds, usage.flops)
            judged[problem.id].append(Judged(standing, answers, columns))
    return judged


def _ends(judged: Sequence[Judged], rule: Rule | None) -> Array:
    """``[SIZES, COLUMNS]`` where a rule ends; without one where all that was judged does."""
    ends = np.zeros((len(SIZES), COLUMNS))
    for each in judged:
        # A member that may draw no more ends here; one that may goes on, and overwrites it.
        ends[int(np.searchsorted(SIZES, each.standing.finished)) :] = each.columns
        if rule is not None and _is_satisfied(rule, each):
            break
    return ends


def _is_satisfied(rule: Rule, judged: Judged) -> bool:
    if isinstance(rule, Margin):
        return rule.is_satisfied(judged.standing)
    return rule.is_satisfied(judged.standing, judged.answers)


@functools.cache
def _is_right(answer: str | None, gold: str) -> bool:
    return is_right(answer, gold=gold)


def play_cell(path: Path, orders: int) -> Cell:
    """Play everything on one file."""
    both = bool(recorded_draws.load(path)[0].get("programs"))
    votes = named((*READ_VOTES, *(READ_VOTES_OF_BOTH if both else ())))
    readers = named((*READ_ESTIMATES, *(READ_BOTH if both else ())))
    readers[ADAPTIVE] = Adaptive(modes=BOTH if both else ("prose",))
    line = {f"vote {at}": strategy for at, strategy in enumerate(VOTES)}
    found = play(path, {**votes, **line}, orders, calibrated=False)
    stopping = play_stopping(path, {**STOPPING, **(STOPPING_OF_BOTH if both else {})}, orders)
    single = {
        **play(path, readers, orders),
        **{name: found[name] for name in votes},
        **{f"{name}, 16 at most": ends[-1] for name, ends in stopping.items()},
    }
    families = {"vote": np.stack([found[name] for name in line])} | {
        name: ends for name, ends in stopping.items() if name in (*STOPPING_OF_BOTH, "a lead of two")
    }
    return Cell(path.name.removesuffix(".jsonl.gz"), single, families)


def named(rules: Sequence[str]) -> dict[str, Strategy]:
    """Strategies as ``adascale eval`` names them, by these names."""
    return {each.name: each.strategy for each in parse_contestants(",".join(rules))}


def rules_of(cells: Sequence[Cell]) -> list[str]:
    """The rows of a table: what all cells have, the families at the tokens of ``adaptive`` first."""
    families = [f for f in cells[0].families if all(f in one.families for one in cells)]
    singles = [r for r in cells[0].results if r != ADAPTIVE and all(r in one.results for one in cells)]
    return [*(f"{family}=" for family in families), *singles]


def at_tokens(family: Array, tokens: float) -> Array:
    """``[COLUMNS]`` means of the mixture of two neighbours of a family that costs ``tokens`` a question.

    Beyond its ends the nearest member stands alone.
    """
    means = family.mean(axis=1)
    order = np.argsort(means[:, TOKENS])
    return np.array([np.interp(tokens, means[order, TOKENS], column[order]) for column in means.T])


def means(cells: Sequence[Cell], rule: str, rows: Sequence[NDArray[np.int64]]) -> Array:
    """``[COLUMNS]`` of a rule over the chosen questions of all cells, every question counting alike.

    ``FAMILY=`` is the family at the tokens of ``adaptive``, cell by cell.
    """
    parts = []
    for one, chosen in zip(cells, rows, strict=True):
        if rule.endswith("="):
            wanted = one.results["adaptive"][chosen][:, TOKENS].mean()
            part = at_tokens(one.families[rule[:-1]][:, chosen], wanted)
        else:
            part = one.results[rule][chosen].mean(axis=0)
        parts.append(part * len(chosen))
    total: Array = np.sum(parts, axis=0)
    return total / sum(len(chosen) for chosen in rows)


def compare(cells: Sequence[Cell], rules: Sequence[str]) -> list[RuleComparison]:
    """``adaptive`` against each rule on the questions of all cells."""
    every = [np.arange(one.questions) for one in cells]
    rng = np.random.default_rng(0)
    rounds = [[rng.integers(0, one.questions, one.questions) for one in cells] for _ in range(ROUNDS)]
    ours = means(cells, "adaptive", every)
    ours_again = np.array([means(cells, "adaptive", rows)[RIGHT] for rows in rounds])
    found = []
    for rule in rules:
        theirs = means(cells, rule, every)
        again = ours_again - np.array([means(cells, rule, rows)[RIGHT] for rows in rounds])
        found.append(RuleComparison.of(rule.replace("=", ", at the same tokens"), ours, theirs, again))
    return found


def show(title: str, ours: Array, rows: Sequence[RuleComparison]) -> None:
    """A table for people."""
    print(f"\n{title}: adaptive {ours[RIGHT]:.3f} at {ours[TOKENS]:,.0f} tokens, {ours[SECONDS]:.1f} s")
    table(
        [
            "beside",
            "accuracy",
            "tokens",
            "seconds",
            "adaptive is better by",
            "of its tokens",
            "of its seconds",
            "of its FLOPs",
        ],
        [
            [
                row.rule,
                f"{row.accuracy:.3f}",
                f"{row.tokens:,.0f}",
                f"{row.seconds:.1f}",
                f"{row.gain:+.3f} ({row.gain_ci[0]:+.3f} to {row.gain_ci[1]:+.3f})",
                f"{row.tokens_share:.2f}",
                f"{row.seconds_share:.2f}",
                f"{row.flops_share:.2f}",
            ]
            for row in rows
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--orders", type=int, default=8)
    args = parser.parse_args()
    cells = [play_cell(path, args.orders) for path in args.files]
    report: dict[str, object] = {}
    groups = {"pooled": cells, **{one.name: [one] for one in cells}}
    for name, group in groups.items():
        rows = compare(group, rules_of(group))
        ours = means(group, "adaptive", [np.arange(one.questions) for one in group])
        questions = sum(one.questions for one in group)
        show(f"{name}, {questions} questions", ours, rows)
        report[name] = {
            "questions": questions,
            "adaptive": dict(zip(("accuracy", "tokens", "seconds", "flops"), map(float, ours), strict=True)),
            "rows": [asdict(row) for row in rows],
        }
    close(report)


if __name__ == "__main__":
    main()
