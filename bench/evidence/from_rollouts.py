"""A calibration's own rollouts as recorded draws, with estimates by models that never saw their questions.

Usage: ``python -m bench.evidence.from_rollouts STORE.sqlite DATA.jsonl ... --model NAME -o FILE.jsonl.gz``

What strategies would have done on the fitting questions (``frontier``), before anything is drawn for an
evaluation: estimates of questions, steps and solutions are cross-validated; the answer's own probability is
of a small fit on all of them, written next to the draws as ``FILE.calibration.safetensors``. There is no
greedy solution: the first sample stands for it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from adascale.engine.calibration.features import QUESTION, Stage
from adascale.engine.fitting.calibration import CalibrationFit, fit_calibration
from adascale.engine.fitting.head import HeadConfig
from adascale.engine.fitting.report import report
from adascale.engine.types import Mode
from adascale.models.calibration.artefact import SUFFIX, Artefact, Card, Fingerprint, save_artefact
from adascale.models.calibration.rollouts import Rollouts, RolloutStore
from adascale.models.calibration.training import training_set
from adascale.models.question_sets import choose_questions, read_known

from ..common import close
from . import recorded_draws

_BOTH: tuple[Mode, ...] = ("prose", "program")


class Estimates:
    """Held-out estimates in the order of ``training_set``'s rows."""

    def __init__(self, fit: CalibrationFit) -> None:
        self._rows = {name: iter(data.quantiles) for name, data in fit.held_out.items()}

    def next(self, stage: Stage) -> list[float]:
        return [round(float(q), 4) for q in next(self._rows[stage])]


def estimates_of(rollouts: Rollouts, estimates: Estimates) -> dict[int, list[float]]:
    """Estimates of each node that has any."""
    found = {}
    if rollouts.mode == "program":
        return {node: estimates.next("program") for node in rollouts.samples()}
    for row, node in enumerate(rollouts.nodes):
        if row and node.total:
            found[row] = estimates.next("finished" if node.is_end else "step")
    return found


def solution(rollouts: Rollouts, end: int, start: int, known: Mapping[int, list[float]]) -> dict[str, Any]:
    """The nodes of one draw from ``start`` to ``end``, with what was drawn in the place of its steps."""
    before = len(rollouts.path(start))
    chain = rollouts.path(end)[before:]
    nodes = [rollouts.nodes[row] for row in chain]
    last = rollouts.nodes[end]
    found: dict[str, Any] = {
        "answer": last.answer,
        "finish": last.finish,
        "texts": [node.text for node in nodes],
        "tokens": [len(node.token_ids) for node in nodes],
        "logprobs": [round(node.logprob, 3) for node in nodes],
        "estimates": [known[row] for row in chain],
    }
    if rollouts.mode == "program":
        # What failed is not kept with its error; what it printed is its answer.
        found["execution"] = ["", "failed"] if last.answer is None else [last.answer, ""]
    if slips := [at for at, node in enumerate(nodes) if node.wrong_sum]:
        found["slips"] = slips
    again = {
        at: [solution(rollouts, other, node, known) for other in rollouts.ends_from(node)]
        for at, node in enumerate(chain[:-1], start=1)
    }
    if any(again.values()):
        found["again"] = {at: others for at, others in again.items() if others}
    return found


def mode_record(rollouts: Rollouts, estimates: Estimates) -> dict[str, Any]:
    known = estimates_of(rollouts, estimates)
    samples = [solution(rollouts, end, 0, known) for end in rollouts.samples()]
    question = estimates.next(QUESTION[rollouts.mode])
    return {"prompt_tokens": 0, "question": question, "greedy": samples[0], "samples": samples}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--model", required=True, help="as a user calls it")
    parser.add_argument("--flops", type=float, default=3.088e9, help="of a token; by default of the 1.5B")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", "-o", type=Path, required=True)
    args = parser.parse_args()
    problems = choose_questions(read_known(args.data), None, args.seed)
    with closing(RolloutStore(args.store)) as store:
        both = [{mode: store.get(problem, mode) for mode in _BOTH} for problem in problems]
    kept: dict[Mode, list[Rollouts]] = {mode: [] for mode in _BOTH}
    for found in both:
        if all(found.values()):
            for mode, rollouts in found.items():
                assert rollouts is not None, "both modes were drawn"
                kept[mode].append(rollouts)
    training = training_set(kept["prose"], None, kept["program"])
    fit = fit_calibration(training, "beta", HeadConfig(), args.seed)
    fingerprint = Fingerprint(args.model, "", "probe", "", {}, 0)
    names = tuple(path.name for path in args.data)
    card = Card(
        args.model, fingerprint, "beta", names, (), 3, 0, args.seed, {}, report(fit.held_out, rounds=5)
    )
    calibration = args.output.with_name(args.output.name.partition(".")[0] + SUFFIX)
    save_artefact(Artefact(fit.calibration, card), calibration)
    estimates = Estimates(fit)
    header = {
        "schema": recorded_draws.SCHEMA,
        "model": args.model,
        "generator": args.model,
        "calibration": args.model,
        "calibration_sha256": recorded_draws.digest(Artefact(fit.calibration, card, calibration)),
        "seed": args.seed,
        "samples": min(len(rollouts.samples()) for own in kept.values() for rollouts in own),
        "flops_per_token": args.flops,
        "step_seconds": {"1": 1.0},
    }
    lines: list[dict[str, Any]] = [header]
    for prose, program in zip(kept["prose"], kept["program"], strict=True):
        own = mode_record(prose, estimates)
        question = {"id": prose.problem.id, "gold": prose.problem.answer, "distance": 0.0}
        lines.append({**question, **own, "program": mode_record(program, estimates)})
    args.output.unlink(missing_ok=True)
    recorded_draws.append(args.output, lines)
    close({"questions": len(lines) - 1, "calibration": calibration.name})


if __name__ == "__main__":
    main()
