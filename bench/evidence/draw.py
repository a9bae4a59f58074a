"""Draw solutions for evaluations and studies, and record them (``recorded_draws``).

Usage: ``python -m bench.evidence.draw MODEL DATA.jsonl ... -o FILE.jsonl.gz [--samples 16] [--programs 8]``

Each question is appended the moment it is done; the same command goes on, on another machine too. Draws are
those of ``bench.eval`` with the same questions and seed, and are kept for it. ``--only`` names a file of
ids, one a line: questions that were chosen beforehand (``bench/frozen``), drawn in that order.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adascale.engine.ports import Prefix
from adascale.engine.request import Settings
from adascale.engine.search.events import AnswerFound, Event, PromptRead, SearchFinished
from adascale.engine.search.record import replay
from adascale.engine.search.tree import Tree
from adascale.engine.strategies import Expand, Plan, Strategy
from adascale.engine.strategies.base import redraw_at
from adascale.engine.types import ROOT, Estimate, Mode, NodeId, Problem, SamplingChange
from adascale.models.calibration.artefact import Artefact, question_key, read_installed
from adascale.models.options import SessionOptions
from adascale.models.questions import choose_questions, read_known
from adascale.models.session import Session

from ..common import append, close, kept_lines, listed
from ..evaluation.evaluate import AT_ONCE
from ..kept_draws import DrawStore, ReplayingPolicy
from . import recorded_draws


@dataclass(frozen=True, slots=True)
class Everything(Strategy):
    """Solutions and a greedy one in each mode, and what ``adaptive`` would draw again in them."""

    name = "everything"

    samples: int = 16
    programs: int = 8
    slips: int = 2

    def __post_init__(self) -> None:
        if self.programs:
            object.__setattr__(self, "modes", ("prose", "program"))

    @property
    def at_most(self) -> None:
        """Unknown: every step with a wrong sum adds one."""
        return None

    @property
    def branches(self) -> int:
        """The solutions."""
        return self.samples + self.programs + len(self.modes)

    def plan(self, tree: Tree) -> Plan:
        """Draw them all at once."""
        counts = {"prose": self.samples, "program": self.programs}
        whole = [
            Expand(ROOT, n, until="answer", greedy=greedy, mode=mode)
            for mode in self.modes
            for n, greedy in ((counts[mode], False), (1, True))
        ]
        return (yield from draw_with_redraws(tree, whole, self.slips))


def draw_with_redraws(tree: Tree, commands: Iterable[Expand], redraws: int) -> Plan:
    """Run commands until the answer, and every redraw that ``adaptive`` would make.

    A trajectory with a wrong sum goes on, too: a calibration counts the outcomes of both. A node's first
    child is the next step of the same draw, later ones were drawn in its place.
    """
    scored = yield tuple(commands)
    while scored:
        again = []
        for node in scored:
            *before, wrong = [redraw_at(tree, each.id, redraws) for each in tree.path(node)]
            if wrong is not None and not any(before):  # else ``adaptive`` would not have come here
                again.append(Expand(wrong[0], 1, until="answer"))
        scored = yield again
    return None


def numbers(estimate: Estimate | None) -> list[float]:
    assert estimate is not None, "records need a calibration"
    return [round(p, 4) for p in (estimate.lower, estimate.median, estimate.upper)]


def solution(tree: Tree, node: NodeId, answers: Mapping[NodeId, str | None]) -> dict[str, Any]:
    """The solution that one branch wrote from ``node`` on, with the redraws of its steps."""
    chain = [tree[node]]
    while own := [c for c in tree.children(chain[-1].id) if tree[c].branch == chain[0].branch]:
        chain.append(tree[own[0]])
    steps = [n.step for n in chain if n.step is not None]
    found: dict[str, Any] = {
        "answer": answers.get(chain[-1].id),
        "finish": steps[-1].finish,
        "texts": [step.text for step in steps],
        "tokens": [len(step.token_ids) for step in steps],
        "logprobs": [round(step.logprob or 0.0, 3) for step in steps],
        "estimates": [numbers(n.estimate) for n in chain],
    }
    if (execution := chain[-1].execution) is not None:
        found["execution"] = [execution.output, execution.error]
    if wrong := [at for at, step in enumerate(steps) if step.wrong_sums]:
        found["slips"] = wrong
    # A node's first child is the chain's next step, later ones were drawn in its place.
    again = {at: tree.children(n.id)[1:] for at, n in enumerate(chain, start=1) if at < len(chain)}
    if any(again.values()):
        found["again"] = {
            at: [solution(tree, c, answers) for c in them] for at, them in again.items() if them
        }
    return found


def record(problem: Problem, log: list[Event], artefact: Artefact) -> dict[str, Any]:
    tree = replay(log)
    prompts = {event.mode: event for event in log if isinstance(event, PromptRead) and event.reading}
    answers = {e.node: e.answer for e in log if isinstance(e, AnswerFound)}
    own: dict[Mode, dict[str, Any]] = {}
    for mode, prompt in prompts.items():
        begun = [node for node in tree.children(ROOT) if tree[node].mode == mode]
        ordered = sorted(begun, key=tree.draw_order)
        *samples, greedy = (solution(tree, node, answers) for node in ordered)
        own[mode] = {
            "prompt_tokens": prompt.usage.prompt_tokens,
            "question": numbers(tree.questions[mode]),
            "greedy": greedy,
            "samples": samples,
        }
    question = Prefix(problem, (), prompts["prose"].reading)
    head = artefact.head
    assert head is not None, "records need a fit on states"
    distance = round(head.distance(question), 4)
    programs = {"program": own["program"]} if "program" in own else {}
    return {"id": problem.id, "gold": problem.answer, "distance": distance, **own["prose"], **programs}


def fitted_on(problem: Problem) -> bool:
    """True if any calibration on this machine was fitted on the question."""
    return question_key(problem.question) in _fitted()


@functools.cache
def _fitted() -> set[str]:
    return {key for artefact in read_installed().artefacts for key in artefact.card.questions}


def header(session: Session, artefact: Artefact, args: argparse.Namespace) -> Mapping[str, Any]:
    return {
        "schema": recorded_draws.SCHEMA,
        "model": session.files.generator.name,
        "generator": session.files.generator.sha256,
        "calibration": artefact.card.name,
        "calibration_sha256": recorded_draws.digest(artefact),
        "seed": args.seed,
        "samples": args.samples,
        "programs": args.programs,
        "temperature": session.sampling["prose"].temperature,
        "program_temperature": session.sampling["program"].temperature,
        "flops_per_token": session.model.flops_per_token,
        "step_seconds": {size: round(s, 5) for size, s in session.step_costs.curve.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--programs", type=int, default=8)
    parser.add_argument("--questions", type=int)
    parser.add_argument(
        "--after", type=int, default=0, help="leave out so many, from the beginning of --only"
    )
    parser.add_argument("--only", type=Path, help="file with the ids of the questions, one a line")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, help="by default the physical cores")
    parser.add_argument("--temperature", type=float, help="by default that of the calibration")
    parser.add_argument("--calibration", default="auto", help="that the estimates are made with")
    parser.add_argument("--unfitted", action="store_true", help="leave out what a calibration was fitted on")
    parser.add_argument("--output", "-o", type=Path, required=True)
    args = parser.parse_args()
    files = read_known(args.data)
    if args.unfitted:
        files = [[problem for problem in file if not fitted_on(problem)] for file in files]
    if args.only is not None:
        problems = listed(files, args.only)[args.after :][: args.questions]
    else:
        problems = choose_questions(files, args.questions, args.seed)
    kept = kept_lines(args.output)
    done = {record["id"] for record in kept[1:]}
    todo = [problem for problem in problems if problem.id not in done]
    options = SessionOptions(
        args.model,
        calibration=args.calibration,
        sampling=SamplingChange(temperature=args.temperature),
        branches=32,
        threads=args.threads,
        purpose="replay",
    )
    logs: dict[str, list[Event]] = {}
    tokens, started = 0, time.monotonic()
    with (
        Session(options) as session,
        closing(DrawStore.of(session, "value")) as store,
    ):
        artefact = session.calibrations["value"]
        if not kept:
            append(args.output, header(session, artefact, args))
        policy = ReplayingPolicy.of(session, store)
        settings = Settings(Everything(args.samples, args.programs), seed=args.seed)
        for problem, event in session.driver(lambda: 0.0, policy).run(todo, settings, AT_ONCE):
            logs.setdefault(problem.id, []).append(event)
            if isinstance(event, SearchFinished):
                append(args.output, record(problem, logs.pop(problem.id), artefact))
                done.add(problem.id)
                rate = policy.drawn_tokens / (time.monotonic() - started)
                print(f"{len(done)}/{len(problems)} questions, {rate:.0f} tokens/s", flush=True)
                tokens += event.usage.generated_tokens
    close({"questions": len(done), "tokens": tokens, "model": args.model})


if __name__ == "__main__":
    main()
