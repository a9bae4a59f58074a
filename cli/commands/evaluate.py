"""``adascale eval``: a comparison of strategies on questions with known answers."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adascale.engine.codec import to_plain
from adascale.engine.evaluation.compare import Comparison, markdown
from adascale.engine.evaluation.evaluate import Contestant, evaluate, for_kind, parse_contestants
from adascale.engine.request import Conditions, SearchRequest
from adascale.engine.types import KindName, Notice, Problem, Schedule
from adascale.models.draws import DrawStore, ReplayingPolicy
from adascale.models.questions import choose_questions, only_kind, read_known

from ..exit_codes import INTERRUPTED
from ..options.by_command import EvalOptions
from ..options.settings import with_options
from ..searching import open_session, stoppable
from ..terminal.errors import show_warning
from ..terminal.progress import Progress
from ..terminal.streams import say, write_json, write_payload

if TYPE_CHECKING:
    from adascale.models import AnySession

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
    search = options.search
    problems = choose_questions(read_known(data), options.questions, search.seed or 0)
    kind = only_kind(problems)
    contestants = for_kind(parse_contestants(options.strategies, search, kind), kind)
    with open_session(options.session, options.terminal) as session:
        conditions = session.conditions(kind)
        contestants = [replace(each, strategy=conditions.possible(each.strategy)) for each in contestants]
        for notice in warnings_of(conditions, contestants):
            show_warning(notice)
        schedule = session.schedule if search.width is None else Schedule.even(search.width)
        found = _search_all(session, kind, contestants, problems, options, schedule)
    if found is None:
        raise typer.Exit(INTERRUPTED)
    report = found.report()
    if options.json_output:
        names = [path.name for path in data]
        described = {
            "schema": SCHEMA,
            "data": names,
            "seed": search.seed,
            "schedule": [schedule.narrow, schedule.wide],
        }
        write_json({**described, **asdict(conditions.models), **to_plain(report)})
    else:
        write_payload(markdown(report))


def _search_all(
    session: AnySession,
    kind: KindName,
    contestants: Sequence[Contestant],
    problems: Sequence[Problem],
    options: EvalOptions,
    schedule: Schedule,
) -> Comparison | None:
    """Search every problem with every contestant, and compare the outcomes; None if it was interrupted.

    What was drawn before is played back, and every new draw is kept.
    """
    found = Comparison(contestants, [problem.id for problem in problems])
    rounds = len(contestants) * options.repeats
    with closing(DrawStore.of(session, kind)) as store:
        policy = ReplayingPolicy.of(session, store)
        searching = session.driver(lambda: 0.0, policy)
        with (
            stoppable(session, searching) as driver,
            Progress("questions", quiet=bool(options.terminal.quiet)) as progress,
            session.make_executor() as executor,
        ):
            run = functools.cache(executor.run)
            outcomes = evaluate(
                driver,
                contestants,
                problems,
                options.repeats,
                options.search.seed or 0,
                run,
                session.modes,
                schedule,
            )
            asked = len(problems)
            for count, outcome in enumerate(outcomes):
                found.add(outcome)
                number, done = count // asked + 1, count % asked + 1
                progress.show(f"{outcome.entry} ({number}/{rounds}):", done, asked)
        if found.searches < rounds * asked:
            say(f"adascale: {len(store):,} continuations are kept; the same command continues")
            return None
    return found


def warnings_of(conditions: Conditions, contestants: Sequence[Contestant]) -> Iterable[Notice]:
    """Warnings of the models, and of contestants whose modes the calibration does not know; each once."""
    requests = [SearchRequest(strategy=entry.strategy) for entry in contestants]
    settings = [each.settings(Problem("", ""), conditions) for each in requests]
    return dict.fromkeys(notice for each in settings for notice in each.warnings)
