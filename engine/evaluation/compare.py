"""Comparison of strategies: accuracy, cost, how sure the differences are; and that as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from ..calibration.metrics import Predictions, ece, ece_floor
from ..calibration.posterior import Array
from ..errors import decimal
from ..types import probability_of
from .evaluate import SURE, Contestant, Outcome

ROUNDS = 2000
"""Resamples of every bootstrap."""


Figure = Callable[[Outcome], float]
_RIGHT: Figure = attrgetter("right")
_TOKENS: Figure = attrgetter("usage.generated_tokens")
_FLOPS: Figure = attrgetter("usage.flops")
_SECONDS: Figure = attrgetter("usage.seconds")

Interval = tuple[float, float]
"""95 % over questions drawn with replacement."""


@dataclass(frozen=True, slots=True)
class SureReport:
    """Searches whose answer has at least the probability ``at``.

    Attributes:
        at: ``SURE``.
        share: Share of all searches.
        accuracy: Share of these searches that are correct; None without any.
    """

    at: float
    share: float
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class StrategyReport:
    """Accuracy and cost of one contestant: means over questions.

    Attributes:
        name: Name of the contestant.
        strategy, settings: Name and parameters of its strategy.
        questions, repeats: Number of questions, and searches of each.
        accuracy, accuracy_ci: Share of correct answers.
        coverage: Share of searches with a correct trajectory, or a correct option that was only read.
        generated_tokens, prm_tokens, flops, seconds, samples: Means over questions.
        ece: Expected calibration error of the answers' probabilities; None if nothing is calibrated.
        ece_floor: The ECE that noise alone would give; None if unknown.
        sure: Answers that are likely enough to be given.
        stopped: Number of searches by stop reason.
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
    prm_tokens: float
    flops: float
    seconds: float
    samples: float
    ece: float | None
    ece_floor: float | None
    sure: SureReport
    stopped: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PairReport:
    """Contestant ``a`` against ``b`` on the same questions; ratios are None if ``b`` cost nothing."""

    a: str
    b: str
    accuracy_diff: float
    accuracy_diff_ci: Interval
    tokens_ratio: float | None
    tokens_ratio_ci: Interval | None
    flops_ratio: float | None
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
        name = contestant.name
        right, covered = self._column(name, _RIGHT), self._column(name, lambda o: o.found > 0 or o.right)
        every = [o for problem in self.problems for o in self.outcomes[name, problem]]
        error, floor = _calibration_error(every)
        return StrategyReport(
            name=name,
            strategy=contestant.strategy.name,
            settings=contestant.strategy.parameters(),
            questions=len(self.problems),
            repeats=len(every) // len(self.problems),
            accuracy=float(right.mean()),
            accuracy_ci=interval(lambda at: right[at].mean(axis=-1), len(right)),
            coverage=float(covered.mean()),
            generated_tokens=self._mean(name, _TOKENS),
            prm_tokens=self._mean(name, attrgetter("usage.prm_tokens")),
            flops=self._mean(name, _FLOPS),
            seconds=self._mean(name, _SECONDS),
            samples=self._mean(name, attrgetter("finished")),
            ece=error,
            ece_floor=floor,
            sure=_sure_report(every),
            stopped=dict(Counter(o.stop_reason or "failed" for o in every)),
        )

    def _mean(self, contestant: str, figure: Figure) -> float:
        return float(self._column(contestant, figure).mean())

    def _pair(self, a: str, b: str) -> PairReport:
        difference = self._column(a, _RIGHT) - self._column(b, _RIGHT)
        tokens, flops, seconds = (
            _ratio(self._column(a, cost), self._column(b, cost)) for cost in (_TOKENS, _FLOPS, _SECONDS)
        )
        return PairReport(
            a,
            b,
            float(difference.mean()),
            interval(lambda at: difference[at].mean(axis=-1), len(difference)),
            tokens[0],
            tokens[1],
            flops[0],
            seconds[0],
        )


