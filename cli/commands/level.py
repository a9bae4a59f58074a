"""``adascale calibrate level``: experience with a model, and its level by answers that the user knows."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import typer

from adascale.engine.decimals import decimal
from adascale.engine.errors import TraceError
from adascale.models.files.catalog import DEFAULT_GENERATOR

from ..disk.files import unwritable
from ..disk.history import past_runs
from ..options.declare import JsonOption
from ..report.models_report import programs_text
from ..terminal.console import clean, say, write_json, write_payload
from ..terminal.text import columns, plural
from ..terminal.transfer import is_interactive
from .calibrations import ModelOption

if TYPE_CHECKING:
    from adascale.engine.search.record import Record
    from adascale.models.model_use import ModelUse

SCHEMA = "adascale.level/1"


def level(
    generator: ModelOption = DEFAULT_GENERATOR,
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget the level and the failures of programs.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how often a model is correct on your questions, and set that level by answers that you know.

    adascale calibrate level -m my-model.gguf
    adascale calibrate level -m my-model.gguf --forget

    Without a calibration of its own, a model has a level by its size, from which its probabilities begin. The
    first solutions of your kept runs say by their agreement how often it is correct on your questions. Where
    the two are more than .1 apart you are asked for ten answers, which move the level by one logit at most.
    Nothing else moves it.
    """
    from adascale.engine.calibration.level import APART, FEWEST, level_by_agreement, shift_by_answers
    from adascale.engine.calibration.votes import VotePosterior, rate_of_size, shifted
    from adascale.models.files.library import resolve
    from adascale.models.model_use import keep_use, read_use, use_path

    file = resolve(generator, offline=True)
    if forget:
        use_path(file.sha256).unlink(missing_ok=True)
        say(f"adascale: forgot the level of {generator} and the failures of its programs")
        return
    use, prior = read_use(file.sha256), rate_of_size(file.info.effective_parameters)
    records = list(_searches(file.sha256))
    agreement = level_by_agreement(VotePosterior(prior), records) if len(records) >= FEWEST else None
    used = shifted(prior, use.shift)
    if as_json:
        levels = {"by_size": prior, "by_agreement": agreement, "level": used, "questions": len(records)}
        write_json({"schema": SCHEMA, "model": generator, **levels, **asdict(use)})
        return
    write_payload(_facts_text(prior, agreement, len(records), use))
    if agreement is None or abs(agreement - used) <= APART or use.answers:
        return
    say(f"adascale: agreement is more than {decimal(APART, '.1f')} away from the level of {generator}")
    if not is_interactive():
        say("adascale: in a terminal, this command asks for ten correct answers to tell which is closer")
        return
    if not (shares := _ask(records, FEWEST)):
        return
    answered = replace(use, shift=shift_by_answers(prior, shares), answers=len(shares))
    try:
        keep_use(file.sha256, answered)
    except OSError as error:
        raise unwritable(use_path(file.sha256), error) from error
    say(
        f"adascale: {decimal(fmean(shares), '.2f')} of the solutions were correct; "
        f"the level is {decimal(shifted(prior, answered.shift), '.2f')} from now on"
    )


def _searches(sha256: str) -> Iterator[Record]:
    """Kept searches of a model that ended with solutions, the newest of each question."""
    from ..disk.trace import read_record

    asked = set()
    for path in past_runs():
        with suppress(TraceError, OSError):
            record = read_record(path)
            problem, generator = record.started.problem, record.started.models.generator
            is_ours = generator is not None and generator.sha256 == sha256 and problem.kind == "value"
            if is_ours and len(record.candidates) > 1 and problem.question not in asked:
                asked.add(problem.question)
                yield record


def _facts_text(prior: float, agreement: float | None, questions: int, use: ModelUse) -> str:
    """One fact a line."""
    from adascale.engine.calibration.votes import shifted

    of_questions = f"of {plural(questions, 'kept question')}"
    by_agreement = "too few" if agreement is None else decimal(agreement, ".2f")
    by_answers = f"level moved by {plural(use.answers, 'known answer')}" if use.answers else "level"
    rows = [
        (decimal(prior, ".2f"), "of the solutions are correct, by the size of the model"),
        (by_agreement, f"by agreement {of_questions}"),
        (decimal(shifted(prior, use.shift), ".2f"), by_answers),
    ]
    if use.programs.questions:
        rows.append(("", f"programs are {programs_text(use.programs)}"))
    return columns(rows, "<<")


def _ask(records: Sequence[Record], wanted: int) -> list[float]:
    """Ask for correct answers; the share of correct solutions of each question that has got one."""
    from adascale.engine.calibration.level import first_solutions
    from adascale.engine.search.prefix_outcomes import right_nodes

    say("adascale: type the correct answer of a question, Return to leave it out, or Ctrl-D to stop")
    shares: list[float] = []
    for record in records:
        problem = record.started.problem
        sys.stderr.write(f"\n{clean(problem.question)}\n{len(shares) + 1} of {wanted}> ")
        sys.stderr.flush()
        if not (line := sys.stdin.readline()):
            break
        if answer := line.strip():
            right, first = right_nodes(record, replace(problem, answer=answer)), first_solutions(record)
            shares.append(sum(each.node in right for each in first) / len(first))
        if len(shares) == wanted:
            break
    return shares
