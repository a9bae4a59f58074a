"""The options of ``adascale export`` and their flags; only this command imports the formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from typer.models import OptionInfo

from adascale.export.filters import Filters
from adascale.export.formats import Labelling

from .declare import FILTERS, OUTPUT, OVERWRITE, TOP


@dataclass(frozen=True, slots=True)
class InputOptions:
    """Sources of a dataset; the default is runs."""

    sources: Annotated[
        list[str],
        TOP.flag(
            "--from",
            "Searches to read: kept runs, rollouts of calibrate, draws of eval, a trace, or a folder of "
            "traces. Can be given several times.",
            metavar="runs|rollouts|draws|PATH",
            show_default="runs",
        ),
    ] = field(default_factory=list)
    data: Annotated[
        list[Path],
        TOP.flag(
            "--data -d",
            "Questions that were evaluated, for --from draws, in the order of the evaluation.",
            metavar="FILE",
            show_default=False,
        ),
    ] = field(default_factory=list)
    draw_seed: Annotated[int, TOP.flag("--draw-seed", "Seed of the evaluation, for --from draws.")] = 0
    mixed: Annotated[bool, TOP.flag("--mixed", "Allow solutions of several models in one dataset.")] = False


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Files of a dataset; a split has two, named after ``path``."""

    path: Annotated[
        Path | None, OUTPUT.flag("--output -o", "File to write, .jsonl or .parquet.", show_default=False)
    ] = None
    split: Annotated[
        float,
        OUTPUT.flag("--split", "Share of the questions to train on; the others go into a second file."),
    ] = 1.0
    seed: Annotated[int, OUTPUT.flag("--seed", "Seed of the split.")] = 0
    licence: Annotated[str | None, OUTPUT.flag("--licence", "Licence of the questions, for the card.")] = None
    overwrite: Annotated[bool, OVERWRITE] = False
    dry_run: Annotated[bool, OUTPUT.flag("--dry-run", "Write nothing: print the card and the first row.")] = (
        False
    )


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """All options of ``export`` but the format."""

    input: InputOptions = InputOptions()
    labelling: Labelling = Labelling()
    filters: Filters = Filters()
    output: OutputOptions = OutputOptions()


DATASET_FLAGS: Mapping[type[Any], Mapping[str, OptionInfo]] = {
    Labelling: {
        "threshold": TOP.flag(
            "--threshold", "Minimum probability of a step or solution that is labelled correct."
        ),
        "min_gap": TOP.flag("--min-gap", "Minimum difference between the probabilities of a pair."),
        "pairs": TOP.flag(
            "--pairs", "Compare steps with the same prefix, or whole solutions (trl-preference)."
        ),
    },
    Filters: {
        "calibrated": FILTERS.flag("--calibrated", "Only steps with a calibrated estimate."),
        "in_domain": FILTERS.flag(
            "--in-domain", "Only questions like those that the calibration was fitted on."
        ),
        "known_answers": FILTERS.flag("--known-answers", "Only questions with a known answer."),
        "ran": FILTERS.flag("--ran", "Only programs that ran to their end."),
        "min_count": FILTERS.flag("--min-count", "Minimum number of solutions that continue a step.", min=0),
        "max_tokens": FILTERS.flag("--max-tokens", "Maximum length of a solution, in tokens.", min=1),
        "mode": FILTERS.flag("--mode", "Only solutions in this mode."),
    },
}
