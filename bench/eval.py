"""Compare strategies: accuracy, tokens, FLOPs and time on the same questions and random numbers.

``python -m bench.eval test.jsonl --questions 50``
``python -m bench.eval test.jsonl --strategies greedy,vote:16,margin:2/both+redraw,adaptive,adaptive@low``

All strategies use the same generated text, which is kept. Stop at any time: the same command continues.
No search sees what decides: the ``hidden`` tests of a code task; of a request with ``messages`` and ``tools``
the calls in ``accepted``, a list of ``{name: {argument: [values]}}``, judged as the Berkeley Function
Calling Leaderboard does.
"""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adascale.cli.exit_codes import INTERRUPTED, exit_code
from adascale.cli.opening import open_session, stoppable
from adascale.cli.options.command_line import HelpfulCommand
from adascale.cli.options.flags import (
    CalibrationFlag,
    EffortFlag,
    JsonFlag,
    ModelFlag,
    OfflineFlag,
    PairsFlag,
    PrmFlag,
    QuestionsFlag,
    QuietFlag,
    SeedOfChoiceFlag,
    SystemFlag,
    ThinkFlag,
    UnsandboxedFlag,
    VerboseFlag,
    YesFlag,
    flag,
)
from adascale.cli.options.settings import SESSION, STRATEGY, read_settings
from adascale.cli.terminal.errors import show_error, show_warning
from adascale.cli.terminal.progress import Progress
from adascale.cli.terminal.streams import say, write_json, write_payload
from adascale.engine.codec import to_plain
from adascale.engine.errors import AdascaleError, UsageError
from adascale.engine.request import Conditions, SearchRequest
from adascale.engine.types import KindName, Notice, Problem, Schedule
from adascale.models.options import MAX_BRANCHES
from adascale.models.programs.executor import ProgramExecutor
from adascale.models.questions import choose_questions, read_known

from .baselines import register_baselines
from .bfcl import register_judge
from .evaluation.compare import Comparison, markdown
from .evaluation.evaluate import Contestant, evaluate, for_kind, parse_contestants
from .kept_draws import DrawStore, ReplayingPolicy

if TYPE_CHECKING:
    from adascale.models import AnySession

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


def _only_kind(problems: Sequence[Problem]) -> KindName:
    """The one kind of all problems, of which there is at least one.

    Raises:
        UsageError: they are of several kinds.
    """
    kinds = Counter(problem.kind for problem in problems)
    if len(kinds) > 1:
        raise UsageError(
            "the records are of several kinds, which no figure can sum up",
            ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common()),
            hint="keep them in files of their own, and run the command once for each kind",
        )
    return problems[0].kind


@app.command(cls=HelpfulCommand, help=__doc__)
def compare(
    context: typer.Context,
    data: Annotated[list[Path], typer.Argument(metavar="FILE", help="JSON Lines with question and answer.")],
    strategies: Annotated[
        str,
        flag(
            "--strategies",
            "What to compare: NAME[:N][@EFFORT][+RULE][/MODE][+redraw], with commas. :N is the number of "
            "solutions, +n, +k, +m or +km a rule of the paper, the mode prose, program or both; +redraw "
            "rewrites steps with a wrong sum.",
            "LIST",
            show_default=True,
        ),
    ] = "greedy,vote:4,vote:16,adaptive",
    questions: QuestionsFlag = None,
    repeats: Annotated[
        int,
        flag("--repeats", "Runs of each strategy, each with other random numbers.", "N", min=1),
    ] = 1,
    json_output: JsonFlag = False,
    model: ModelFlag = None,
    prm: PrmFlag = None,
    calibration: CalibrationFlag = None,
    system: SystemFlag = "",
    think: ThinkFlag = None,
    offline: OfflineFlag = None,
    unsandboxed: UnsandboxedFlag = False,
    effort: EffortFlag = None,
    seed: SeedOfChoiceFlag = 0,
    option: PairsFlag = None,
    quiet: QuietFlag = 0,
    verbose: VerboseFlag = 0,
    yes: YesFlag = None,
) -> None:
    """Compare strategies."""
    options = read_settings(context, *SESSION, *set(STRATEGY) - {"adapt"}, "width")
    search = options.search(seed=seed)
    problems = choose_questions(read_known(data), questions, seed)
    kind = _only_kind(problems)
    contestants = for_kind(parse_contestants(strategies, search, kind), kind)
    opened = options.session(branches=MAX_BRANCHES, purpose="replay")
    with open_session(opened, options) as session:
        conditions = session.conditions(kind)
        contestants = [replace(each, strategy=conditions.possible(each.strategy)) for each in contestants]
        for notice in warnings_of(conditions, contestants):
            show_warning(notice)
        schedule = session.schedule if search.width is None else Schedule.even(search.width)
        found = _search_all(session, kind, contestants, problems, repeats, seed, schedule, quiet > 0)
    if found is None:
        raise typer.Exit(INTERRUPTED)
    report = found.report()
    if json_output:
        names = [path.name for path in data]
        described = {
            "schema": "adascale.eval/1",
            "data": names,
            "seed": seed,
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
    repeats: int,
    seed: int,
    schedule: Schedule,
    quiet: bool,
) -> Comparison | None:
    """Search every problem with every contestant, and compare the outcomes; None if it was interrupted.

    What was drawn before is played back, and every new draw is kept.
    """
    found = Comparison(contestants, [problem.id for problem in problems])
    rounds = len(contestants) * repeats
    with closing(DrawStore.of(session, kind)) as store:
        policy = ReplayingPolicy.of(session, store)
        searching = session.driver(lambda: 0.0, policy)
        with (
            stoppable(session, searching) as driver,
            Progress("questions", quiet=quiet) as progress,
            ProgramExecutor(unsandboxed=session.options.unsandboxed) as executor,
        ):
            run = functools.cache(executor.run)
            outcomes = evaluate(
                driver,
                contestants,
                problems,
                repeats,
                seed,
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


def main() -> None:
    """Run the command line; an error of ours is a message and an exit code."""
    register_baselines()
    register_judge()
    try:
        app(prog_name="python -m bench.eval")
    except AdascaleError as error:
        show_error(error)
        sys.exit(exit_code(error))


if __name__ == "__main__":
    main()
