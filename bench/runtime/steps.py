"""The step-cost curve of a model on this machine, and what splitting and padding a batch gains.

Usage: ``python -m bench.runtime.steps MODEL [--branches 64]``

A decode step is timed at 1 to 64 branches. Then, for batch sizes at which the curve promises a gain, one call
and the cheapest partition are timed against each other, alternating.
"""

from __future__ import annotations

import statistics
import time

from adascale.models.llama.context import LlamaContext, Run
from adascale.models.llama.model import AbortFlag, LlamaModel
from adascale.models.llama.stepcost import measure
from adascale.models.machine import physical_cores

from ..common import arguments, close, model_path, table

ROUNDS = 5


def seconds(context: LlamaContext, lengths: list[int], widths: tuple[int, ...]) -> float:
    """One decode step of all branches in these calls; every row stands for a running branch."""
    started = time.perf_counter()
    at = 0
    for width in widths:
        rows = range(at, min(at + width, len(lengths)))
        context.decode([Run(row, lengths[row], [0]) for row in rows])
        context.logits(0)
        for row in rows:
            lengths[row] += 1
        at += width
    return time.perf_counter() - started


def main() -> None:
    args = arguments(__doc__, "model", branches=64, threads=physical_cores())
    model = LlamaModel(model_path(args.model))
    context = LlamaContext(model, 256, args.branches, args.threads, AbortFlag())
    costs = measure(context)
    cells = [
        [str(n), f"{s * 1000:.1f}", f"{n / s:.1f}", f"{s / n * 1000:.2f}"] for n, s in costs.curve.items()
    ]
    table(["branches", "ms a step", "tokens/s", "ms a token"], cells)
    rows, gains = [], {}
    lengths = [0] * args.branches
    for branches in range(2, args.branches + 1):
        cheapest, widths = costs.cheapest(branches)
        whole = (branches,)
        if widths == whole or costs.seconds(branches) < 1.03 * cheapest:
            continue
        pairs = [(seconds(context, lengths, whole), seconds(context, lengths, widths)) for _ in range(ROUNDS)]
        one, split = (statistics.median(times) for times in zip(*pairs, strict=True))
        gains[str(branches)] = round(one / split, 3)
        rows.append(
            [
                str(branches),
                " + ".join(map(str, widths)),
                f"{one * 1000:.0f}",
                f"{split * 1000:.0f}",
                f"{one / split:.2f}",
            ]
        )
        if max(lengths) > 200:
            for row in range(args.branches):
                context.clear(row)
                lengths[row] = 0
    print()
    table(["branches", "cheapest", "ms whole", "ms cheapest", "gain"], rows or [["none"] + ["-"] * 4])
    curve = {str(n): round(s * 1000, 2) for n, s in costs.curve.items()}
    close({"curve_ms": curve, "gain": gains, "model": args.model, "threads": args.threads})
    context.close()


if __name__ == "__main__":
    main()
