"""A comparison as text: Markdown for people, CSV for spreadsheets; JSON is the report itself."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..codec import to_plain
from ..decimals import decimal
from .compare import ClassReport, CodeReport, EvaluationReport, PairReport, StrategyReport
from .evaluate import CLASSES, SURE

_FIGURES: Mapping[str, Callable[[StrategyReport], str]] = {
    "strategy": lambda s: s.name,
    "questions": lambda s: f"{s.questions:,}",
    "accuracy": lambda s: _share_text(s.accuracy),
    "(95 %)": lambda s: "-".join(map(_share_text, s.accuracy_ci)),
    "coverage": lambda s: _share_text(s.coverage),
    "samples": lambda s: f"{s.samples:.1f}",
    "tokens": lambda s: f"{s.generated_tokens:,.0f}",
    "PRM tokens": lambda s: f"{s.prm_tokens:,.0f}",
    "TFLOP": lambda s: f"{s.flops / 1e12:.2f}",
    "seconds": lambda s: f"{s.seconds:.1f}",
    "ECE": lambda s: _share_text(s.ece),
    "noise": lambda s: _share_text(s.ece_floor),
}
_CODE: Mapping[str, Callable[[CodeReport], str]] = {
    "passes given": lambda c: _share_text(c.passes),
    "oracle": lambda c: _share_text(c.oracle),
    "runs": lambda c: f"{c.executions:.1f}",
}
_CLASSES = ("strategy", f"answers at {SURE:g}", "right of them", *CLASSES)
_PAIR = ("a", "b", "accuracy a - b", "(95 %)", "tokens a / b", "(95 %)", "FLOPs a / b", "seconds a / b")


def markdown(report: EvaluationReport) -> str:
    """Tables of strategies, by difficulty, and of the last strategy against each other one."""
    strategies = report.strategies
    pairs = [pair for pair in report.pairs if pair.a == strategies[-1].name]
    of_tasks = [(s.name, s.code) for s in strategies if s.code is not None]
    parts = [
        _markdown_table(list(_FIGURES), [[figure(s) for figure in _FIGURES.values()] for s in strategies]),
        "Per question. Coverage: a finished trajectory is right. Seconds: of a question by itself. "
        "ECE: of the answer's probability; noise alone makes as much as stands beside it.",
        _markdown_table(_CLASSES, [_class_row(strategy) for strategy in strategies]),
        "By difficulty, accuracy at tokens: the share of right trajectories among the most that were drawn "
        "(none, below .25, to .75, above).",
    ]
    if of_tasks:
        rows = [[name, *(figure(found) for figure in _CODE.values())] for name, found in of_tasks]
        parts.append(_markdown_table(["strategy", *_CODE], rows))
        parts.append(
            "Code tasks: accuracy is by the hidden tests. Oracle: a choice among the programs that pass as "
            "many given tests could be right. Runs: programs that were run."
        )
    if pairs:
        parts.append(_markdown_table(_PAIR, [_pair_row(pair) for pair in pairs]))
    return "\n\n".join(parts)


def csv_text(report: EvaluationReport) -> str:
    """One row per strategy; intervals as two columns."""
    out = io.StringIO()
    rows = [_csv_row(strategy) for strategy in report.strategies]
    names = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(out, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _csv_row(strategy: StrategyReport) -> dict[str, Any]:
    plain = {k: value for k, value in to_plain(strategy).items() if not isinstance(value, dict | list)}
    low, high = strategy.accuracy_ci
    return {
        **plain,
        "accuracy_low": low,
        "accuracy_high": high,
        "sure_share": strategy.sure.share,
        "sure_accuracy": strategy.sure.accuracy,
        **{f"code_{name}": value for name, value in to_plain(strategy.code or {}).items()},
    }


def _class_row(strategy: StrategyReport) -> list[str]:
    classes = [_at_tokens(strategy.by_difficulty[name]) for name in CLASSES]
    return [strategy.name, _share_text(strategy.sure.share), _share_text(strategy.sure.accuracy), *classes]


def _at_tokens(of_class: ClassReport) -> str:
    tokens = of_class.generated_tokens
    return "" if tokens is None else f"{_share_text(of_class.accuracy)} at {tokens:,.0f}"


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


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
