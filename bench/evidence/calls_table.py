"""Calls of tools, rule beside rule on recorded draws.

Usage: ``python -m bench.evidence.calls_table CALLS.jsonl DRAWS.jsonl.gz ...``

Each rule is played on the replies that ``tool_calls`` recorded, with the driver, the strategies and the
number that ship. Noise is the ECE that true probabilities would have on as many requests. A reply as a model
writes it is judged by the calls that are found in it, with the types that it wrote.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from adascale.engine.calibration.posterior import Posterior
from adascale.engine.kinds import OptionsPrompt, kind_of
from adascale.engine.ports import BranchStart, Growth, OptionLogits, PrefixWork, SequenceLogprob
from adascale.engine.request import SearchRequest, Settings
from adascale.engine.search.branches import branch_seed
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import SearchFinished
from adascale.engine.strategies import Greedy, Strategy, Vote
from adascale.engine.strategies.sampling import Agreement
from adascale.engine.tools.calls import Call, ToolRequest, find_calls
from adascale.engine.tools.schema import matches
from adascale.engine.types import BranchId, Mode, Problem, Step, probability_of

from ..bfcl import is_accepted
from ..common import close, level, share, table
from .tool_calls import SEED, Drawn, load, read_requests

SURE = 0.9
AGREEMENT = Agreement()


@dataclass(frozen=True, slots=True)
class Played:
    """A rule on one request.

    Attributes:
        right: Its calls are accepted.
        wanted: Some call is.
        tokens: Tokens that were generated.
        p: Its probability; None without one.
        breaks: It has a call that breaks the schema of its tool.
    """

    right: bool
    wanted: bool
    tokens: int
    p: float | None = None
    breaks: bool = False


Row = tuple[Problem, Drawn]


def joined(data: Path, drawn: Path) -> tuple[Mapping[str, Any], list[Row]]:
    """The header of some records, and each of them with its request."""
    known = {problem.id: problem for problem in read_requests(data)}
    header, records = load(drawn)
    return header, [(known[record["id"]], record) for record in records]


def as_written(problem: Problem, record: Drawn) -> Played:
    """The greedy reply without a grammar."""
    request = ToolRequest.of(problem.details)
    found = find_calls(record["written"]["text"], request.tools)
    given = [(each.name, {} if each.arguments is None else each.arguments) for each in found]
    breaks = any(not matches(arguments, request.tools[name].parameters) for name, arguments in given)
    calls = [Call(name, arguments) for name, arguments in given if isinstance(arguments, dict)]
    accepted: Any = problem.details["accepted"]
    right = len(calls) == len(given) and is_accepted(calls, accepted)
    return Played(right, bool(accepted), record["written"]["tokens"], breaks=breaks)


@dataclass(slots=True)
class RecordedPolicy:
    """A generator that plays recorded replies, one token per branch and batch.

    Attributes:
        reply: The reply of a branch.
        look: Log-probabilities of the options.
    """

    reply: Callable[[BranchStart], Step]
    look: Sequence[float]
    slots: int = 8
    flops_per_token: float = 2.0
    _running: dict[BranchId, tuple[Step, int]] = field(default_factory=dict)

    def open(self, problem: Problem, mode: Mode) -> PrefixWork:
        return PrefixWork()

    def option_logits(self, prompt: OptionsPrompt, problem: Problem) -> OptionLogits:
        return OptionLogits(tuple(self.look))

    def start(self, id_: BranchId, branch: BranchStart) -> None:
        self._running[id_] = self.reply(branch), 0

    def advance(self) -> list[Growth]:
        return [self._grow(branch, *state) for branch, state in list(self._running.items())]

    def _grow(self, branch: BranchId, reply: Step, position: int) -> Growth:
        position += 1
        if position >= len(reply.token_ids):
            del self._running[branch]
            return Growth(branch, 1, reply)
        self._running[branch] = reply, position
        text, tokens = reply.text[:position], reply.token_ids[:position]
        return Growth(branch, 1, replace(reply, text=text, token_ids=tokens, finish=None))

    def cancel(self, id_: BranchId) -> None:
        del self._running[id_]

    def close_problem(self, problem: Problem) -> None:
        """Nothing is kept."""


def played_back(
    problem: Problem, record: Drawn, mode: Mode, sampled: Sequence[Mapping[str, Any]]
) -> RecordedPolicy:
    """A generator that gives the recorded replies of a mode; of another it knows the length alone."""
    by_seed = {branch_seed(SEED, problem.id, (at,), mode): reply for at, reply in enumerate(sampled)}

    def reply_of(branch: BranchStart) -> Step:
        if branch.prefix.mode != mode:
            return Step("", tuple(range(record["reply"])), 0.0, "stop")
        reply: Any = record["greedy"] if branch.greedy else by_seed[branch.seed]
        return Step(reply["text"], tuple(range(reply["tokens"])), reply["logprob"], reply["finish"])

    return RecordedPolicy(reply_of, record.get("look", ()))


def searched(
    problem: Problem, policy: RecordedPolicy, settings: Settings, posterior: Posterior
) -> SearchFinished:
    """The end of a search on recorded replies."""
    driver = Driver(policy, SequenceLogprob(), {problem.kind: posterior}, lambda: 0.0)
    log = driver.run([problem], settings)
    [end] = [event for _, event in log if isinstance(event, SearchFinished)]
    return end


def play(rows: Sequence[Row], strategy: Strategy, posterior: Posterior) -> list[Played]:
    """A strategy on recorded replies, request by request."""
    return [_search(problem, record, strategy, posterior) for problem, record in rows]


def _search(problem: Problem, record: Drawn, strategy: Strategy, posterior: Posterior) -> Played:
    settings = SearchRequest(strategy=strategy, seed=SEED).settings(problem)
    asked = kind_of(problem).for_search(problem)
    end = searched(asked, played_back(problem, record, "call", record["calls"]), settings, posterior)
    right = kind_of(problem).is_right(problem, end.result.answer, None, None)
    p = probability_of(end.result.confidence)
    return Played(right, bool(problem.details["accepted"]), end.usage.generated_tokens, p)


def oracle(problem: Problem, record: Drawn) -> Played:
    """A right one among all replies that were drawn."""
    kind, replies = kind_of(problem), [record["greedy"], *record["calls"]]
    answers = [kind.answer(problem, "call", each["text"], each["finish"], None) for each in replies]
    right = any(kind.is_right(problem, answer, None, None) for answer in answers)
    return Played(right, bool(problem.details["accepted"]), sum(each["tokens"] for each in replies))


def rules(header: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, list[Played]]:
    """Every rule on every request."""
    posterior = Posterior.of_model("call", header["parameters"])
    most = header["samples"]
    return {
        "greedy, as written": [as_written(*row) for row in rows],
        "greedy, schema": play(rows, Greedy(), posterior),
        f"vote:{most}, schema": play(rows, Vote(samples=most), posterior),
        "agreement (medium)": play(rows, AGREEMENT, posterior),
        f"a right one of {most + 1}": [oracle(*row) for row in rows],
    }


def show(args: argparse.Namespace) -> None:
    """Print a table for each file."""
    figures: dict[str, Any] = {}
    head = ["n", "right", "calls", "no calls", "tokens", "broken", "ECE (noise)", f"p >= {SURE}", "of them"]
    for path in args.drawn:
        header, rows = joined(args.data, path)
        shown = {name: _row(played) for name, played in rules(header, rows).items()}
        table([f"{header['model']}, {path.name}", *head], [[name, *cells] for name, cells in shown.items()])
        figures[path.name] = shown
    close(figures)


def _row(played: Sequence[Played]) -> list[str]:
    right = fmean(each.right for each in played)
    known = [(each.p, each.right) for each in played if each.p is not None]
    sure = [good for p, good in known if p >= SURE]
    return [
        str(len(played)),
        f"{right:.3f} +- {1.96 * math.sqrt(right * (1 - right) / len(played)):.3f}",
        share([each.right for each in played if each.wanted]),
        share([each.right for each in played if not each.wanted]),
        f"{fmean(each.tokens for each in played):.0f}",
        str(sum(each.breaks for each in played)),
        level(known) if len(known) == len(played) else "-",
        f"{len(sure) / len(played):.2f}",
        share(sure),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("drawn", type=Path, nargs="+")
    show(parser.parse_args())


if __name__ == "__main__":
    main()
