"""The picture of an evaluation."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from adascale.cli.report import frontier_plot
from adascale.engine.evaluation.compare import Comparison, EvaluationReport
from adascale.engine.evaluation.evaluate import Contestant, Outcome
from adascale.engine.strategies import Vote
from adascale.engine.types import Usage


def report(names: list[str]) -> EvaluationReport:
    """Strategies that cost nearly the same and get nearly the same right."""
    comparison = Comparison([Contestant(name, Vote(4)) for name in names], [f"q{i}" for i in range(40)])
    for (at, name), (i, problem) in product(enumerate(names), enumerate(comparison.problems)):
        usage = Usage(generated_tokens=1000 + 3 * at, flops=1.0, seconds=1.0)
        comparison.add(Outcome(name, problem, i > 20 + at % 2, 1, 4, None, "exhausted", usage))
    return comparison.report()


def test_the_last_strategy_stands_against_each_other_one(tmp_path: Path) -> None:
    path = tmp_path / "x.svg"
    frontier_plot.frontier(report(["vote:4", "vote:16", "adaptive"]), {"seed": 3}, path)
    text = path.read_text()
    assert "vote:4, vote:16, adaptive" in text
    assert "adaptive is ahead of" in text
    assert text.count("of its tokens") == 2
    assert '"seed": 3' in text.replace("&quot;", '"')


def test_one_strategy_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.svg"
    frontier_plot.frontier(report(["vote:4"]), {}, path)
    assert "is ahead" not in path.read_text()