def interval(statistic: Callable[[NDArray[np.int64]], Array], questions: int) -> Interval:
    """95 % bootstrap interval; ``statistic`` maps ``[rounds, questions]`` indices to ``[rounds]``."""
    rng = np.random.default_rng(0)
    values = statistic(rng.integers(0, questions, (ROUNDS, questions)))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _ratio(x: Array, y: Array) -> tuple[float, Interval] | tuple[None, None]:
    """Ratio of two means with its interval; None if the second is 0."""
    if not y.any():
        return None, None
    return float(x.mean() / y.mean()), interval(
        lambda at: x[at].sum(axis=-1) / np.maximum(y[at].sum(axis=-1), 1e-12), len(x)
    )


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


def _sure_report(outcomes: Sequence[Outcome]) -> SureReport:
    sure = [o for o in outcomes if (p := probability_of(o.confidence)) is not None and p >= SURE]
    accuracy = sum(o.right for o in sure) / len(sure) if sure else None
    return SureReport(SURE, len(sure) / max(1, len(outcomes)), accuracy)


Figures = Mapping[str, Callable[[StrategyReport], str]]

_COSTS: Figures = {
    "strategy": lambda s: s.name,
    "accuracy": lambda s: _share_text(s.accuracy),
    "(95 %)": lambda s: "-".join(map(_share_text, s.accuracy_ci)),
    "coverage": lambda s: _share_text(s.coverage),
    "samples": lambda s: f"{s.samples:.1f}",
    "tokens": lambda s: f"{s.generated_tokens:,.0f}",
    "PRM tokens": lambda s: f"{s.prm_tokens:,.0f}",
    "TFLOP": lambda s: f"{s.flops / 1e12:.2f}",
    "seconds": lambda s: f"{s.seconds:.1f}",
}
_PROBABILITIES: Figures = {
    "strategy": lambda s: s.name,
    "ECE": lambda s: _share_text(s.ece),
    "noise": lambda s: _share_text(s.ece_floor),
    f"answers at {SURE:g}": lambda s: _share_text(s.sure.share),
    "correct of them": lambda s: _share_text(s.sure.accuracy),
}
_PAIR = ("a", "b", "accuracy a - b", "(95 %)", "tokens a / b", "(95 %)", "FLOPs a / b", "seconds a / b")


def markdown(report: EvaluationReport) -> str:
    """A summary, then tables of the strategies, and of the last one against each other one."""
    strategies = report.strategies
    parts = [
        summary(report),
        _table(_COSTS, strategies),
        "Means of a question. Coverage: share of searches with a correct solution. Seconds: of a question by "
        "itself.",
    ]
    if calibrated := [strategy for strategy in strategies if strategy.ece is not None]:
        parts += [
            _table(_PROBABILITIES, calibrated),
            "ECE: calibration error of the answers' probabilities; noise alone would give the other. "
            f"Answers at {SURE:g}: share of answers with at least this probability.",
        ]
    if pairs := [pair for pair in report.pairs if pair.a == strategies[-1].name]:
        parts.append(_markdown_table(_PAIR, [_pair_row(pair) for pair in pairs]))
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


def _pair_row(pair: PairReport) -> list[str]:
    return [
        pair.a,
        pair.b,
        f"{pair.accuracy_diff:+.3f}",
        "{:+.3f} to {:+.3f}".format(*pair.accuracy_diff_ci),
        _ratio_text(pair.tokens_ratio),
        "" if pair.tokens_ratio_ci is None else "{:.2f} to {:.2f}".format(*pair.tokens_ratio_ci),
        _ratio_text(pair.flops_ratio),
        _ratio_text(pair.seconds_ratio),
    ]


def _share_text(value: float | None) -> str:
    return "" if value is None else decimal(value)


def _ratio_text(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _table(figures: Figures, strategies: Sequence[StrategyReport]) -> str:
    return _markdown_table(list(figures), [[figure(s) for figure in figures.values()] for s in strategies])


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns stand below each other as text too: the first one left, numbers right."""
    widths = [max(3, *map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    padded = [
        [
            line[0].ljust(widths[0]),
            *(text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)),
        ]
        for line in (head, rule, *rows)
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)
