"""The options of ``adascale export`` and their flags; only this command imports the formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typer.models import OptionInfo

from adascale.export.filters import Filters
from adascale.export.formats import Labelling

from .declare import FILTERS, OUTPUT, flag


@dataclass(frozen=True, slots=True)
class InputOptions:
    """Sources of a dataset.

    Attributes:
        sources: ``runs``, ``rollouts``, ``draws`` or paths; empty for runs.
        data: Files of the questions that were evaluated.
        draw_seed: Seed of the evaluation whose draws are read.
        mixed: One dataset may hold solutions of several generators.
    """

    sources: list[str] = field(default_factory=list)
    data: list[Path] = field(default_factory=list)
    draw_seed: int = 0
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Files of a dataset.

    Attributes:
        path: File of the dataset; a split has two files named after it.
        split: Share of the questions to train on, in (0, 1].
        seed: Seed of the split.
        licence: Licence of the questions, as the user says.
        overwrite: Replace files that exist.
        dry_run: Write nothing, and print the card.
    """

    path: Path | None = None
    split: float = 1.0
    seed: int = 0
    licence: str | None = None
    overwrite: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """All options of ``export`` but the format."""

    input: InputOptions = InputOptions()
    labelling: Labelling = Labelling()
    filters: Filters = Filters()
    output: OutputOptions = OutputOptions()


DATASET_FLAGS: Mapping[type[Any], Mapping[str, OptionInfo | None]] = {
    InputOptions: {
        "sources": flag(
            None,
            "--from",
            "Searches to read: kept ones, a trace, a folder of traces, or a store; may be repeated.",
            metavar="runs|rollouts|draws|PATH",
            show_default="runs",
        ),
        "data": flag(
            None,
            "--data -d",
            "Questions that were evaluated, for --from draws, in the order of the evaluation.",
            metavar="FILE",
            show_default=False,
        ),
        "draw_seed": flag(None, "--draw-seed", "Seed of the evaluation, for --from draws."),
        "mixed": flag(None, "--mixed", "Allow solutions of several models in one dataset."),
    },
    Labelling: {
        "threshold": flag(
            None, "--threshold", "Minimum probability of a step or solution that is labelled correct."
        ),
        "min_gap": flag(None, "--min-gap", "Minimum difference between the probabilities of a pair."),
        "pairs": flag(None, "--pairs", "Preferences compare steps with one prefix, or whole solutions."),
    },
    Filters: {
        "calibrated": flag(FILTERS, "--calibrated", "Only steps with a calibrated estimate."),
        "in_domain": flag(
            FILTERS, "--in-domain", "Only questions like those that the calibration was fitted on."
        ),
        "known_answers": flag(FILTERS, "--known-answers", "Only questions with a known answer."),
        "ran": flag(FILTERS, "--ran", "Only programs that ran to their end."),
        "min_count": flag(FILTERS, "--min-count", "Minimum number of solutions through a step.", min=0),
        "max_tokens": flag(FILTERS, "--max-tokens", "Maximum length of a solution, in tokens.", min=1),
        "mode": flag(FILTERS, "--mode", "Only solutions of this way of reasoning."),
    },
    OutputOptions: {
        "path": flag(OUTPUT, "--output -o", "File to write, .jsonl or .parquet.", show_default=False),
        "split": flag(
            OUTPUT, "--split", "Share of the questions to train on; the others go into a second file."
        ),
        "seed": flag(OUTPUT, "--seed", "Seed of the split."),
        "licence": flag(OUTPUT, "--licence", "Licence of the questions, for the card."),
        "overwrite": flag(OUTPUT, "--overwrite", "Replace files that exist."),
        "dry_run": flag(OUTPUT, "--dry-run", "Write nothing: print the card and the first row."),
    },
}
