"""Pictures, with matplotlib from the plots extra, in one style that reads without colour.

The same data gives the same bytes: no date, no random ids, and text stays text in an SVG.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adascale.engine.errors import UsageError
from adascale.models.kept import cache_folder

from ..disk.files import check_apart, check_writable, unwritable
from ..terminal.text import chance

if TYPE_CHECKING:
    from adascale.engine.calibration.metrics import Bin
    from adascale.engine.calibration.report import StageReport

_STAGES = {"question": "Question", "step": "Unfinished", "finished": "Finished", "answer": "Answer"}
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
_WILSON = 1.6449
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
        raise UsageError(f"--plot {path} is neither .png nor .svg")
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
    ordered = [(name, stages[name]) for name in _STAGES if name in stages]
    size = (2.6 * len(ordered) + 0.6, 3.6)
    figure, [axes] = pyplot.subplots(1, len(ordered), figsize=size, sharey=True, squeeze=False)
    for axis, (name, stage) in zip(axes, ordered, strict=True):
        axis.plot([0, 1], [0, 1], color="0.7")
        if stage.raw is not None:
            axis.plot(*_points(stage.raw.reliability), "x--", color=_GREY, markersize=5, label="raw score")
        _draw_bins(axis, stage, label)
        axis.set(title=_STAGES[name], xlabel="estimated", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axis.text(0.97, 0.03, _figures(stage), transform=axis.transAxes, ha="right", va="bottom", fontsize=7)
    axes[0].set_ylabel("observed")
    axes[0].legend(*_legend(axes), fontsize=7, loc="upper left")
    _save(figure, path, "How likely it was said to be, and how often it was right")


def frontier(report: Mapping[str, Any], path: Path) -> None:
    """Accuracy with its 95 % interval against tokens a question; PNG or SVG by the file's name.

    A line joins the settings of one strategy. Below stands what the last strategy does against the one that
    costs most.

    Args:
        report: Of an evaluation.
        path: Is overwritten.

    Raises:
        UsageError: the file cannot be written.
    """
    pyplot = _pyplot()
    figure, axis = pyplot.subplots(figsize=(6.4, 4.8))
    strategies = report["strategies"]
    for number, members in enumerate(_families(strategies)):
        color, marker = _LOOKS[number % len(_LOOKS)]
        x, y = [_cost(s) for s in members], [s["accuracy"] for s in members]
        error = _bars(y, (s["accuracy_ci"] for s in members))
        axis.errorbar(x, y, error, color=color, marker=marker, elinewidth=0.6, linestyle=":", capsize=2)
        for strategy, at in zip(members, zip(x, y, strict=True), strict=True):
            beside = (6, 4 if number % 2 else -11)
            axis.annotate(strategy["name"], at, xytext=beside, textcoords="offset points", fontsize=8)
    axis.set_xscale("log", base=2)
    axis.margins(x=0.12)
    axis.xaxis.set_major_formatter(lambda tokens, _: f"{tokens:,.0f}")
    judged = any(s["prm_tokens"] for s in strategies)
    axis.set(xlabel=f"tokens a question{', those a PRM reads too' if judged else ''}", ylabel="accuracy")
    if verdict := _verdict(report):
        figure.text(0.01, 0.01, verdict, fontsize=8, color="0.3")
    told = {
        name: report[name] for name in ("data", "seed", "generator", "prm", "calibration") if name in report
    }
    _save(figure, path, "Accuracy against compute", json.dumps(told, sort_keys=True))


def _pyplot() -> Any:
    # A home that cannot be written to would cost a warning.
    os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams.update(_STYLE)
    from matplotlib import pyplot

    return pyplot


def _save(figure: Any, path: Path, title: str, description: str = "") -> None:
    metadata: dict[str, str | None] = {"Title": title, "Description": description}
    metadata |= {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
    figure.tight_layout(rect=(0, 0.03, 1, 1))
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
    ends = (wilson(b.observed, b.weight * stage.questions) for b in stage.reliability)
    axis.errorbar(x, y, _bars(y, ends), fmt="o-", color=_DARK, markersize=4, elinewidth=0.6, label=label)


def wilson(share: float, count: float) -> tuple[float, float]:
    """90 % Wilson score interval of a share of ``count`` outcomes; it holds the share."""
    if count <= 0:
        return 0.0, 1.0
    square = _WILSON**2 / count
    middle, half = share + square / 2, math.sqrt(square * (share * (1 - share) + square / 4))
    low, high = (middle - half) / (1 + square), (middle + half) / (1 + square)
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def _figures(stage: StageReport) -> str:
    noise = f" (noise {_short(stage.ece_floor)})" if stage.ece_floor is not None else ""
    figures = [f"ECE {_short(stage.ece)}{noise}", f"AUC {_short(stage.auc)}", f"skill {_short(stage.skill)}"]
    return "\n".join([*figures, f"{stage.questions:,} questions"])


def _short(value: float | None) -> str:
    return "-" if value is None else chance(value)


def _bars(values: Sequence[float], ends: Iterable[tuple[float, float]]) -> list[list[float]]:
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


def _families(strategies: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Settings of one strategy and rule together, the cheapest first."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for strategy in sorted(strategies, key=_cost):
        key = strategy["strategy"], strategy["settings"].get("adapt", "none")
        found.setdefault(key, []).append(strategy)
    return list(found.values())


def _cost(strategy: Mapping[str, Any]) -> float:
    return float(strategy["generated_tokens"] + strategy["prm_tokens"])


def _verdict(report: Mapping[str, Any]) -> str:
    """What the last strategy gains and saves against the one that costs most."""
    last, dearest = report["strategies"][-1], max(report["strategies"], key=_cost)
    for pair in report["pairs"]:
        if (pair["a"], pair["b"]) == (last["name"], dearest["name"]) and pair["tokens_ratio"] is not None:
            low, high = (100 * end for end in pair["accuracy_diff_ci"])
            points = f"{100 * pair['accuracy_diff']:+.1f} points ({low:+.1f} to {high:+.1f})"
            return f"{pair['a']} against {pair['b']}: {points} at {pair['tokens_ratio']:.0%} of its tokens"
    return ""
