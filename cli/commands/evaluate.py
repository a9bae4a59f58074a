"""``adascale eval``: strategies beside each other on questions with known answers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adascale.engine.codec import to_plain
from adascale.engine.errors import UsageError
from adascale.engine.evaluation.contestants import in_code, parse_contestants
from adascale.engine.evaluation.evaluate import Contestant, Outcome, evaluate
from adascale.engine.evaluation.judging import HiddenTests
from adascale.engine.search.settings import Conditions, Settings
from adascale.engine.strategies import Passing
from adascale.engine.types import Kind, Notice
from adascale.models.question_sets import choose_questions, kind_of, read_known

from ..exit_codes import INTERRUPTED
from ..options.flatten import with_options
from ..options.groups import EvalOptions
from ..report.frontier_plot import frontier
from ..report.plots import check_plot
from ..searching.models import open_session, stoppable
from ..terminal.console import say, show_warning, write_json, write_payload
from ..terminal.progress import Progress
from ..terminal.text import rough_duration

if TYPE_CHECKING:
    from adascale.engine.evaluation.compare import EvaluationReport
    from adascale.models.draws.playback import ReplayingPolicy

SCHEMA = "adascale.eval/1"


@with_options(EvalOptions)
def eval_(
    data: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="JSON Lines with question and answer.")
    ],
    *,
    options: EvalOptions,
) -> None:
    """Compare strategies: accuracy, tokens, FLOPs and time on the same questions and random numbers.

    adascale eval test.jsonl --questions 50
    adascale eval test.jsonl --strategies greedy,vote:16,adaptive,adaptive@low --plot frontier.svg

    Every draw is kept and used by all strategies. It can be stopped at any time: the same command goes on.
    """
    from adascale.engine.evaluation.compare import Comparison
    from adascale.models.draws.store import DrawStore

    named = parse_contestants(options.strategies, options.preset)
    options.preset.check_overrides(each.strategy.name for each in named)
    if options.plot is not None:
        check_plot(options.plot, [*data, *options.session.references()])
    if options.csv_output and options.json_output:
        raise UsageError("--csv and --json are two formats", hint="leave one out")
    problems = choose_questions(read_known(data), options.questions, options.seed)
    kind = kind_of(problems)
    contestants = _for_kind(named, kind)
    with open_session(options.session, options.terminal) as session:
        conditions = session.conditions(kind)
        if options.terminal.quiet < 2:
            for notice in _warnings(conditions, contestants):
                show_warning(notice)
        with closing(DrawStore(session.draws_path(kind))) as store:
            store.put_models(conditions.models)
            policy = session.replay_policy(store)
            found = Comparison(contestants, [problem.id for problem in problems])
            rounds = len(contestants) * options.repeats
            replaying = session.driver(lambda: 0.0, policy)
            progress = Progress("questions", quiet=bool(options.terminal.quiet))
            with stoppable(session, replaying) as driver, progress, session.make_executor() as executor:
                outcomes = evaluate(
                    driver,
                    contestants,
                    problems,
                    options.repeats,
                    options.seed,
                    HiddenTests(executor.run),
                )
                for outcome in _follow_rounds(outcomes, len(problems), rounds, policy, progress):
                    found.add(outcome)
            done = sum(map(len, found.outcomes.values()))
            if done < rounds * len(problems):
                say(f"adascale: {len(store):,} draws are kept; the same command goes on")
                raise typer.Exit(INTERRUPTED)
        described = asdict(conditions.models)
    names = [path.name for path in data]
    _write_report(
        found.report(), {"schema": SCHEMA, "data": names, "seed": options.seed, **described}, options
    )


def _for_kind(contestants: Sequence[Contestant], kind: Kind) -> Sequence[Contestant]:
    """The contestants as they search problems of this kind.

    Raises:
        UsageError: one of them is for the other kind.
    """
    if kind == "task":
        return in_code(contestants)
    if any(isinstance(each.strategy, Passing) for each in contestants):
        raise UsageError(
            "passing searches for programs that pass tests, and these are questions",
            hint="--strategies adaptive",
        )
    return contestants


def _warnings(conditions: Conditions, contestants: Sequence[Contestant]) -> Iterable[Notice]:
    """Those of the models, and of contestants whose modes the calibration does not know; each once."""
    settings = [Settings(entry.strategy).under(conditions) for entry in contestants]
    return dict.fromkeys(notice for each in settings for notice in each.in_mode("auto", ()).warnings)


def _follow_rounds(
    outcomes: Iterable[Outcome], questions: int, rounds: int, policy: ReplayingPolicy, progress: Progress
) -> Iterator[Outcome]:
    """Pass outcomes on, and show how each round goes, which is one strategy in one repeat.

    Args:
        outcomes: Round by round.
        questions: Questions of each round.
        rounds: Number of rounds.
        policy: Counts the tokens that the generator draws.
        progress: Where to show it.
    """
    began, before = time.monotonic(), policy.drawn_tokens
    for count, outcome in enumerate(outcomes):
        yield outcome
        number, done = count // questions + 1, count % questions + 1
        seconds = max(time.monotonic() - began, 1e-9)
        # What later rounds lack is not known yet: the time left is that of this one.
        left = rough_duration(seconds / done * (questions - done))
        note = f"{(policy.drawn_tokens - before) / seconds:.0f} tokens/s, {left} left of this strategy"
        progress.show(f"{outcome.entry} ({number}/{rounds}):", done, questions, note)
        if done == questions:
            began, before = time.monotonic(), policy.drawn_tokens


def _write_report(report: EvaluationReport, described: Mapping[str, Any], options: EvalOptions) -> None:
    """Print a report as Markdown, CSV or JSON, and draw it where --plot asks for that."""
    from adascale.engine.evaluation.tables import csv_text, markdown

    if options.json_output:
        write_json({**described, **to_plain(report)})
    elif options.csv_output:
        write_payload(csv_text(report))
    else:
        write_payload(markdown(report))
    if options.plot is not None:
        frontier(report, described, options.plot)
        if not options.terminal.quiet:
            say(f"adascale: drew {options.plot}")
