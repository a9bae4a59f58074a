"""JSON of a schema: are readings valid, are their fields right, and are the doubtful ones the wrong ones.

Usage:
``python -m bench.evidence.json_fields draw MODEL OUT.jsonl [--calls bfcl-eval.jsonl] [--questions 300]``
``python -m bench.evidence.json_fields table OUT.jsonl ... [--calls bfcl-eval.jsonl]``
``python -m bench.evidence.json_fields fit OUT.jsonl ... --calls bfcl-fit.jsonl``

Texts are those of ``bench/forms.jsonl``, or with ``--calls`` the requests of a file of calls that one call
answers: the schema is that of the tool, and its arguments are the fields. Of each text one greedy reading and
five others are written and appended as soon as they are there; the same command goes on. ``table`` plays them
with the strategy and the number that ship. ``fit`` prints the likeliest ``FieldWeights`` of all files, and
the mean loss of a field in each, beside that of the weights that ship.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import numpy as np

from adascale.engine.answers.choosing import DOUBTFUL, Candidate, FinishedSearch, group_answers
from adascale.engine.calibration import metrics
from adascale.engine.calibration.metrics import Predictions
from adascale.engine.calibration.posterior import UNCALIBRATED, VOTES, Posterior, VoteWeights
from adascale.engine.kinds import kind_of
from adascale.engine.kinds.structured import schema_of
from adascale.engine.ports import Prefix, SequenceLogprob
from adascale.engine.request import Settings
from adascale.engine.search.driver import Driver
from adascale.engine.search.events import SearchFinished
from adascale.engine.strategies import Greedy, Strategy
from adascale.engine.strategies.sampling import Readings
from adascale.engine.tools.calls import Call, ToolRequest
from adascale.engine.tools.equality import fields_of, is_accepted, votes_by_field
from adascale.engine.types import NodeId, Problem
from adascale.models.questions import read_known

from ..common import close, table
from .calls_table import descend, played_back
from .tool_calls import SEED, choose, draw_prose, load, read_requests

FORMS = Path(__file__).parents[1] / "forms.jsonl"
READINGS = Readings()
_WINDOW = 3072


def texts(calls: Path | None) -> list[Problem]:
    """The texts: those of the forms, or requests that one call answers."""
    if calls is None:
        [forms] = read_known([FORMS])
        return forms
    single = [each for each in read_requests(calls) if len(_accepted(each)) == 1]
    return [_as_text(each) for each in choose(single, len(single)) if _arguments(each)]


def _accepted(problem: Problem) -> Sequence[Mapping[str, Any]]:
    found: Any = problem.details["accepted"]
    return [*found]


def _arguments(problem: Problem) -> Mapping[str, Any]:
    """Accepted values of each argument."""
    [arguments] = _accepted(problem)[0].values()
    return dict(arguments)


def _as_text(problem: Problem) -> Problem:
    """A request as a text from which the arguments of its call are read."""
    [name] = _accepted(problem)[0]
    tool = ToolRequest.of(problem.details).tools[name]
    about = tool.record["function"].get("description", "")
    details = {"schema": {**tool.parameters, "description": about}}
    meta = {"accepted": _arguments(problem)}
    return Problem(problem.id, problem.question, meta=meta, kind="json", details=details)


def right_fields(problem: Problem, value: Mapping[str, Any]) -> dict[str, bool]:
    """For each field of a reading, and for those that it lacks, is it right."""
    accepted: Any = problem.meta.get("accepted")
    if accepted is not None:
        found = {name: _is_right(name, each, accepted) for name, each in value.items()}
        return found | {name: "" in each for name, each in accepted.items() if name not in value}
    assert problem.answer is not None, "a form has an answer"
    schema = schema_of(problem)
    own, known = (dict(fields_of(each, schema)) for each in (value, json.loads(problem.answer)))
    return {name: own.get(name) == known.get(name) for name in {**own, **known}}


def _is_right(name: str, value: Any, accepted: Mapping[str, Any]) -> bool:
    known = accepted.get(name)
    return known is not None and is_accepted([Call("", {name: value})], [{"": {name: known}}])


def draw(args: argparse.Namespace) -> None:
    """Write what the file lacks."""
    problems = texts(args.calls)[: args.questions]
    draw_prose(args.model, problems, READINGS.samples - 1, args.out, "readings", _WINDOW, args.threads)
    close({"texts": len(problems), "model": args.model})


@dataclass(frozen=True, slots=True)
class Played:
    """A rule on one text.

    Attributes:
        valid: There is an object, and it matches the schema.
        right: Of each field.
        p: Probability of each field; empty without one.
        tokens: Tokens that were generated.
    """

    valid: bool
    right: Mapping[str, bool]
    p: Mapping[str, float]
    tokens: int


def play(problem: Problem, record: Mapping[str, Any], strategy: Strategy, size: float) -> Played:
    """A strategy on recorded readings; of a text without an object every field is wrong."""
    policy = played_back(problem, record, "prose", record["readings"])
    posterior = Posterior.of_model("json", size)
    driver = Driver(policy, SequenceLogprob(), {"json": posterior}, lambda: 0.0)
    log = driver.run([problem], Settings(strategy, seed=SEED))
    [end] = [event for _, event in log if isinstance(event, SearchFinished)]
    tokens = end.usage.generated_tokens
    if end.result.answer is None:
        return Played(False, dict.fromkeys(right_fields(problem, {}), False), {}, tokens)
    value = json.loads(end.result.answer)
    valid = jsonschema.Draft202012Validator(schema_of(problem)).is_valid(value)
    right = right_fields(problem, value)
    chances = {name: each.probability for name, each in end.result.fields.items()}
    return Played(valid, right, _by_field(right, chances), tokens)


def _by_field(right: Mapping[str, bool], chances: Mapping[str, float]) -> dict[str, float]:
    """The probability of each judged field: of one with fields inside, that of the least of them."""
    inside = {
        name: [p for known, p in chances.items() if known == name or known.startswith(f"{name}.")]
        for name in right
    }
    return {name: min(found) for name, found in inside.items() if found}


def _rows(path: Path, calls: Path | None) -> tuple[Mapping[str, Any], Iterator[tuple[Problem, Any]]]:
    known = {problem.id: problem for source in {None, calls} for problem in texts(source)}
    header, records = load(path)
    return header, ((known[record["id"]], record) for record in records)


def show(args: argparse.Namespace) -> None:
    """Print a table for each file."""
    figures: dict[str, Any] = {}
    head = ["texts", "valid", "fields", "right", "all right", "tokens", "doubtful", "of them wrong"]
    head += ["of others wrong", "ECE (noise)"]
    for path in args.drawn:
        header, rows = _rows(path, args.calls)
        asked = [*rows]
        size, title = header["parameters"], f"{header['model']}, {path.name.split('.')[0]}"
        found = {
            name: _row([play(problem, record, strategy, size) for problem, record in asked])
            for name, strategy in (("greedy", Greedy()), ("readings (medium)", READINGS))
        }
        table([title, *head], [[name, *cells] for name, cells in found.items()])
        figures[path.name] = found
    close(figures)


Known = tuple[float, bool]
"""Probability of a value of a field, and whether it is right."""


@dataclass(frozen=True, slots=True)
class State:
    """The first readings of a text, and which of their fields are right."""

    prefix: Prefix
    finished: FinishedSearch
    right: Mapping[NodeId, Mapping[str, bool]]

    def fields(self, posterior: Posterior) -> Iterator[list[Known]]:
        """Every value of each outer field that was read."""
        judged = posterior.judge(self.prefix, self.finished).fields
        for name, agreeing in votes_by_field(self.finished.groups, schema_of(self.prefix.problem)).items():
            if "." not in name:
                yield [
                    (judged[nodes[0]][name].probability, self.right[nodes[0]].get(name, False))
                    for nodes in ([node for node in each if node in judged] for each in agreeing)
                ]


def states(path: Path, calls: Path | None) -> tuple[Posterior, list[State]]:
    """The posterior of the model, and the states of each text behind two, three and all readings."""
    header, rows = _rows(path, calls)
    found = []
    for problem, record in rows:
        prefix = Prefix(problem)
        estimate = UNCALIBRATED.estimate(prefix, 0.0)
        answers = [
            kind_of(problem).answer(problem, "prose", each["text"], each["finish"], None)
            for each in (record["greedy"], *record["readings"])
        ]
        read = [Candidate(NodeId(at), answer, estimate, greedy=not at) for at, answer in enumerate(answers)]
        for count in (2, 3, len(read)):
            shown = tuple(each for each in read[:count] if each.answer is not None)
            groups = tuple(group_answers(shown, kind_of(problem).equality(problem)))
            right = {
                group.nodes[0]: right_fields(problem, json.loads(answers[group.nodes[0]] or "{}"))
                for group in groups
            }
            if groups:
                found.append(State(prefix, FinishedSearch({}, shown, groups), right))
    return Posterior.of_model("json", header["parameters"]), found


def loss(weights: VoteWeights, ships: Posterior, read: Sequence[State]) -> float:
    """Mean negative log-probability of the right value of a field, or of none where none is right."""
    posterior = replace(ships, votes=weights)
    chances = []
    for values in (values for state in read for values in state.fields(posterior)):
        is_found = any(right for _, right in values)
        p = sum(p for p, right in values if right == is_found)
        chances.append(p if is_found else 1.0 - p)
    return -fmean(math.log(max(p, 1e-4)) for p in chances)


def fit(args: argparse.Namespace) -> None:
    """Print the likeliest weights of all files, and what they gain in each."""
    read = [states(path, args.calls) for path in args.drawn]

    ships, positive = VOTES["json"], ("spread", "strength")

    def bound(free: Mapping[str, float]) -> VoteWeights:
        bound: dict[str, Any] = {**free, **{name: math.exp(free[name]) for name in positive}}
        return replace(ships, **bound)

    free = {name: getattr(ships, name) for name in ("easier", "greedy", *positive)}
    free |= {name: math.log(free[name]) for name in positive}
    found = bound(descend(free, lambda free: sum(loss(bound(free), *each) for each in read)))
    rules = {"ships": ships, "likeliest": found}
    losses = {name: [f"{loss(weights, *each):.3f}" for each in read] for name, weights in rules.items()}
    table(
        ["loss of a field", *(path.name for path in args.drawn)],
        [[name, *row] for name, row in losses.items()],
    )
    close(
        {
            "weights": {name: round(number, 2) for name in free for number in [getattr(found, name)]},
            "loss": losses,
        }
    )


def _row(played: Sequence[Played]) -> list[str]:
    right = [good for each in played for good in each.right.values()]
    judged = [(each.p[name], good) for each in played for name, good in each.right.items() if name in each.p]
    doubtful = [good for p, good in judged if p < DOUBTFUL]
    others = [good for p, good in judged if p >= DOUBTFUL]
    p, outcome = np.array([p for p, _ in judged]), np.array([float(good) for _, good in judged])
    level = "-"
    if judged:
        at = np.arange(len(p), dtype=np.int64)
        known = Predictions(at, np.column_stack([p, p, p]), outcome, np.ones_like(p))
        level = f"{metrics.ece(known):.3f} ({metrics.ece_floor(known):.3f})"
    return [
        str(len(played)),
        f"{fmean(each.valid for each in played):.3f}",
        str(len(right)),
        f"{fmean(right):.3f}",
        f"{fmean(all(each.right.values()) for each in played):.3f}",
        f"{fmean(each.tokens for each in played):.0f}",
        str(len(doubtful)),
        _wrong(doubtful),
        _wrong(others),
        level,
    ]


def _wrong(good: Sequence[bool]) -> str:
    return f"{1 - fmean(good):.3f}" if good else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    drawing = commands.add_parser("draw")
    drawing.add_argument("model")
    drawing.add_argument("out", type=Path)
    drawing.add_argument("--calls", type=Path)
    drawing.add_argument("--questions", type=int)
    drawing.add_argument("--threads", type=int, help="by default the physical cores")
    drawing.set_defaults(run=draw)
    showing = commands.add_parser("table")
    showing.add_argument("drawn", type=Path, nargs="+")
    showing.add_argument("--calls", type=Path)
    showing.set_defaults(run=show)
    fitting = commands.add_parser("fit")
    fitting.add_argument("drawn", type=Path, nargs="+")
    fitting.add_argument("--calls", type=Path, required=True)
    fitting.set_defaults(run=fit)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
