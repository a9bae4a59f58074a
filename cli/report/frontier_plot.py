"""The picture of an evaluation: accuracy against tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .plots import DARK, error_bars, load_pyplot, save_figure

if TYPE_CHECKING:
    from adascale.engine.evaluation.compare import EvaluationReport, PairReport, StrategyReport

# Okabe and Ito's colours, which most colour-blind people tell apart; the marker says the same again.
_LOOKS = tuple(
    zip(
        ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
        "osD^vPX",
        strict=True,
    )
)


def frontier(report: EvaluationReport, described: Mapping[str, Any], path: Path) -> None:
    """Accuracy with its 95 % interval against tokens a question; PNG or SVG by the file's name.

    A line joins the settings of one strategy, which the legend names from left to right. A second panel shows
    by how many points of accuracy the last strategy is ahead of each other one on the same questions, and its
    tokens as a share of theirs.

    Args:
        report: Report of an evaluation.
        described: Data, seed and models, for whoever finds the picture.
        path: Is overwritten.

    Raises:
        UsageError: the file cannot be written.
    """
    pyplot = load_pyplot()
    pairs = [pair for pair in report.pairs if pair.a == report.strategies[-1].name]
    panels = 2 if pairs else 1
    shape = {"width_ratios": [3, 2][:panels]}
    size = (6.4 + 4.0 * (panels - 1), 4.8)
    figure, [axes] = pyplot.subplots(1, panels, figsize=size, squeeze=False, gridspec_kw=shape)
    _draw_costs(axes[0], report.strategies)
    if pairs:
        _draw_differences(axes[1], pairs)
    known = ("data", "seed", "generator", "prm", "calibration")
    about = {name: described[name] for name in known if name in described}
    save_figure(figure, path, "Accuracy against compute", json.dumps(about, sort_keys=True))


def _draw_costs(axis: Any, strategies: Sequence[StrategyReport]) -> None:
    for number, members in enumerate(_families(strategies)):
        color, marker = _LOOKS[number % len(_LOOKS)]
        x, y = [_tokens_a_question(s) for s in members], [s.accuracy for s in members]
        error = error_bars(y, (s.accuracy_ci for s in members))
        look = {"color": color, "marker": marker, "elinewidth": 0.6, "linestyle": ":", "capsize": 2}
        axis.errorbar(x, y, error, label=", ".join(s.name for s in members), **look)
    axis.legend(fontsize=8)
    axis.set_xscale("log", base=2)
    axis.margins(x=0.12)
    axis.xaxis.set_major_formatter(lambda tokens, _: f"{tokens:,.0f}")
    judged = any(s.prm_tokens for s in strategies)
    axis.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    tokens = "tokens for each question, read by a PRM too" if judged else "tokens written for each question"
    axis.set(title="Questions answered correctly", xlabel=tokens)


def _families(strategies: Sequence[StrategyReport]) -> list[list[StrategyReport]]:
    """Settings of one strategy and rule together, the cheapest first."""
    families: dict[tuple[str, object], list[StrategyReport]] = {}
    for strategy in sorted(strategies, key=_tokens_a_question):
        key = strategy.strategy, strategy.settings.get("adapt", "none")
        families.setdefault(key, []).append(strategy)
    return list(families.values())


def _tokens_a_question(strategy: StrategyReport) -> float:
    return strategy.generated_tokens + strategy.prm_tokens


def _draw_differences(axis: Any, pairs: Sequence[PairReport]) -> None:
    """One row for each other strategy, in the order of the report from above."""
    rows = range(len(pairs), 0, -1)
    points = [100 * pair.accuracy_diff for pair in pairs]
    ends = ((100 * low, 100 * high) for low, high in (pair.accuracy_diff_ci for pair in pairs))
    axis.axvline(0, color="0.7")
    axis.errorbar(points, rows, xerr=error_bars(points, ends), fmt="o", color=DARK, elinewidth=0.8, capsize=2)
    axis.set_yticks(rows, [_against(pair) for pair in pairs])
    axis.set(title=f"{pairs[0].a} is ahead of", xlabel="percentage points, on the same questions")
    axis.set_ylim(0.5, len(pairs) + 0.5)


def _against(pair: PairReport) -> str:
    ratio = pair.tokens_ratio
    if ratio is None:
        return pair.b
    return f"{pair.b}\nat " + (f"{ratio:.0%} of its tokens" if ratio < 2 else f"{ratio:.1f} times its tokens")
