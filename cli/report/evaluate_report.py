"""Reports of ``adascale eval``: Markdown for people, CSV for spreadsheets; JSON is the report itself."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from adascale.engine.decimals import decimal
from adascale.engine.evaluation.evaluate import CLASSES, SURE

_COLUMNS = (
    ("strategy", "name"),
    ("questions", "questions"),
    ("accuracy", "accuracy"),
    ("(95 %)", "accuracy_ci"),
    ("coverage", "coverage"),
    ("samples", "samples"),
    ("tokens", "generated_tokens"),
    ("PRM tokens", "prm_tokens"),
    ("TFLOP", "flops"),
    ("seconds", "seconds"),
    ("ECE", "ece"),
    ("noise", "ece_floor"),
)


def markdown(report: Mapping[str, Any]) -> str:
    """Tables of strategies, by difficulty, and of the last strategy against each other one."""
    strategies = report["strategies"]
    pairs = [pair for pair in report["pairs"] if pair["a"] == strategies[-1]["name"]]
    parts = [
        _table([head for head, _ in _COLUMNS], list(map(_figures, strategies))),
        "Per question. Coverage: a finished trajectory is right. Seconds: of a question by itself. "
        "ECE: of the answer's probability; noise alone makes as much as stands beside it.",
        _table(
            ["strategy", f"answers at {SURE:g}", "right of them", *CLASSES],
            [_by_class(strategy) for strategy in strategies],
        ),
        "By difficulty, accuracy at tokens: the share of right trajectories among the most that were drawn "
        "(none, below .25, to .75, above).",
    ]
    if pairs:
        head = [
            "a",
            "b",
            "accuracy a - b",
            "(95 %)",
            "tokens a / b",
            "(95 %)",
            "FLOPs a / b",
            "seconds a / b",
        ]
        parts.append(_table(head, [_pair(pair) for pair in pairs]))
    return "\n\n".join(parts)


def csv_text(report: Mapping[str, Any]) -> str:
    """One row per strategy; intervals as two columns."""
    out = io.StringIO()
    rows = [_flat(strategy) for strategy in report["strategies"]]
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _flat(strategy: Mapping[str, Any]) -> dict[str, Any]:
    low, high = strategy["accuracy_ci"]
    plain = {key: value for key, value in strategy.items() if not isinstance(value, dict | list)}
    return {
        **plain,
        "accuracy_low": low,
        "accuracy_high": high,
        "sure_share": strategy["sure"]["share"],
        "sure_accuracy": strategy["sure"]["accuracy"],
    }


def _figures(strategy: Mapping[str, Any]) -> list[str]:
    return [_cell(key, strategy[key]) for _, key in _COLUMNS]


def _by_class(strategy: Mapping[str, Any]) -> list[str]:
    sure, classes = strategy["sure"], strategy["by_difficulty"]
    cells = [_share(classes[c]["accuracy"]) for c in CLASSES]
    tokens = [_cell("generated_tokens", classes[c]["generated_tokens"]) for c in CLASSES]
    known = [f"{a} at {t}" if a else "" for a, t in zip(cells, tokens, strict=True)]
    return [strategy["name"], _share(sure["share"]), _share(sure["accuracy"]), *known]


def _pair(pair: Mapping[str, Any]) -> list[str]:
    return [
        pair["a"],
        pair["b"],
        f"{pair['accuracy_diff']:+.3f}",
        "{:+.3f} to {:+.3f}".format(*pair["accuracy_diff_ci"]),
        _ratio(pair["tokens_ratio"]),
        "" if pair["tokens_ratio"] is None else "{:.2f} to {:.2f}".format(*pair["tokens_ratio_ci"]),
        _ratio(pair["flops_ratio"]),
        _ratio(pair["seconds_ratio"]),
    ]


def _cell(key: str, value: Any) -> str:
    if value is None:
        return ""
    match key:
        case "name":
            return str(value)
        case "accuracy_ci":
            return f"{_share(value[0])}-{_share(value[1])}"
        case "accuracy" | "coverage" | "ece" | "ece_floor":
            return _share(value)
        case "flops":
            return f"{value / 1e12:.2f}"
        case "samples" | "seconds":
            return f"{value:.1f}"
        case _:
            return f"{value:,.0f}"


def _share(value: float | None) -> str:
    return "" if value is None else decimal(value)


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
