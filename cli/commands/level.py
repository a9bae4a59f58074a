"""``adascale calibrate level``: experience with a model, and its level by answers that the user knows."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import typer

from adascale.engine.decimals import decimal
from adascale.engine.errors import TraceError
from adascale.models.files.catalog import DEFAULT_GENERATOR

from ..disk.files import writing
from ..disk.history import past_runs
from ..options.declare import JsonOption
from ..options.flags import ModelOption
from ..report.models_report import facts_text, programs_text
from ..terminal.console import clean, say, write_json, write_payload
from ..terminal.transfer import is_interactive

if TYPE_CHECKING:
    from adascale.engine.search.record import Record

SCHEMA = "adascale.level/1"


def level(
    generator: ModelOption = DEFAULT_GENERATOR,
    forget: Annotated[
        bool, typer.Option("--forget", help="Undo the adjusted level, and forget the counts of programs.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how often a model is correct on your questions, and adjust its level by answers that you know.

    adascale calibrate level -m my-model.gguf
    adascale calibrate level -m my-model.gguf --forget

    adascale assumes that a model without a calibration is correct as often as other models of its size: this
    is its level. How well the solutions of your kept runs agree tells how often it is correct on your
    questions. If the two are more than .1 apart, you are asked for ten correct answers, which move the level
    by one logit at most. Nothing else moves it.
    """
    from adascale.engine.calibration.votes import VotePosterior, rate_of_size, shifted
    from adascale.engine.fitting.level import APART, FEWEST, level_by_agreement
    from adascale.models.files.library import resolve
    from adascale.models.model_use import read_use, use_path

    file = resolve(generator, offline=True)
    if forget:
        use_path(file.sha256).unlink(missing_ok=True)
        say(f"adascale: forgot the level of {generator} and the failures of its programs")
        return
    use, prior = read_use(file.sha256), rate_of_size(file.info.effective_parameters)
    records = list(_searches(file.sha256))
    agreement = level_by_agreement(VotePosterior(prior), records) if len(records) >= FEWEST else None
    used = shifted(prior, use.shift)
    facts = {
        "model": generator,
        "by_size": round(prior, 3),
        "by_agreement": None if agreement is None else round(agreement, 3),
        "kept_questions": len(records),
        "level": round(used, 3),
        "known_answers": use.answers,
        "programs": programs_text(use.programs) if use.programs.questions else None,
    }
    if as_json:
        write_json({"schema": SCHEMA, **facts})
        return
    write_payload(facts_text(facts))
    if agreement is None or abs(agreement - used) <= APART or use.answers:
        return
    say(f"adascale: agreement is more than {decimal(APART, '.1f')} away from the level of {generator}")
    if not is_interactive():
        say("adascale: in a terminal, this command asks for ten correct answers to tell which is closer")
    elif shares := _ask(records, FEWEST):
        _adjust(file.sha256, prior, shares)


def _adjust(sha256: str, prior: float, shares: Sequence[float]) -> None:
    """Keep the level of a model that follows from the shares of correct solutions."""
    from adascale.engine.calibration.votes import shifted
    from adascale.engine.fitting.level import shift_by_answers
    from adascale.models.model_use import keep_use, read_use, use_path

    use = replace(read_use(sha256), shift=shift_by_answers(prior, shares), answers=len(shares))
    with writing(use_path(sha256)):
        keep_use(sha256, use)
    say(
        f"adascale: {decimal(fmean(shares), '.2f')} of the solutions were correct; "
        f"the level is {decimal(shifted(prior, use.shift), '.2f')} from now on"
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


def _ask(records: Sequence[Record], wanted: int) -> list[float]:
    """Ask for correct answers; the share of correct solutions of each question that has got one.

    A question that followed on others is left out: it is not understood without them.
    """
    from adascale.engine.fitting.level import first_solutions
    from adascale.engine.search.prefix_outcomes import right_nodes

    say("adascale: type the correct answer of a question, Return to leave it out, or Ctrl-D to stop")
    shares: list[float] = []
    for record in records:
        problem = record.started.problem
        if problem.history:
            continue
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
