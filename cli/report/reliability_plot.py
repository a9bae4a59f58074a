"""The reliability diagram of a calibration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adascale.engine.fitting.metrics import wilson

from ..terminal.text import chance
from .calibrate_report import STAGE_NAMES
from .plots import DARK, error_bars, load_pyplot, save_figure

if TYPE_CHECKING:
    from adascale.engine.calibration.figures import Bin, StageReport

_GREY = "0.55"
_Z = 1.6449
"""Standard errors of a 90 % interval."""


def reliability_diagram(stages: Mapping[str, StageReport], path: Path, label: str = "calibrated") -> None:
    """Draw estimated against observed shares by stage, with raw scores, as PNG or SVG by the file's name.

    Bars are 90 % Wilson intervals that count questions, since the steps of one question go together.

    Args:
        stages: Report by stage.
        path: File that is written.
        label: Name of the estimates.

    Raises:
        UsageError: the file cannot be written.
    """
    pyplot = load_pyplot()
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
    save_figure(figure, path, "Estimated and observed shares of correct answers")


def _draw_bins(axis: Any, stage: StageReport, label: str) -> None:
    """The bins, each with the interval of its observed share."""
    x, y = _points(stage.reliability)
    ends = (wilson(b.observed, b.weight * stage.questions, _Z) for b in stage.reliability)
    axis.errorbar(x, y, error_bars(y, ends), fmt="o-", color=DARK, markersize=4, elinewidth=0.6, label=label)


def _points(bins: Iterable[Bin]) -> tuple[list[float], list[float]]:
    return [b.estimate for b in bins], [b.observed for b in bins]


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


def _legend(axes: Any) -> tuple[list[Any], list[str]]:
    """Every label once, whichever panel drew it."""
    found = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found[label] = handle
    return list(found.values()), list(found)
