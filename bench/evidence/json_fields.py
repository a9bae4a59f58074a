"""JSON of a schema: are readings valid, are their fields right, and are the doubtful ones the wrong ones.

Usage:
``python -m bench.evidence.json_fields draw MODEL OUT.jsonl [--calls bfcl-eval.jsonl] [--questions 300]``
``python -m bench.evidence.json_fields table OUT.jsonl ... [--calls bfcl-eval.jsonl]``

Texts are those of ``bench/forms.jsonl``, or with ``--calls`` the requests of a file of calls that one call
answers: the schema is that of the tool, and its arguments are the fields. Of each text one greedy reading and
five others are written and appended as soon as they are there; the same command goes on. ``table`` plays them
with the strategy and the number that ship.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import jsonschema  # type: ignore[import-untyped]

from adascale.engine.answers.choosing import DOUBTFUL
from adascale.engine.calibration.posterior import Posterior
from adascale.engine.kinds.structured import schema_of
from adascale.engine.request import Settings
from adascale.engine.strategies import Greedy, Strategy
from adascale.engine.strategies.sampling import Readings
from adascale.engine.tools.calls import Call, ToolRequest
from adascale.engine.tools.equality import fields_of
from adascale.engine.types import Problem
from adascale.models.questions import read_known

from ..bfcl import is_accepted
from ..common import close, level, share, table
from .calls_table import played_back, searched
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
    end = searched(problem, policy, Settings(strategy, seed=SEED), Posterior.of_model("json", size))
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


def _row(played: Sequence[Played]) -> list[str]:
    right = [good for each in played for good in each.right.values()]
    judged = [(each.p[name], good) for each in played for name, good in each.right.items() if name in each.p]
    return [
        str(len(played)),
        share([each.valid for each in played]),
        str(len(right)),
        share(right),
        share([all(each.right.values()) for each in played]),
        f"{fmean(each.tokens for each in played):.0f}",
        str(sum(p < DOUBTFUL for p, _ in judged)),
        share([not good for p, good in judged if p < DOUBTFUL]),
        share([not good for p, good in judged if p >= DOUBTFUL]),
        level(judged),
    ]


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
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
