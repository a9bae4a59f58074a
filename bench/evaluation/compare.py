"""Comparison of strategies: accuracy, cost, how sure the differences are; and that as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from adascale.engine.calibration.metrics import Predictions
from adascale.engine.calibration.posterior import Array
from adascale.engine.errors import decimal

from ..metrics import ece, ece_floor
from .evaluate import Contestant, Outcome

ROUNDS = 2000
"""Resamples of every bootstrap."""

Figure = Callable[[Outcome], float]
_RIGHT: Figure = attrgetter("right")
_TOKENS: Figure = attrgetter("usage.generated_tokens")
_SECONDS: Figure = attrgetter("usage.seconds")

Interval = tuple[float, float]
"""95 % over questions drawn with replacement."""


@dataclass(frozen=True, slots=True)
class StrategyReport:
    """Accuracy and cost of one contestant: means over questions.

    Attributes:
        name: Name of the contestant.
        strategy, settings: Name and parameters of its strategy.
        questions, repeats: Number of questions, and searches of each.
        accuracy, accuracy_ci: Share of correct answers.
        coverage: Share of searches with a correct trajectory, or a correct option that was only read.
        generated_tokens, flops, seconds, samples: Means over questions.
        ece: Expected calibration error of the answers' probabilities; None if nothing is calibrated.
        ece_floor: The ECE that noise alone would give; None if unknown.
    """

    name: str
    strategy: str
    settings: Mapping[str, object]
    questions: int
    repeats: int
    accuracy: float
    accuracy_ci: Interval
    coverage: float
    generated_tokens: float
    flops: float
    seconds: float
    samples: float
    ece: float | None
    ece_floor: float | None


@dataclass(frozen=True, slots=True)
class PairReport:
    """Contestant ``a`` against ``b`` on the same questions; ratios are None if ``b`` cost nothing."""

    a: str
    b: str
    accuracy_diff: float
    accuracy_diff_ci: Interval
    tokens_ratio: float | None
    seconds_ratio: float | None


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Every contestant in order, and every pair of them."""

    strategies: tuple[StrategyReport, ...]
    pairs: tuple[PairReport, ...]


@dataclass(slots=True)
class Comparison:
    """Outcomes by contestant and question, and the report on them.

    Attributes:
        contestants: In the order of the report.
        problems: Ids, in order.
        outcomes: By contestant and question, one for each repeat.
    """

    contestants: Sequence[Contestant]
    problems: Sequence[str]
    outcomes: dict[tuple[str, str], list[Outcome]] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Take the next outcome."""
        self.outcomes.setdefault((outcome.entry, outcome.problem), []).append(outcome)

    @property
    def searches(self) -> int:
        """Number of outcomes."""
        return sum(map(len, self.outcomes.values()))

    def report(self) -> EvaluationReport:
        """Means over questions, ratios of means, 95 % intervals."""
        names = [contestant.name for contestant in self.contestants]
        return EvaluationReport(
            tuple(map(self._strategy, self.contestants)),
            tuple(self._pair(a, b) for i, a in enumerate(names) for b in names[:i]),
        )

    def _column(self, contestant: str, figure: Figure) -> Array:
        """``[questions]`` means of a figure over repeats."""
        outcomes = [self.outcomes[contestant, problem] for problem in self.problems]
        return np.array([np.mean([*map(figure, repeats)]) for repeats in outcomes])

    def _strategy(self, contestant: Contestant) -> StrategyReport:
        def mean(figure: Figure) -> float:
            return float(self._column(contestant.name, figure).mean())

        every = [o for problem in self.problems for o in self.outcomes[contestant.name, problem]]
        error, floor = _calibration_error(every)
        return StrategyReport(
            name=contestant.name,
            strategy=contestant.strategy.name,
            settings=contestant.strategy.parameters(),
            questions=len(self.problems),
            repeats=len(every) // len(self.problems),
            accuracy=mean(_RIGHT),
            accuracy_ci=interval(self._column(contestant.name, _RIGHT)),
            coverage=mean(lambda o: o.found > 0 or o.right),
            generated_tokens=mean(_TOKENS),
            flops=mean(attrgetter("usage.flops")),
            seconds=mean(_SECONDS),
            samples=mean(attrgetter("finished")),
            ece=error,
            ece_floor=floor,
        )

    def _pair(self, a: str, b: str) -> PairReport:
        def ratio(cost: Figure) -> float | None:
            of_a, of_b = self._column(a, cost).mean(), self._column(b, cost).mean()
            return float(of_a / of_b) if of_b else None

        difference = self._column(a, _RIGHT) - self._column(b, _RIGHT)
        return PairReport(
            a, b, float(difference.mean()), interval(difference), ratio(_TOKENS), ratio(_SECONDS)
        )


def interval(column: Array) -> Interval:
    """95 % bootstrap interval of the mean of a column ``[questions]``."""
    at: NDArray[np.int64] = np.random.default_rng(0).integers(0, len(column), (ROUNDS, len(column)))
    low, high = np.quantile(column[at].mean(axis=-1), [0.025, 0.975])
    return float(low), float(high)


def _calibration_error(outcomes: Sequence[Outcome]) -> tuple[float | None, float | None]:
    """ECE of the answers' probabilities, and the ECE that noise alone would give; None if unknown."""
    known = [(o.confidence, o) for o in outcomes if o.confidence is not None and o.confidence.calibrated]
    if not known:
        return None, None
    names = {problem: at for at, problem in enumerate({o.problem: None for _, o in known})}
    question = np.array([names[o.problem] for _, o in known])
    quantiles = np.array([[c.lower, c.median, c.upper] for c, _ in known])
    right = np.array([float(o.right) for _, o in known])
    data = Predictions(question, quantiles, right, np.ones(len(known)))
    floor = ece_floor(data)
    return float(ece(data)), None if np.isnan(floor) else floor


