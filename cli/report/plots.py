"""Pictures, with matplotlib from the plots extra, in one style that reads without colour.

The same data gives the same bytes: no date, no random ids, and text stays text in an SVG.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adascale.engine.errors import UsageError
from adascale.engine.evaluation.wilson import wilson
from adascale.models.storage import cache_folder

from ..disk.files import check_apart, check_writable, unwritable
from ..terminal.text import chance
from .calibrate_report import STAGE_NAMES

if TYPE_CHECKING:
    from adascale.engine.calibration.metrics import Bin
    from adascale.engine.calibration.report import StageReport
    from adascale.engine.evaluation.compare import EvaluationReport, PairReport, StrategyReport

_STYLE = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "font.size": 9,
    "grid.color": "0.92",
    "legend.frameon": False,
    "lines.linewidth": 1,
    "svg.fonttype": "none",
    "svg.hashsalt": "adascale",
}
# Okabe and Ito's colours, which most colour-blind people tell apart; the marker says the same again.
_LOOKS = tuple(
    zip(
        ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
        "osD^vPX",
        strict=True,
    )
)
_DARK, _GREY = "#0072b2", "0.55"
_INSIDE = (0, 0.03, 1, 1)
_MARK = 5
"""Half the side of the square that a marker covers, in pixels."""
_PLACES = tuple((x, y) for y in (6, -8, 16, -18, 26, -28, 36, -38) for x in (6, -6))
"""Where a label is put beside its point, the best first; in points of the page."""
_Z = 1.6449
"""Standard errors of a 90 % interval."""


def check_plot(path: Path, sources: Iterable[str | Path] = ()) -> None:
    """Refuse early what could not be drawn after hours of work.

    Args:
        path: Where to draw.
        sources: Files that are read, which no picture may replace.

    Raises:
        UsageError: matplotlib is not installed, or the file is neither PNG nor SVG, cannot be written, or is
            one of the sources.
    """
    if path.suffix.lower() not in (".png", ".svg"):
        name = shlex.quote(str(path.with_suffix(".svg")))
        raise UsageError(f"--plot {path} is neither .png nor .svg", hint=f"--plot {name}")
    check_writable(path)
    check_apart(path, sources, f"--plot plot{path.suffix}")
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError(
            "pictures need matplotlib", slug="no-matplotlib", hint='pip install "adascale[plots]"'
        )


def reliability_diagram(stages: Mapping[str, StageReport], path: Path, label: str = "calibrated") -> None:
    """Estimated against observed by stage, the raw score beside it; PNG or SVG by the file's name.

    Bars are 90 % Wilson intervals that count questions, since the steps of one question go together.

    Args:
        stages: Report by stage.
        path: Is overwritten.
        label: What the estimates are.

    Raises:
        UsageError: the file cannot be written.
    """
    pyplot = _pyplot()
    ordered = [(name, stages[name]) for name in STAGE_NAMES if name in stages]
    size = (2.6 * len(ordered) + 0.6, 3.6)
    figure, [axes] = pyplot.subplots(1, len(ordered), figsize=size, sharey=True, squeeze=False)
    for axis, (name, stage) in zip(axes, ordered, strict=True):
        axis.plot([0, 1], [0, 1], color="0.7")
        if stage.raw is not None:
            axis.plot(*_points(stage.raw.reliability), "x--", color=_GREY, markersize=5, label="raw score")
        _draw_bins(axis, stage, label)
        axis.set(
            title=STAGE_NAMES[name].capitalize(), xlabel="estimated", xlim=(0, 1), ylim=(0, 1), aspect="equal"
        )
        axis.text(
            0.97, 0.03, _stage_figures(stage), transform=axis.transAxes, ha="right", va="bottom", fontsize=7
        )
    axes[0].set_ylabel("observed")
    axes[0].legend(*_legend(axes), fontsize=7, loc="upper left")
    _save_figure(figure, path, "How likely it was said to be, and how often it was right")


def frontier(report: EvaluationReport, described: Mapping[str, Any], path: Path) -> None:
    """Accuracy with its 95 % interval against tokens a question; PNG or SVG by the file's name.

    A line joins the settings of one strategy. Beside it stands how many points of accuracy the last strategy
    is ahead of each other one on the same questions, and its tokens as a share of theirs.

    Args:
        report: Report of an evaluation.
        described: Data, seed and models, for whoever finds the picture.
        path: Is overwritten.

    Raises:
        UsageError: the file cannot be written.
    """
    pyplot = _pyplot()
    pairs = [pair for pair in report.pairs if pair.a == report.strategies[-1].name]
    panels = 2 if pairs else 1
    shape = {"width_ratios": [3, 2][:panels]}
    size = (6.4 + 4.0 * (panels - 1), 4.8)
    figure, [axes] = pyplot.subplots(1, panels, figsize=size, squeeze=False, gridspec_kw=shape)
    _draw_costs(axes[0], report.strategies)
    if pairs:
        _draw_differences(axes[1], pairs)
    figure.tight_layout(rect=_INSIDE)
    _write_names(axes[0], {s.name: (_tokens_a_question(s), s.accuracy) for s in report.strategies})
    known = ("data", "seed", "generator", "prm", "calibration")
    about = {name: described[name] for name in known if name in described}
    _save_figure(figure, path, "Accuracy against compute", json.dumps(about, sort_keys=True))


def _draw_costs(axis: Any, strategies: Sequence[StrategyReport]) -> None:
    for number, members in enumerate(_families(strategies)):
        color, marker = _LOOKS[number % len(_LOOKS)]
        x, y = [_tokens_a_question(s) for s in members], [s.accuracy for s in members]
        error = _error_bars(y, (s.accuracy_ci for s in members))
        axis.errorbar(x, y, error, color=color, marker=marker, elinewidth=0.6, linestyle=":", capsize=2)
    axis.set_xscale("log", base=2)
    axis.margins(x=0.12)
    axis.xaxis.set_major_formatter(lambda tokens, _: f"{tokens:,.0f}")
    judged = any(s.prm_tokens for s in strategies)
    axis.set(xlabel=f"tokens a question{', those a PRM reads too' if judged else ''}", ylabel="accuracy")


def _draw_differences(axis: Any, pairs: Sequence[PairReport]) -> None:
    """One row for each other strategy, in the order of the report from above."""
    rows = range(len(pairs), 0, -1)
    points = [100 * pair.accuracy_diff for pair in pairs]
    ends = ((100 * low, 100 * high) for low, high in (pair.accuracy_diff_ci for pair in pairs))
    axis.axvline(0, color="0.7")
    axis.errorbar(
        points, rows, xerr=_error_bars(points, ends), fmt="o", color=_DARK, elinewidth=0.8, capsize=2
    )
    axis.set_yticks(rows, [_against(pair) for pair in pairs])
    axis.set(xlabel=f"points of accuracy that {pairs[0].a} is ahead", ylim=(0.5, len(pairs) + 0.5))


def _against(pair: PairReport) -> str:
    ratio = pair.tokens_ratio
    if ratio is None:
        return pair.b
    return f"{pair.b}\nat " + (f"{ratio:.0%} of its tokens" if ratio < 2 else f"{ratio:.1f} times its tokens")


def _write_names(axis: Any, points: Mapping[str, tuple[float, float]]) -> None:
    """Write each name beside its point, where it covers no other name and no point."""
    from matplotlib.transforms import Bbox

    renderer = axis.figure.canvas.get_renderer()
    centres = axis.transData.transform(list(points.values()))
    taken = [Bbox.from_bounds(x - _MARK, y - _MARK, 2 * _MARK, 2 * _MARK) for x, y in centres]
    for name, at in points.items():
        text = axis.annotate(name, at, _PLACES[0], textcoords="offset points", fontsize=8, va="center")
        for place in _PLACES:
            text.set_position(place)
            text.set_horizontalalignment("left" if place[0] > 0 else "right")
            box = text.get_window_extent(renderer)
            if not any(box.overlaps(other) for other in taken):
                break
        taken.append(box)


def _pyplot() -> Any:
    # A home that cannot be written to would cost a warning.
    os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams.update(_STYLE)
    from matplotlib import pyplot

    return pyplot


def _save_figure(figure: Any, path: Path, title: str, description: str = "") -> None:
    metadata: dict[str, str | None] = {"Title": title, "Description": description}
    metadata |= {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
    figure.tight_layout(rect=_INSIDE)
    try:
        figure.savefig(path, dpi=150, metadata=metadata)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        _pyplot().close(figure)


def _points(bins: Iterable[Bin]) -> tuple[list[float], list[float]]:
    return [b.estimate for b in bins], [b.observed for b in bins]


def _draw_bins(axis: Any, stage: StageReport, label: str) -> None:
    """The bins, each with how sure its observed share is."""
    x, y = _points(stage.reliability)
    ends = (wilson(b.observed, b.weight * stage.questions, _Z) for b in stage.reliability)
    axis.errorbar(
        x, y, _error_bars(y, ends), fmt="o-", color=_DARK, markersize=4, elinewidth=0.6, label=label
    )


def _stage_figures(stage: StageReport) -> str:
    noise = f" (noise {_figure(stage.ece_floor)})" if stage.ece_floor is not None else ""
    figures = [
        f"ECE {_figure(stage.ece)}{noise}",
        f"AUC {_figure(stage.auc)}",
        f"skill {_figure(stage.skill)}",
    ]
    return "\n".join([*figures, f"{stage.questions:,} questions"])


def _figure(value: float | None) -> str:
    return "-" if value is None else chance(value)


def _error_bars(values: Sequence[float], ends: Iterable[tuple[float, float]]) -> list[list[float]]:
    """How far intervals reach below and above their values; never less than nothing."""
    pairs = list(zip(values, ends, strict=True))
    return [[max(0.0, v - low) for v, (low, _) in pairs], [max(0.0, high - v) for v, (_, high) in pairs]]


def _legend(axes: Any) -> tuple[list[Any], list[str]]:
    """Every label once, whichever panel drew it."""
    found = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found[label] = handle
    return list(found.values()), list(found)


def _families(strategies: Sequence[StrategyReport]) -> list[list[StrategyReport]]:
    """Settings of one strategy and rule together, the cheapest first."""
    families: dict[tuple[str, object], list[StrategyReport]] = {}
    for strategy in sorted(strategies, key=_tokens_a_question):
        key = strategy.strategy, strategy.settings.get("adapt", "none")
        families.setdefault(key, []).append(strategy)
    return list(families.values())


def _tokens_a_question(strategy: StrategyReport) -> float:
    return strategy.generated_tokens + strategy.prm_tokens
