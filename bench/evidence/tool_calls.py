"""Calls of tools, drawn and recorded: as a model writes them, and under the schemas of its tools.

Usage: ``python -m bench.evidence.tool_calls MODEL CALLS.jsonl -o FILE.jsonl [--each 40] [--after 0]``

Of each request: one look at whether to call at all, the greedy reply without a grammar, the greedy one and
``--samples`` others with it, and the reply of a model that knows no tools. Requests are chosen by category,
which is the beginning of their ids, in an order that the seed draws; categories take turns, so that a part of
a run has all of them. Each record is appended as soon as it is complete, and the same command goes on.
``--list`` prints the ids and draws nothing. ``calls_table`` reads the records.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adascale.engine.kinds import kind_of
from adascale.engine.request import Request, Settings
from adascale.engine.search.events import SearchFailed, SearchFinished
from adascale.engine.search.record import Record
from adascale.engine.strategies import Expand, Greedy, Plan, Strategy
from adascale.engine.strategies.base import gather
from adascale.engine.types import ROOT, Mode, Problem, SamplingChange
from adascale.models.llama.calls import Rules
from adascale.models.options import SessionOptions
from adascale.models.questions import read_problems
from adascale.models.session import Session

from ..bfcl import register_judge
from ..common import append, close, kept_lines, read_lines

SEED = 1
"""Seed of the draws, and of the order of the requests."""

_AT_ONCE = 4
"""Requests in flight, each of them once with a grammar and once without."""
_BRANCHES = 16
_WINDOW = 4096
_MAX_TOKENS = 512
"""Tokens of a reply; a call is done before, and a small model may repeat itself without end."""
_FREE = "/as_written"
"""End of the id of a request whose calls are written without a grammar."""

Drawn = Mapping[str, Any]
"""A record: id, look, written, greedy, calls, reply."""


@dataclass(frozen=True, slots=True)
class Everything(Strategy):
    """A greedy solution of the first mode, sampled ones, and a greedy one of the second if there is one."""

    name = "everything"

    samples: int = 8
    modes: tuple[Mode, ...] = field(default=("call", "prose"), kw_only=True)

    @property
    def at_most(self) -> int:
        """All of them."""
        return self.samples + len(self.modes)

    def plan(self, tree: Any) -> Plan:
        """Draw them all at once."""
        first, *others = self.modes
        asked = [
            Expand(ROOT, 1, until="answer", greedy=True, mode=first),
            Expand(ROOT, self.samples, until="answer", mode=first),
        ]
        more = [Expand(ROOT, 1, until="answer", greedy=True, mode=mode) for mode in others]
        yield from gather(tree, [*asked, *more])
        return None


def read_requests(path: Path) -> list[Problem]:
    """The requests of a file that have tools; one of words alone calls nothing whatever the model is."""
    register_judge()
    read = (each for each in read_problems(path) if isinstance(each, Problem) and each.kind == "call")
    return [each for each in read if each.details["tools"]]


def category(id_: str) -> str:
    """``live_multiple`` of ``live_multiple_12-3-0``."""
    return re.split(r"_\d", id_, maxsplit=1)[0]


def choose(problems: Sequence[Problem], each: int, after: int = 0) -> list[Problem]:
    """``each`` requests of each category behind the first ``after``, the categories by turns."""
    by_category: dict[str, list[Problem]] = {}
    for problem in problems:
        by_category.setdefault(category(problem.id), []).append(problem)
    for name, own in by_category.items():
        random.Random(f"{SEED}/{name}").shuffle(own)
    turns = range(after, after + each)
    return [own[at] for at in turns for own in by_category.values() if at < len(own)]


def load(path: Path) -> tuple[Mapping[str, Any], list[Drawn]]:
    """The header of a file of records, and those that could be drawn."""
    header, *records = read_lines(path)
    return header, [record for record in records if "error" not in record]


class _Rules(dict[tuple[str, Mode], Rules]):
    """Rules of calls by request and mode, which keeps none of a request whose calls are free."""

    def __setitem__(self, key: tuple[str, Mode], rules: Rules) -> None:
        if not key[0].endswith(_FREE):
            super().__setitem__(key, rules)


def draw(session: Session, problems: Sequence[Problem], samples: int) -> Iterator[dict[str, Any]]:
    """The record of each request, as soon as it is complete."""
    looks: dict[str, list[float]] = {}
    session.policy._rules = _Rules()

    def requests() -> Iterator[Request]:
        for problem in problems:
            asked = kind_of(problem).for_search(problem)
            looks[asked.id] = _look(session, asked)
            free = replace(asked, id=asked.id + _FREE)
            yield Request(asked, Settings(Everything(samples), seed=SEED))
            yield Request(free, Settings(Greedy(modes=("call",)), seed=SEED))

    logs: dict[str, Record] = {}
    errors: dict[str, str] = {}
    ended: set[str] = set()
    for problem, event in session.driver(lambda: 0.0).serve(requests(), _AT_ONCE):
        logs[problem.id] = Record.after(logs.get(problem.id), event)
        if isinstance(event, SearchFailed):
            errors[problem.id.removesuffix(_FREE)] = event.notice.message
        if isinstance(event, SearchFailed | SearchFinished):
            ended.add(problem.id)
            id_ = problem.id.removesuffix(_FREE)
            if {id_, id_ + _FREE} <= ended:
                log, free = logs.pop(id_), logs.pop(id_ + _FREE)
                failed = id_ in errors
                yield {"id": id_, "error": errors[id_]} if failed else _record(log, free, looks[id_])


def _record(log: Record, free: Record, look: list[float]) -> dict[str, Any]:
    greedy, *calls = replies(log, "call")
    return {
        "id": log.started.problem.id,
        "look": look,
        "written": replies(free, "call")[0],
        "greedy": greedy,
        "calls": calls,
        "reply": replies(log, "prose")[0]["tokens"],
    }


def _look(session: Session, problem: Problem) -> list[float]:
    [asked] = kind_of(problem).option_prompts(problem)
    return [round(p, 4) for p in session.policy.option_logits(asked, problem).log_probs]


def replies(log: Record, mode: Mode) -> list[dict[str, Any]]:
    """Replies of a mode in drawing order, the greedy one first."""
    ends = [each.node for each in log.candidates if log.tree[each.node].mode == mode]
    found = []
    for node in sorted(ends, key=log.tree.draw_order):
        steps = log.tree.steps(node)
        found.append(
            {
                "text": log.tree.text(node),
                "finish": steps[-1].finish,
                "tokens": sum(len(each.token_ids) for each in steps),
                "logprob": round(sum(each.logprob or 0.0 for each in steps), 3),
            }
        )
    return found


def header(session: Session, model: str) -> dict[str, Any]:
    """The first line of a file of records."""
    return {"model": model, "parameters": session.model.info.effective_parameters, "seed": SEED}


def draw_prose(
    model: str,
    problems: Sequence[Problem],
    samples: int,
    out: Path,
    name: str,
    window: int,
    threads: int | None,
) -> None:
    """Append what a file lacks: of each problem the greedy reply in prose, and others under ``name``."""
    kept = kept_lines(out)
    done = {line.get("id") for line in kept}
    todo = [problem for problem in problems if problem.id not in done]
    options = SessionOptions(
        model, prm="none", calibration="none", ctx_size=window, threads=threads, branches=_BRANCHES
    )
    began = time.monotonic()
    with Session(options) as session:
        if not kept:
            append(out, header(session, model))
        logs: dict[str, Record] = {}
        settings = Settings(Everything(samples, modes=("prose",)), seed=SEED)
        for problem, event in session.driver(lambda: 0.0).run(todo, settings, _AT_ONCE):
            logs[problem.id] = Record.after(logs.get(problem.id), event)
            if isinstance(event, SearchFailed):
                record: dict[str, Any] = {"id": problem.id, "error": event.notice.message}
            elif isinstance(event, SearchFinished):
                greedy, *others = replies(logs.pop(problem.id), "prose")
                record = {"id": problem.id, "greedy": greedy, name: others}
            else:
                continue
            append(out, record)
            print(f"{problem.id}: {time.monotonic() - began:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", "-o", type=Path)
    parser.add_argument("--each", type=int, default=40, help="requests of a category")
    parser.add_argument("--after", type=int, default=0, help="leave out so many of each category")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--threads", type=int, help="by default the physical cores")
    parser.add_argument("--list", action="store_true", help="print the ids of the requests")
    args = parser.parse_args()
    problems = choose(read_requests(args.data), args.each, args.after)
    if args.list:
        print("\n".join(problem.id for problem in problems))
        return
    kept = kept_lines(args.output)
    done = {line.get("id") for line in kept}
    todo = [problem for problem in problems if problem.id not in done]
    options = SessionOptions(
        args.model,
        prm="none",
        calibration="none",
        sampling=SamplingChange(max_tokens=_MAX_TOKENS),
        ctx_size=_WINDOW,
        threads=args.threads,
        branches=_BRANCHES,
    )
    began = time.monotonic()
    with Session(options) as session:
        if not kept:
            append(args.output, {**header(session, args.model), "samples": args.samples})
        for count, record in enumerate(draw(session, todo, args.samples), start=1):
            append(args.output, record)
            print(f"{count} of {len(todo)} more requests, {time.monotonic() - began:.0f} s", flush=True)
    close({"requests": len(problems), "model": args.model})


if __name__ == "__main__":
    main()
