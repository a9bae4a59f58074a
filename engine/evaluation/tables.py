"""A comparison as Markdown for people; for programs its JSON is the report itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..decimals import decimal
from .compare import EvaluationReport, PairReport, StrategyReport
from .evaluate import SURE

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
