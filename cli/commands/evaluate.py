"""``adascale eval``: a comparison of strategies on questions with known answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adascale.engine.codec import to_plain
from adascale.engine.evaluation.contestants import for_kind, parse_contestants
from adascale.models.question_sets import choose_questions, only_kind, read_known

from ..exit_codes import INTERRUPTED
from ..options.by_command import EvalOptions
from ..options.flatten import with_options
from ..options.parts import session_for
from ..searching.models import open_session
from ..terminal.console import show_warning, write_json, write_payload

if TYPE_CHECKING:
    from adascale.engine.evaluation.compare import EvaluationReport

SCHEMA = "adascale.eval/1"


@with_options(EvalOptions)
def eval_(
    data: Annotated[list[Path], typer.Argument(metavar="FILE", help="JSON Lines with question and answer.")],
    *,
    options: EvalOptions,
) -> None:
    """Compare strategies: accuracy, tokens, FLOPs and time on the same questions and random numbers.

    adascale eval test.jsonl --questions 50
    adascale eval test.jsonl --strategies greedy,vote:16,adaptive,adaptive@low

    All strategies use the same generated text, which is kept. Stop at any time: the same command continues.
    """
    from ..searching.evaluation import search_all, warnings_of

    problems = choose_questions(read_known(data), options.questions, options.seed)
    kind = only_kind(problems)
    contestants = for_kind(parse_contestants(options.strategies, options.preset, kind), kind)
    options.preset.check_overrides(each.strategy.name for each in contestants)
    with open_session(session_for(options.preset, options.session), options.terminal) as session:
        conditions = session.conditions(kind)
        for notice in warnings_of(conditions, contestants):
            show_warning(notice)
        found = search_all(session, kind, contestants, problems, options)
    if found is None:
        raise typer.Exit(INTERRUPTED)
    names = [path.name for path in data]
    described = {"schema": SCHEMA, "data": names, "seed": options.seed, **asdict(conditions.models)}
    _write_report(found.report(), described, options)


def _write_report(report: EvaluationReport, described: Mapping[str, Any], options: EvalOptions) -> None:
    """Print a report as Markdown or JSON."""
    from adascale.engine.evaluation.tables import markdown

    if options.json_output:
        write_json({**described, **to_plain(report)})
    else:
        write_payload(markdown(report))
