"""The picture of an evaluation: every name can be read, whatever lies close together."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path

import pytest

from adascale.cli.report import frontier_plot
from adascale.engine.evaluation.compare import Comparison, EvaluationReport
from adascale.engine.evaluation.evaluate import Contestant, Outcome
from adascale.engine.strategies import Vote
from adascale.engine.types import Usage

CROWD = [f"best-of-n:{n}+n" for n in range(4, 11)]


def report(names: list[str]) -> EvaluationReport:
    """Strategies that cost nearly the same and get nearly the same right."""
    comparison = Comparison([Contestant(name, Vote(4)) for name in names], [f"q{i}" for i in range(40)])
    for (at, name), (i, problem) in product(enumerate(names), enumerate(comparison.problems)):
        usage = Usage(generated_tokens=1000 + 3 * at, flops=1.0, seconds=1.0)
        comparison.add(Outcome(name, 0, problem, i > 20 + at % 2, 1, 4, None, "exhausted", usage))
    return comparison.report()


def test_no_name_covers_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = []

    def look(figure: object, path: Path, *_: object) -> None:
        axis = figure.axes[0]  # type: ignore[attr-defined]
        renderer = axis.figure.canvas.get_renderer()
        boxes.extend(text.get_window_extent(renderer) for text in axis.texts)

    monkeypatch.setattr(frontier_plot, "save_figure", look)
    frontier_plot.frontier(report(CROWD), {}, tmp_path / "x.svg")
    assert len(boxes) == len(CROWD)
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_the_last_strategy_stands_against_each_other_one(tmp_path: Path) -> None:
    path = tmp_path / "x.svg"
    frontier_plot.frontier(report(["vote:4", "vote:16", "adaptive"]), {"seed": 3}, path)
    text = path.read_text()
    assert "adaptive is ahead of" in text
    assert text.count("of its tokens") == 2
    assert '"seed": 3' in text.replace("&quot;", '"')


def test_one_strategy_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.svg"
    frontier_plot.frontier(report(["vote:4"]), {}, path)
    assert "is ahead" not in path.read_text()