def markdown(report: EvaluationReport) -> str:
    """A summary, then a table of the strategies, and of the last one against each other one."""
    strategies = report.strategies
    head = ("strategy", "accuracy", "(95 %)", "coverage", "samples", "tokens", "TFLOP", "seconds")
    rows = [
        [
            each.name,
            decimal(each.accuracy),
            "-".join(map(decimal, each.accuracy_ci)),
            decimal(each.coverage),
            f"{each.samples:.1f}",
            f"{each.generated_tokens:,.0f}",
            f"{each.flops / 1e12:.2f}",
            f"{each.seconds:.1f}",
            *("" if known is None else decimal(known) for known in (each.ece, each.ece_floor)),
        ]
        for each in strategies
    ]
    said = (
        "Means of a question. Coverage: share of searches with a correct solution. Seconds: of a question by "
        "itself. ECE: calibration error of the answers' probabilities; noise alone would give the other."
    )
    parts = [summary(report), _table((*head, "ECE", "noise"), rows), said]
    if pairs := [pair for pair in report.pairs if pair.a == strategies[-1].name]:
        cells = [
            [
                pair.a,
                pair.b,
                f"{pair.accuracy_diff:+.3f}",
                "{:+.3f} to {:+.3f}".format(*pair.accuracy_diff_ci),
                *("" if r is None else f"{r:.2f}" for r in (pair.tokens_ratio, pair.seconds_ratio)),
            ]
            for pair in pairs
        ]
        parts.append(_table(("a", "b", "accuracy a - b", "(95 %)", "tokens a / b", "seconds a / b"), cells))
    return "\n\n".join(parts)


def summary(report: EvaluationReport) -> str:
    """Share of correct answers of the last strategy, and of the best other one; is the difference chance?"""
    *others, last = report.strategies
    said = (
        f"{last.name} answers {last.accuracy:.0%} of {last.questions:,} questions correctly, with "
        f"{last.generated_tokens:,.0f} tokens each."
    )
    if not others:
        return said
    best = max(others, key=lambda s: (s.accuracy, -s.generated_tokens))
    [pair] = [pair for pair in report.pairs if (pair.a, pair.b) == (last.name, best.name)]
    low, high = (100 * end for end in pair.accuracy_diff_ci)
    chance = ", which may be chance" if low <= 0.0 <= high else ""
    return (
        f"{said} {best.name}, the best of the others, answers {best.accuracy:.0%}, with "
        f"{best.generated_tokens:,.0f} tokens each: a difference of {100 * pair.accuracy_diff:+.0f} points "
        f"({low:+.0f} to {high:+.0f}){chance}."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns stand below each other as text too: the first one left, numbers right."""
    widths = [max(3, *map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    padded = [
        [line[0].ljust(widths[0]), *(text.rjust(n) for text, n in zip(line[1:], widths[1:], strict=True))]
        for line in (head, rule, *rows)
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)
